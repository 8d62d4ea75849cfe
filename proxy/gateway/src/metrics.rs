//! What the proxy counts: one cell per worker thread and series, summed when scraped.
//!
//! - `list`: every metric by name, type, help and labels. `cells`: the numbers themselves.
//! - `failing`: fallbacks, breakers and targets taken out. `shadowing`: copies and comparisons.
//! - `scrape`: what Prometheus reads. Here: the handles through which the request path writes.
//!
//! A handle is made when a table is compiled. Handles of one route name share their numbers across reloads; a handle
//! that outlives its route writes where nobody reads.
//!
//! Series appear when they can: those of an arm that a route has are there from the start with zero, so that the first
//! increment shows in a rate; others (an arm, reason or failure nobody expects) appear with their first event.

mod cells;
mod failing;
pub mod list;
mod scrape;
mod shadowing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use banyan_routes::{Arm, Destination, FallbackCause, Reason, RouteTable};
use prometheus::process_collector::ProcessCollector;

use crate::connections::Unwelcome;
use crate::gateway::ArmCounts;
use crate::guard::RefusedReason;
use crate::shadow::Bounds;
use crate::targets::Servers;
pub use cells::Distribution;
use cells::{Count, Durations, Level, PerWorker};
pub(crate) use failing::Fallbacks;
pub use list::{METRICS, MetricInfo, MetricKind};
use scrape::Scrape;
pub(crate) use shadowing::{ShadowMetrics, ShadowResult, ShadowVerdict};

/// The route under which unmatched requests are counted.
pub(crate) const DEFAULT_ROUTE: &str = "default";

const ARMS: [Arm; 3] = [Arm::Legacy, Arm::Candidate, Arm::Banyan];
/// Where the connection of a request comes from; `new` is the second.
const LEASES: [&str; 2] = ["idle", "new"];
const CODE_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// How an attempt on an upstream failed; also the kinds of `upstream_errors_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The name has no address.
    Resolve,
    /// No TCP connection.
    Connect,
    /// The handshake of TLS failed.
    Tls,
    /// No connection in time.
    ConnectTimeout,
    /// Every connection in use, and the line too long.
    Exhausted,
    /// No head of an answer in time.
    Timeout,
    /// The connection ended before the head of an answer.
    Reset,
    /// What came is not HTTP, or a 101 nobody asked for.
    BadAnswer,
    /// The answer ended before its body did.
    BrokenOff,
    /// No target takes requests.
    NoTarget,
    /// The breaker let nothing through.
    BreakerOpen,
    /// The status of an answer is a cause to fall back.
    Discarded,
    /// As many requests there as there may be.
    Busy,
}

impl Failure {
    /// Every failure, in the order of the discriminants.
    const ALL: [Self; 13] = [
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::ConnectTimeout,
        Self::Exhausted,
        Self::Timeout,
        Self::Reset,
        Self::BadAnswer,
        Self::BrokenOff,
        Self::NoTarget,
        Self::BreakerOpen,
        Self::Discarded,
        Self::Busy,
    ];

    /// The metric label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve-error",
            Self::Connect => "connect-error",
            Self::Tls => "tls-error",
            Self::ConnectTimeout => "connect-timeout",
            Self::Exhausted => "exhausted",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::BadAnswer => "bad-answer",
            Self::BrokenOff => "broken-off",
            Self::NoTarget => "no-target",
            Self::BreakerOpen => "breaker-open",
            Self::Discarded => "discarded",
            Self::Busy => "busy",
        }
    }
}

/// What came of an attempt to get an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The head of an answer, whatever its status.
    Answered,
    /// None.
    Failed(Failure),
}

/// Every number of one gateway.
pub(crate) struct Metrics {
    workers: usize,
    series: Mutex<Series>,
    process: PerWorker<ProcessCell>,
    connections: PerWorker<Level>,
    log_dropped: Arc<AtomicU64>,
    shadow_bounds: Bounds,
}

