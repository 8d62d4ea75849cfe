//! The table in force, with everything the request path needs ready-made.

use std::sync::Arc;

use banyan_routes::{Decision, RouteIndex, RouteTable, Timeouts, Upstream, UpstreamIndex};
use tokio::task::AbortHandle;

use crate::comparisons::Comparisons;
use crate::health;
use crate::metrics::{DEFAULT_ROUTE, Fallbacks, Metrics, RouteMetrics, UpstreamMetrics};
use crate::outside::CookieWatch;
use crate::shadow::{LiveShadow, RouteBounds};
use crate::targets::Servers;
use crate::upkeep::Upkeep;

/// One configuration, compiled. Swapped whole.
pub(crate) struct State {
    pub(crate) table: Arc<RouteTable>,
    pub(crate) generation: u64,
    upstreams: Box<[Arc<LiveUpstream>]>,
    routes: Box<[LiveRoute]>,
    default: LiveRoute,
    /// None while nothing moves.
    pub(crate) cookies: Option<CookieWatch>,
}

/// An upstream with its connections, counters and watchers.
pub(crate) struct LiveUpstream {
    pub(crate) servers: Arc<Servers>,
    pub(crate) metrics: Arc<UpstreamMetrics>,
    check: Option<AbortHandle>,
}

/// A route with its counters and ready-made header values.
pub(crate) struct LiveRoute {
    pub(crate) name: Arc<str>,
    pub(crate) metrics: Arc<RouteMetrics>,
    pub(crate) fallbacks: Fallbacks,
    /// None where nothing is copied.
    pub(crate) shadow: Option<LiveShadow>,
}

impl State {
    /// Compiles a table. What did not change since `before` is taken over as it stands.
    pub(crate) fn compile(
        table: Arc<RouteTable>,
        generation: u64,
        before: Option<&Self>,
        metrics: &Arc<Metrics>,
        comparisons: &Comparisons,
        upkeep: &Upkeep,
        workers: usize,
    ) -> Self {
        let upstreams = table.upstreams().iter().map(|upstream| {
            let kept = before.and_then(|before| before.same_upstream(upstream));
            kept.unwrap_or_else(|| LiveUpstream::start(upstream, metrics, upkeep, workers))
        });
        let upstreams: Box<[_]> = upstreams.collect();
        let name_of = |index: UpstreamIndex| table.upstream(index).name.as_str();
        let routes = table.routes().iter().map(|route| {
            let split = match &route.destination {
                banyan_routes::Destination::Split(split) => Some(split),
                _ => None,
            };
            let candidate = split.map(|split| name_of(split.candidate));
            let bounds = before.and_then(|before| before.shadow_bounds(&route.name));
            let fallback = split.map_or(&[][..], |split| split.fallback.on());
            LiveRoute {
                name: route.name.as_str().into(),
                metrics: metrics.route(&route.name, name_of(route.legacy), candidate),
                fallbacks: metrics.fallbacks(&route.name, fallback),
                shadow: split
                    .and_then(|split| LiveShadow::of(&table, route, split, metrics, comparisons, bounds)),
            }
        });
        let routes: Box<[_]> = routes.collect();
        let default = LiveRoute {
            name: DEFAULT_ROUTE.into(),
            metrics: metrics.route(DEFAULT_ROUTE, name_of(table.legacy()), None),
            fallbacks: Fallbacks::default(),
            shadow: None,
        };
        metrics.shadow_bounds().share_between(routes.iter().filter(|route| route.shadow.is_some()).count());
        metrics.retain(&table);
        let cookies = CookieWatch::of(&table, upkeep);
        Self { table, generation, upstreams, routes, default, cookies }
    }

    fn same_upstream(&self, wanted: &Upstream) -> Option<Arc<LiveUpstream>> {
        self.upstreams.iter().find(|live| live.servers.same_settings(wanted)).cloned()
    }

    fn shadow_bounds(&self, route: &str) -> Option<Arc<RouteBounds>> {
        let live = self.routes.iter().find(|live| &*live.name == route)?;
        live.shadow.as_ref().map(|shadow| Arc::clone(&shadow.bounds))
    }

    pub(crate) fn upstream(&self, index: UpstreamIndex) -> &Arc<LiveUpstream> {
        &self.upstreams[index.0 as usize]
    }

    /// Ends the checks of upstreams that `now` does not hold any more: streams of this table may go on for hours.
    pub(crate) fn retire(&self, now: &Self) {
        let is_kept = |old: &Arc<LiveUpstream>| now.upstreams.iter().any(|live| Arc::ptr_eq(live, old));
        self.upstreams.iter().filter(|old| !is_kept(old)).for_each(|old| old.stop_check());
    }

    pub(crate) fn upstreams(&self) -> &[Arc<LiveUpstream>] {
        &self.upstreams
    }

    pub(crate) fn route(&self, index: Option<RouteIndex>) -> &LiveRoute {
        index.map_or(&self.default, |index| &self.routes[index.0 as usize])
    }

    pub(crate) fn max_body(&self, decision: &Decision) -> Option<u64> {
        decision.route.map_or(self.table.max_body(), |route| self.table.route(route).max_body)
    }

    pub(crate) fn timeouts(&self, decision: &Decision) -> &Timeouts {
        decision.route.map_or(self.table.timeouts(), |route| &self.table.route(route).timeouts)
    }
}

/// One request at one server of one upstream, counted until dropped or handed over.
pub(crate) struct Inflight<'u> {
    upstream: &'u LiveUpstream,
    place: usize,
    worker: usize,
    is_handed_over: bool,
}

impl Inflight<'_> {
    /// Somebody else calls [`LiveUpstream::left`] when the request has ended.
    pub(crate) fn hand_over(mut self) {
        self.is_handed_over = true;
    }
}

impl Drop for Inflight<'_> {
    fn drop(&mut self) {
        if !self.is_handed_over {
            self.upstream.left(self.place, self.worker);
        }
    }
}

impl LiveUpstream {
    fn stop_check(&self) {
        if let Some(check) = &self.check {
            check.abort();
        }
    }

    pub(crate) fn enter(&self, place: usize, worker: usize) -> Inflight<'_> {
        self.metrics.began(worker);
        self.servers.targets[place].enter(worker);
        Inflight { upstream: self, place, worker, is_handed_over: false }
    }

    /// The request at this server has ended, however.
    pub(crate) fn left(&self, place: usize, worker: usize) {
        self.metrics.ended(worker);
        self.servers.targets[place].leave(worker);
    }

    fn start(upstream: &Upstream, metrics: &Arc<Metrics>, upkeep: &Upkeep, workers: usize) -> Arc<Self> {
        let servers = Arc::new(Servers::new(upstream, workers));
        let counters = metrics.upstream(&upstream.name);
        for server in &servers.targets {
            counters.set_healthy(&server.label, true);
        }
        counters.watch(&servers);
        upkeep.look_after(&servers);
        let watched = (Arc::clone(&servers), Arc::clone(&counters));
        let check =
            upstream.health.clone().map(|check| upkeep.spawn(health::watch(watched.0, check, watched.1)));
        Arc::new(Self { servers, metrics: counters, check })
    }
}

impl Drop for LiveUpstream {
    fn drop(&mut self) {
        self.stop_check();
    }
}
