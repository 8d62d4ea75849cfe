//! Which of two routes is more specific.
//!
//! The order is a property of the routes alone, not of the request, so it is worked out once per table:
//! host (exact, longest wildcard, none); exact path, template (leftmost literal wins), longest prefix, regular
//! expression; a method before none; number of header conditions (cookies and client address count as headers);
//! number of query conditions. What is still equal stands in file order. This agrees with the Gateway API's
//! HTTPRoute wherever that speaks.

use std::cmp::{Ordering, Reverse};

use crate::pattern::{PathPattern, Segment};
use crate::table::{HostPattern, MethodSet, Route};

/// The steps of the comparison, as [`first_difference`] names them.
const HOST: &str = "host";
const PATH: &str = "path";
const METHOD: &str = "method";
const HEADERS: &str = "number of header conditions";
const QUERY: &str = "number of query conditions";
const FILE_ORDER: &str = "file order";

/// `Less` when `one` is more specific than `other`; `Equal` leaves it to file order.
pub(crate) fn order(one: &Route, other: &Route) -> Ordering {
    steps(one, other).map_or(Ordering::Equal, |(order, _)| order)
}

/// In what `one` and `other` differ in precedence.
pub(crate) fn first_difference(one: &Route, other: &Route) -> &'static str {
    steps(one, other).map_or(FILE_ORDER, |(_, step)| step)
}

fn steps(one: &Route, other: &Route) -> Option<(Ordering, &'static str)> {
    let (headers, queries) = counts(one);
    let (other_headers, other_queries) = counts(other);
    [
        (host(&one.host).cmp(&host(&other.host)), HOST),
        (path(&one.path, &other.path), PATH),
        (any_method(one).cmp(&any_method(other)), METHOD),
        (other_headers.cmp(&headers), HEADERS),
        (other_queries.cmp(&queries), QUERY),
    ]
    .into_iter()
    .find(|(order, _)| order.is_ne())
}

/// How many conditions of a route look at headers, and how many at the query.
fn counts(route: &Route) -> (usize, usize) {
    let queries = route.when.iter().filter(|condition| condition.is_query()).count();
    (route.when.len() - queries, queries)
}

fn any_method(route: &Route) -> bool {
    route.methods == MethodSet::Any
}

fn host(host: &HostPattern) -> (u8, Reverse<usize>) {
    match host {
        HostPattern::Exact(_) => (0, Reverse(0)),
        HostPattern::Suffix(suffix) => (1, Reverse(suffix.len())),
        HostPattern::Any => (2, Reverse(0)),
    }
}

fn path(one: &PathPattern, other: &PathPattern) -> Ordering {
    match (one, other) {
        (PathPattern::Template(one), PathPattern::Template(other)) => variables(one).cmp(variables(other)),
        (PathPattern::Prefix(one), PathPattern::Prefix(other)) => other.len().cmp(&one.len()),
        _ => kind(one).cmp(&kind(other)),
    }
}

fn variables(segments: &[Segment]) -> impl Iterator<Item = bool> {
    segments.iter().map(|segment| matches!(segment, Segment::Variable(_)))
}

fn kind(path: &PathPattern) -> u8 {
    match path {
        PathPattern::Exact(_) => 0,
        PathPattern::Template(_) => 1,
        PathPattern::Prefix(_) => 2,
        PathPattern::Regex(_) => 3,
    }
}
