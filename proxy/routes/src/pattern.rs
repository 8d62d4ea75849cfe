//! What the path of a route can be.

use regex::Regex;

/// What the path of a route can be.
#[derive(Debug, Clone)]
pub enum PathPattern {
    /// `/a`
    Exact(Box<str>),
    /// `/a/{id}/pdf`
    Template(Box<[Segment]>),
    /// `/a/*`, kept without the `/*`: `/a` and everything below it.
    Prefix(Box<str>),
    /// `path_regex`, anchored at both ends.
    Regex(Regex),
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Must be equal.
    Literal(Box<str>),
    /// Any one segment that is not empty.
    Variable(Box<str>),
}
