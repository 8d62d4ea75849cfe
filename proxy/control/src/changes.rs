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
