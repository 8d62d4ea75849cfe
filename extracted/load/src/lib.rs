//! Load for the Box Office that keeps books: virtual users browse, order and cancel, and afterwards every
//! acknowledged write is looked for.
//!
//! | part | job |
//! |---|---|
//! | `load`: [`run`] | drives the load for a while, then checks the books |
//! | `client` | one user's HTTP connection and cookie |
//! | `visit` | what one virtual user does, and what it expects |
//! | `ledger` | every acknowledged write, and the check through the API |
//! | `tally` | counts and latencies |
//! | [`audit`] | the check inside the database |
//! | [`Report`] | what was seen |

pub mod audit;
mod client;
mod ledger;
mod load;
mod report;
mod tally;
mod visit;

pub use client::ClientError;
pub use load::{Plan, run};
pub use report::Report;
