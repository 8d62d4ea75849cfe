//! Load for the Box Office that keeps books: virtual users browse, order, pay and cancel, and afterwards every
//! acknowledged write is looked for.
//!
//! | part | job |
//! |---|---|
//! | `load`: [`run`] | drives the load for a while, then checks the books |
//! | `client` | one HTTP connection |
//! | `visit`: [`Kind`] | what one virtual user does, and what it expects |
//! | `ledger` | every acknowledged write, and the check through the API |
//! | [`audit`] | the check inside the databases |
//! | `report`: [`Report`] | counts, latencies, what was seen |
//! | [`rush`] | many buyers at once for few tickets |
//! | [`compare`] | two addresses asked for the same: where they differ |

pub mod audit;
mod client;
pub mod compare;
mod ledger;
mod load;
mod report;
pub mod rush;
mod visit;

pub use client::signature;
pub use load::{Plan, run};
pub use report::{Answers, Counts, Report};
pub use visit::Kind;
