//! What changes between two tables.

use crate::table::{RouteTable, Share};

/// What happened to one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// New in this table.
    Added {
        /// Its name.
        route: String,
        /// Its share, if it has a candidate.
        share: Option<Share>,
    },
    /// Gone.
    Removed {
        /// Its name.
        route: String,
        /// The share it had.
        share: Option<Share>,
    },
    /// Another share, with the same bucket assignment.
    Shifted {
        /// Its name.
        route: String,
        /// Before.
        from: Share,
        /// After.
        to: Share,
        /// Share of clients that change arm.
        moves: Share,
    },
    /// Something else changed: which keys, and which share of clients changes arm through it.
    Changed {
        /// Its name, or `default`, or the name of an upstream.
        route: String,
        /// Words for people: `to`, `path`, `sticky`, ...
        keys: Vec<&'static str>,
        /// Share of clients that change arm.
        moves: Share,
    },
}

/// What changes from `old` to `new`, in the order of the new file, removed routes last.
pub fn diff(_old: &RouteTable, _new: &RouteTable) -> Vec<RouteChange> {
    Vec::new()
}