#[derive(Default)]
struct Series {
    routes: BTreeMap<Arc<str>, RouteSeries>,
    /// By route and upstream.
    upstream_durations: BTreeMap<Pair, Arc<PerWorker<Durations>>>,
    upstreams: BTreeMap<Arc<str>, Arc<UpstreamMetrics>>,
    fallbacks: failing::Counts,
    shadows: shadowing::Counts,
}

/// A route and an upstream.
type Pair = (Arc<str>, Arc<str>);

struct RouteSeries {
    cells: Arc<PerWorker<RouteCell>>,
    has_candidate: bool,
    share: Option<f64>,
}

#[derive(Default)]
struct ProcessCell {
    refused: [Count; RefusedReason::ALL.len()],
    unwelcome: [Count; Unwelcome::ALL.len()],
    informational_dropped: Count,
    panics: Count,
}

#[derive(Default)]
struct RouteCell {
    arms: [ArmCell; ARMS.len()],
    retries: Count,
    cookie_collisions: Count,
    cookies_unwatched: Count,
}

#[derive(Default)]
struct ArmCell {
    code_classes: [Count; CODE_CLASSES.len()],
    decisions: [Count; Reason::ALL.len()],
    answered: Count,
    failed: [Count; Failure::ALL.len()],
    durations: Durations,
}

/// The handle of one route in one table.
pub(crate) struct RouteMetrics {
    cells: Arc<PerWorker<RouteCell>>,
    legacy: Arc<PerWorker<Durations>>,
    candidate: Option<Arc<PerWorker<Durations>>>,
}

/// The handle of one upstream.
pub(crate) struct UpstreamMetrics {
    errors: PerWorker<[Count; Failure::ALL.len()]>,
    inflight: PerWorker<Level>,
    leases: PerWorker<[Count; LEASES.len()]>,
    healthy: Mutex<BTreeMap<Box<str>, bool>>,
    /// Those in force, who know more than they tell.
    servers: Mutex<Weak<Servers>>,
}

impl RouteMetrics {
    /// A request was decided.
    pub(crate) fn decided(&self, worker: usize, arm: Arm, reason: Reason) {
        self.arm(worker, arm).decisions[place_of_reason(reason)].add_one();
    }

    /// A request has ended. `arm` is who answered, `duration` from its head to the end of the answer. A status without
    /// class counts as 5xx.
    pub(crate) fn answered(&self, worker: usize, arm: Arm, status: u16, duration: Duration) {
        let cell = self.arm(worker, arm);
        let class = usize::from(status / 100).wrapping_sub(1);
        cell.code_classes[if class < CODE_CLASSES.len() { class } else { CODE_CLASSES.len() - 1 }].add_one();
        cell.durations.observe(duration);
    }

    /// An attempt on the upstream of an arm has ended; `duration` until the head of the answer or the failure. Only
    /// answers count in `upstream_duration_seconds`: a refused connection is quick, and no sign of health.
    pub(crate) fn attempt(&self, worker: usize, arm: Arm, outcome: Outcome, duration: Duration) {
        let cell = self.arm(worker, arm);
        match outcome {
            Outcome::Answered => {
                cell.answered.add_one();
                let durations =
                    if arm == Arm::Candidate { self.candidate.as_ref() } else { Some(&self.legacy) };
                if let Some(durations) = durations {
                    durations.of(worker).observe(duration);
                }
            }
            Outcome::Failed(failure) => cell.failed[failure as usize].add_one(),
        }
    }

    /// A second attempt begins.
    pub(crate) fn retried(&self, worker: usize) {
        self.cells.of(worker).retries.add_one();
    }

    /// A cookie was set that the other arm sets with other attributes.
    pub(crate) fn cookie_collided(&self, worker: usize) {
        self.cells.of(worker).cookie_collisions.add_one();
    }

    /// A cookie was set that is not compared between the arms.
    pub(crate) fn cookie_unwatched(&self, worker: usize) {
        self.cells.of(worker).cookies_unwatched.add_one();
    }

    fn arm(&self, worker: usize, arm: Arm) -> &ArmCell {
        &self.cells.of(worker).arms[place_of_arm(arm)]
    }
}

