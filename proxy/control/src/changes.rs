//! The difference between two tables, one line per change, for people.

use banyan_routes::{RouteChange, RouteTable, Share, diff};

/// One line per change from `old` to `new`: `orders-read 25 % -> 50 %`.
pub fn change_lines(old: &RouteTable, new: &RouteTable) -> Vec<String> {
    diff(old, new).iter().map(change_line).collect()
}

/// One change as a line.
pub fn change_line(change: &RouteChange) -> String {
    match change {
        RouteChange::Added { route, share: Some(share) } => format!("{route} added at {share} %"),
        RouteChange::Added { route, share: None } => format!("{route} added"),
        RouteChange::Removed { route, share: Some(share) } => format!("{route} removed, was at {share} %"),
        RouteChange::Removed { route, share: None } => format!("{route} removed"),
        RouteChange::Shifted { route, from, to, .. } => format!("{route} {from} % -> {to} %"),
        RouteChange::Changed { route, keys, moves } => {
            let keys = keys.join(", ");
            if *moves == Share::NONE {
                return format!("{route} changed: {keys}");
            }
            format!("{route} changed: {keys}; {moves} % of clients change arm")
        }
    }
}
