//! The difference between two tables, one line per change, for people.

use banyan_routes::{RouteChange, RouteTable, diff};

/// One line per change from `old` to `new`: `orders-read 25 % -> 50 % (25 % of clients move to the candidate)`.
pub fn change_lines(old: &RouteTable, new: &RouteTable) -> Vec<String> {
    diff(old, new).iter().map(change_line).collect()
}

/// One change as a line.
pub fn change_line(change: &RouteChange) -> String {
    change.to_string()
}

/// The route that each change is about, in order; empty for other changes.
pub(crate) fn routes_of(changes: &[RouteChange]) -> Vec<String> {
    let route = |change: &RouteChange| match change {
        RouteChange::Added { route, .. }
        | RouteChange::Removed { route, .. }
        | RouteChange::Shifted { route, .. }
        | RouteChange::Changed { route, .. }
        | RouteChange::FallsBack { route, .. }
        | RouteChange::Shadowed { route, .. } => route.clone(),
        RouteChange::Part { .. } | RouteChange::Reordered => String::new(),
    };
    changes.iter().map(route).collect()
}
