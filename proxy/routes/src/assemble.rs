//! From valid parts to a table: index, identity, and routes that can never match.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::identity::identity;
use crate::index::Index;
use crate::pattern::{PathPattern, Segment};
use crate::table::{
    Cohort, MethodSet, PathOptions, Rewrite, Route, RouteIndex, RouteTable, Store, TableHash, Timeouts,
    Upstream, UpstreamIndex,
};

/// Everything a table is made of, each part valid and every index within its list.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The upstream that answers whatever no route has taken.
    pub(crate) legacy: UpstreamIndex,
    /// Those of requests that no route matches.
    pub(crate) timeouts: Timeouts,
    /// Longest body of such requests.
    pub(crate) max_body: Option<u64>,
    /// Peers whose forwarding fields are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether an empty set of routes may replace one that is not empty.
    pub(crate) allow_empty: bool,
    /// Whether answers to requests that no route matches are made to fit.
    pub(crate) rewrite_answers: bool,
    /// In file order: the main file, then includes by name.
    pub(crate) routes: Vec<Route>,
    /// In order of their names.
    pub(crate) upstreams: Vec<Upstream>,
    /// In order of their names.
    pub(crate) stores: Vec<Store>,
    /// In order of their names.
    pub(crate) cohorts: Vec<Cohort>,
}

/// A table, and what is odd about it.
#[derive(Debug)]
pub(crate) struct Assembled {
    /// The table.
    pub(crate) table: RouteTable,
    /// Routes that can never match.
    pub(crate) unreachable: Vec<Unreachable>,
}

/// A route that can never match, because another always wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreachable {
    /// The route that never matches.
    pub(crate) loser: RouteIndex,
    /// The route that takes all its requests.
    pub(crate) winner: RouteIndex,
}

impl RouteTable {
    /// Makes a table of its parts.
    pub(crate) fn assemble(parts: Parts) -> Assembled {
        let routes: Box<[Route]> = parts.routes.into();
        let index = Arc::new(Index::new(&routes));
        let unreachable = unreachable(&routes, index.by_rank());
        let mut table = Self {
            legacy: parts.legacy,
            timeouts: parts.timeouts,
            max_body: parts.max_body,
            trusted_proxies: parts.trusted_proxies.into(),
            allow_empty: parts.allow_empty,
            rewrite: Rewrite { answers: parts.rewrite_answers, ..Rewrite::default() },
            routes,
            upstreams: parts.upstreams.into(),
            stores: parts.stores.into(),
            cohorts: parts.cohorts.into(),
            hash: TableHash(String::new()),
            index,
        };
        table.hash = identity(&table);
        Assembled { table, unreachable }
    }
}

/// Routes that a more specific one, or an equal one before them, takes every request from.
///
/// Only pairs with the same host and the same path are looked at: nothing is reported that could match.
fn unreachable(routes: &[Route], by_rank: &[RouteIndex]) -> Vec<Unreachable> {
    let mut before: BTreeMap<String, Vec<RouteIndex>> = BTreeMap::new();
    let mut found = Vec::new();
    for &loser in by_rank {
        let route = &routes[loser.0 as usize];
        let earlier = before.entry(alike(route)).or_default();
        if let Some(&winner) = earlier.iter().find(|winner| covers(&routes[winner.0 as usize], route)) {
            found.push(Unreachable { loser, winner });
        }
        earlier.push(loser);
    }
    found.sort_by_key(|unreachable| unreachable.loser);
    found
}

/// A text that is equal for routes whose paths could be the same.
fn alike(route: &Route) -> String {
    format!("{:?} {}", route.host, loose_shape(&route.path))
}

/// A text that is equal for paths that could be the same under any options.
pub(crate) fn loose_shape(path: &PathPattern) -> String {
    shape(path, PathOptions { ignore_case: true, ignore_trailing_slash: true })
}

/// A path without what its options and the names of its variables leave open.
fn shape(path: &PathPattern, options: PathOptions) -> String {
    let mut text = match path {
        PathPattern::Regex(regex) => return format!("regex {}", regex.as_str()),
        PathPattern::Template(segments) => {
            segments.iter().fold(String::new(), |path, segment| match segment {
                Segment::Literal(name) => path + "/" + name,
                Segment::Variable(_) => path + "/{}",
            })
        }
        other => other.to_string(),
    };
    if options.ignore_case {
        text.make_ascii_lowercase();
    }
    if options.ignore_trailing_slash && text.ends_with('/') {
        text.pop();
    }
    text
}

/// Whether every request of `loser`, whose path is alike, is one of `winner` too.
fn covers(winner: &Route, loser: &Route) -> bool {
    let (loose, strict) = (winner.path_options, loser.path_options);
    let path = (loose.ignore_case || !strict.ignore_case)
        && (loose.ignore_trailing_slash || !strict.ignore_trailing_slash)
        && shape(&winner.path, loose) == shape(&loser.path, loose);
    let methods = match (&winner.methods, &loser.methods) {
        (MethodSet::Any, _) => true,
        (MethodSet::Only(_), MethodSet::Any) => false,
        (methods, MethodSet::Only(asked)) => asked.iter().all(|method| methods.takes(method.as_str())),
    };
    let held: Vec<String> = loser.when.iter().map(ToString::to_string).collect();
    path && methods && winner.when.iter().all(|condition| held.contains(&condition.to_string()))
}