impl UpstreamMetrics {
    fn new(workers: usize) -> Self {
        Self {
            errors: PerWorker::new(workers),
            inflight: PerWorker::new(workers),
            leases: PerWorker::new(workers),
            healthy: Mutex::default(),
            servers: Mutex::default(),
        }
    }

    /// The upstream failed.
    pub(crate) fn error(&self, worker: usize, kind: Failure) {
        self.errors.of(worker)[kind as usize].add_one();
    }

    /// A request has a connection: one that was at hand, or one that was opened or waited for.
    pub(crate) fn leased(&self, worker: usize, is_new: bool) {
        self.leases.of(worker)[usize::from(is_new)].add_one();
    }

    /// A request goes to this upstream. Pair with [`Self::ended`] in a `Drop`, on whatever worker.
    pub(crate) fn began(&self, worker: usize) {
        self.inflight.of(worker).add(1);
    }

    /// The request has ended, however.
    pub(crate) fn ended(&self, worker: usize) {
        self.inflight.of(worker).add(-1);
    }

    /// Says whether a target takes requests.
    pub(crate) fn set_healthy(&self, target: &str, healthy: bool) {
        locked(&self.healthy).insert(target.into(), healthy);
    }
}

impl Metrics {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            series: Mutex::default(),
            process: PerWorker::new(workers),
            connections: PerWorker::new(workers),
            log_dropped: Arc::default(),
            shadow_bounds: Bounds::default(),
        })
    }

    /// Puts all of it, and the usual metrics of a process, into a registry. Fails when a name is taken there.
    pub(crate) fn register(self: &Arc<Self>, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(Scrape::new(Arc::clone(self))?))?;
        registry.register(Box::new(ProcessCollector::for_self()))
    }

    /// The handle of a route: its numbers go on from an earlier handle of that name. `candidate` is the upstream the
    /// route moves to.
    pub(crate) fn route(&self, name: &str, legacy: &str, candidate: Option<&str>) -> Arc<RouteMetrics> {
        let mut series = locked(&self.series);
        let route = series.routes.entry(name.into()).or_insert_with(|| RouteSeries {
            cells: Arc::new(PerWorker::new(self.workers)),
            has_candidate: false,
            share: None,
        });
        route.has_candidate = candidate.is_some();
        let cells = Arc::clone(&route.cells);
        let mut durations = |upstream: &str| {
            let key = (name.into(), upstream.into());
            let made = || Arc::new(PerWorker::new(self.workers));
            Arc::clone(series.upstream_durations.entry(key).or_insert_with(made))
        };
        Arc::new(RouteMetrics { cells, legacy: durations(legacy), candidate: candidate.map(durations) })
    }

    /// The handle of an upstream: its numbers go on from an earlier handle of that name.
    pub(crate) fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        let mut series = locked(&self.series);
        let made = || Arc::new(UpstreamMetrics::new(self.workers));
        Arc::clone(series.upstreams.entry(name.into()).or_insert_with(made))
    }

    /// Drops the series of everything that this table does not name, and takes over its shares. Call after the
    /// handles of the table are made.
    pub(crate) fn retain(&self, table: &RouteTable) {
        let mut named = Named::default();
        named.route(DEFAULT_ROUTE, None, &[&table.upstream(table.legacy()).name]);
        for route in table.routes() {
            let legacy = &*table.upstream(route.legacy).name;
            match &route.destination {
                Destination::Split(split) => {
                    let causes = split.fallback.on().iter().map(|cause| (&*route.name, *cause));
                    named.fallbacks.extend(causes);
                    named.shadows.extend(split.shadow.as_ref().map(|_| &*route.name));
                    let upstreams = [legacy, &*table.upstream(split.candidate).name];
                    named.route(&route.name, Some(split.share.ratio()), &upstreams);
                }
                _ => named.route(&route.name, None, &[legacy]),
            }
        }
        for upstream in table.upstreams() {
            let targets = upstream.targets.iter().filter_map(|target| target.authority.to_str().ok());
            named.upstreams.insert(&upstream.name, targets.collect());
        }
        self.keep(&named);
    }

    fn keep(&self, named: &Named<'_>) {
        let mut series = locked(&self.series);
        series.routes.retain(|name, route| {
            let share = named.routes.get(&**name);
            route.share = share.copied().flatten();
            share.is_some()
        });
        series
            .upstream_durations
            .retain(|(route, upstream), _| named.pairs.contains(&(&**route, &**upstream)));
        series.fallbacks.retain(|(route, cause), _| named.fallbacks.contains(&(&**route, *cause)));
        series.shadows.retain(|route, _| named.shadows.contains(&**route));
        series.upstreams.retain(|name, upstream| {
            let targets = named.upstreams.get(&**name);
            if let Some(targets) = targets {
                locked(&upstream.healthy).retain(|target, _| targets.contains(&**target));
            }
            targets.is_some()
        });
    }

    /// A connection was closed before its first request.
    pub(crate) fn unwelcome(&self, worker: usize, reason: Unwelcome) {
        self.process.of(worker).unwelcome[reason as usize].add_one();
    }

    /// A request was refused by its head or its length.
    pub(crate) fn refused(&self, worker: usize, reason: RefusedReason) {
        self.process.of(worker).refused[reason as usize].add_one();
    }

    /// A client connection opened. Pair with [`Self::connection_closed`] in a `Drop`.
    pub(crate) fn connection_opened(&self, worker: usize) {
        self.connections.of(worker).add(1);
    }

    /// A client connection closed, however.
    pub(crate) fn connection_closed(&self, worker: usize) {
        self.connections.of(worker).add(-1);
    }

    /// An interim answer was not passed on.
    pub(crate) fn informational_dropped(&self, worker: usize) {
        self.process.of(worker).informational_dropped.add_one();
    }

    /// A panic became a 500.
    pub(crate) fn panicked(&self, worker: usize) {
        self.process.of(worker).panics.add_one();
    }

    /// The number of lost access log lines, for the access log to count in.
    pub(crate) fn access_log_dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.log_dropped)
    }

    /// Counts of one route and arm since the route first had its name.
    pub(crate) fn counts(&self, route: &str, arm: Arm) -> ArmCounts {
        let cells = locked(&self.series).routes.get(route).map(|route| Arc::clone(&route.cells));
        let Some(cells) = cells else { return ArmCounts::default() };
        let fallbacks = if arm == Arm::Candidate { self.fell_back(route) } else { 0 };
        let arm = place_of_arm(arm);
        let by_class = |class: usize| cells.sum(|cell| &cell.arms[arm].code_classes[class]);
        let durations = Distribution::of(cells.all().map(|cell| &cell.arms[arm].durations));
        ArmCounts {
            requests: (0..CODE_CLASSES.len()).map(by_class).sum(),
            errors: by_class(CODE_CLASSES.len() - 1) + fallbacks,
            fallbacks,
            share_decisions: cells.sum(|cell| &cell.arms[arm].decisions[place_of_reason(Reason::Share)]),
            durations,
        }
    }
}

/// What a table names.
#[derive(Default)]
struct Named<'t> {
    routes: BTreeMap<&'t str, Option<f64>>,
    pairs: BTreeSet<(&'t str, &'t str)>,
    upstreams: BTreeMap<&'t str, BTreeSet<&'t str>>,
    fallbacks: BTreeSet<(&'t str, FallbackCause)>,
    shadows: BTreeSet<&'t str>,
}

impl<'t> Named<'t> {
    fn route(&mut self, name: &'t str, share: Option<f64>, upstreams: &[&'t str]) {
        self.routes.insert(name, share);
        self.pairs.extend(upstreams.iter().map(|upstream| (name, *upstream)));
    }
}

fn place_of_arm(arm: Arm) -> usize {
    match arm {
        Arm::Legacy => 0,
        Arm::Candidate => 1,
        Arm::Banyan => 2,
    }
}

/// Place in [`Reason::ALL`].
fn place_of_reason(reason: Reason) -> usize {
    reason as usize
}

/// A panic while a map is locked leaves it whole: entries are put in and taken out one by one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
