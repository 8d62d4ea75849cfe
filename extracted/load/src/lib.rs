//! Load for the Box Office that keeps books: virtual users browse, order, pay and cancel, and afterwards every
//! acknowledged write is looked for.
//!
//! | part | job |
//! |---|---|
//! | `load`: [`Plan`], [`run`] | drives the load for a while, then checks the books |
//! | `client` | one HTTP connection |
//! | `visit`: `Kind` | what one virtual user does, and what it expects |
//! | `ledger` | every acknowledged write, and the check through the API |
//! | `audit`: [`audit()`] | the check inside the databases |
//! | `report`: [`Report`] | counts, latencies, what was seen |
//! | `rush`: [`rush()`] | many buyers at once for few tickets |
//! | `compare`: [`compare()`] | two addresses asked for the same: where they differ |

mod audit;
mod client;
mod compare;
mod ledger;
mod load;
mod report;
mod rush;
mod visit;

pub use audit::{Audit, audit};
pub use compare::compare;
pub use load::{Plan, run};
pub use report::Report;
pub use rush::rush;
