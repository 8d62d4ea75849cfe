//! The handle by which the rest of the program holds the request path.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use banyan_routes::{Arm, RouteTable};
use ipnet::IpNet;
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::breaker::BreakerState;
use crate::comparisons::Comparisons;
use crate::connections::Connections;
use crate::forwarding::Identity;
use crate::limits::Limits;
use crate::metrics::{Distribution, Metrics};
use crate::server;
use crate::shadow::Shadows;
use crate::sockets::Sockets;
use crate::state::State;
use crate::tls::{Tls, TlsError, TlsSettings, UnusableUpstream, unusable_upstreams};
use crate::upkeep::Upkeep;
use crate::worker::Workers;

/// What belongs to the process and cannot change while it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to serve without TLS. Port 0 takes a free port.
    pub listen: Vec<SocketAddr>,
    /// Addresses to serve with TLS: needs `tls`.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificates, and whose clients are taken.
    pub tls: Option<TlsSettings>,
    /// HTTP/2 without TLS for clients that begin with its preface (RFC 9113 3.3).
    pub h2c: bool,
    /// Peers that say in a PROXY header whom they speak for, and must; from others none is taken.
    pub proxy_protocol_from: Vec<IpNet>,
    /// How much a client may take.
    pub limits: Limits,
    /// Worker threads.
    pub threads: usize,
    /// How long requests in flight may take to end after a stop.
    pub drain_timeout: Duration,
    /// Where access log lines go; none writes none.
    pub access_log: Option<AccessLogTarget>,
    /// Adds `Via: 1.1 banyan` both ways.
    pub via: bool,
}

impl Settings {
    /// Whether this peer begins its connections with a PROXY header.
    pub(crate) fn speaks_for_others(&self, peer: SocketAddr) -> bool {
        let address = peer.ip().to_canonical();
        self.proxy_protocol_from.iter().any(|network| network.contains(&address))
    }
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Why the proxy cannot start.
#[derive(Debug)]
pub enum StartError {
    /// An address is taken or not ours.
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The access log cannot be opened.
    AccessLog {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// TLS cannot be used.
    Tls(TlsError),
    /// TLS to an upstream cannot be used.
    Upstream(Box<UnusableUpstream>),
    /// A listening socket cannot be used.
    Sockets(io::Error),
    /// A thread cannot be started.
    Thread(io::Error),
    /// The metrics are registered already: a registry serves one gateway.
    Metrics(prometheus::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { address, error } => write!(out, "cannot listen on {address}: {error}"),
            Self::AccessLog { path, error } => {
                write!(out, "cannot open access log {}: {error}", path.display())
            }
            Self::Tls(error) => write!(out, "{error}"),
            Self::Upstream(unusable) => write!(out, "{unusable}"),
            Self::Sockets(error) => write!(out, "cannot use a listening socket: {error}"),
            Self::Thread(error) => write!(out, "cannot start a thread: {error}"),
            Self::Metrics(error) => write!(out, "cannot register metrics: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// State of one server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// Upstream.
    pub upstream: String,
    /// `host:port`.
    pub target: String,
    /// By the active check; true without one.
    pub healthy: bool,
    /// Taken out for a while after failures in a row.
    pub ejected: bool,
    /// Requests in flight.
    pub inflight: u64,
}

/// State of the breaker of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerStatus {
    /// Upstream.
    pub upstream: String,
    /// Whether requests of candidates reach it.
    pub state: BreakerState,
    /// Time left until the first probe, while it is open.
    pub probes_in: Option<Duration>,
    /// Requests in the window.
    pub requests: u64,
    /// Of these, errors.
    pub errors: u64,
}

/// Counts of one arm of one route since the start of the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmCounts {
    /// Answers.
    pub requests: u64,
    /// Failures of this arm: answers that are 5xx, and for the candidate what fell back on legacy.
    pub errors: u64,
    /// Requests of the candidate that legacy answered in its place, or tried to; 0 for other arms.
    pub fallbacks: u64,
    /// Decisions by reason `share` for this arm.
    pub share_decisions: u64,
    /// How long they took.
    pub durations: Distribution,
}

/// Counts of one route since the start of the process, or since the route first had its name.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteCounts {
    /// Its name, or `default`.
    pub route: Arc<str>,
    /// Of legacy, of the candidate, of Banyan itself.
    pub arms: [ArmCounts; 3],
    /// Comparisons that said something.
    pub compared: u64,
    /// Mismatches among them.
    pub mismatches: u64,
}

impl ArmCounts {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            errors: self.errors.saturating_sub(earlier.errors),
            fallbacks: self.fallbacks.saturating_sub(earlier.fallbacks),
            share_decisions: self.share_decisions.saturating_sub(earlier.share_decisions),
            durations: self.durations.since(&earlier.durations),
        }
    }
}

/// How long the access log may take to write its last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// The request path. Cheap to clone; all clones are one gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// The addresses in `settings` with free ports filled in.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) tls_addresses: Vec<SocketAddr>,
    pub(crate) tls: Option<Tls>,
    pub(crate) sockets: Sockets,
    pub(crate) workers: Workers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) identity: Identity,
    upkeep: Upkeep,
    comparisons: Arc<Comparisons>,
    pub(crate) shadows: Shadows,
    pub(crate) accepting: AtomicBool,
}

impl Gateway {
    /// Binds the addresses, makes everything ready and registers the metrics. Connections wait until it runs.
    pub fn new(
        settings: Settings,
        table: Arc<RouteTable>,
        generation: u64,
        registry: &prometheus::Registry,
    ) -> Result<Self, StartError> {
        Self::taking_over(settings, Vec::new(), table, generation, registry)
    }

    /// The same with listening sockets of another process, see [`Gateway::sockets`]. Those whose address is not in
    /// the settings are closed.
    pub fn taking_over(
        settings: Settings,
        mut sockets: Vec<TcpListener>,
        table: Arc<RouteTable>,
        generation: u64,
        registry: &prometheus::Registry,
    ) -> Result<Self, StartError> {
        if let Some(unusable) = unusable_upstreams(&table).into_iter().next() {
            return Err(StartError::Upstream(Box::new(unusable)));
        }
        let wanted = [settings.listen.as_slice(), &settings.listen_tls].concat();
        let listening = Sockets::open(&wanted, &mut sockets)?;
        let mut addresses = listening.addresses().map_err(StartError::Sockets)?;
        let tls_addresses = addresses.split_off(settings.listen.len());
        let tls =
            settings.tls.as_ref().map(|tls| Tls::new(tls, true)).transpose().map_err(StartError::Tls)?;
        let threads = settings.threads.max(1);
        // The thread that shadows counts as one worker more.
        let metrics = Metrics::new(threads + 1);
        metrics.register(registry).map_err(StartError::Metrics)?;
        let access_log = open_access_log(&settings, &metrics)?;
        let upkeep = Upkeep::start().map_err(StartError::Thread)?;
        let comparisons = Arc::<Comparisons>::default();
        let state = State::compile(table, generation, None, &metrics, &comparisons, &upkeep, threads);
        let state = Arc::new(state);
        let shadows = Shadows::start(threads, &metrics, &comparisons).map_err(StartError::Thread)?;
        if let Some(tls) = &tls {
            upkeep.spawn(tls.clone().keep_fresh());
        }
        let shared = Shared {
            addresses,
            tls_addresses,
            tls,
            sockets: listening,
            workers: Workers::new(threads, &state),
            metrics,
            access_log,
            connections: Arc::default(),
            identity: Identity::new(settings.via),
            upkeep,
            comparisons,
            shadows,
            accepting: AtomicBool::new(false),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Puts another table in force, of which [`unusable_upstreams`] is empty. Pools and health of upstreams that did not
    /// change are kept.
    ///
    /// Called by one thread at a time.
    pub fn apply(&self, table: Arc<RouteTable>, generation: u64) {
        let shared = &self.shared;
        let before = shared.workers.in_force(0);
        let threads = shared.settings.threads.max(1);
        let Shared { metrics, comparisons, upkeep, .. } = &**shared;
        let state = State::compile(table, generation, Some(&before), metrics, comparisons, upkeep, threads);
        shared.workers.swap(&Arc::new(state));
        let now = shared.workers.in_force(0);
        before.retire(&now);
        comparisons.retain(|name| now.table.routes().iter().any(|route| route.name == name));
    }

    /// What the comparisons of shadowed requests add up to.
    pub fn comparisons(&self) -> &Arc<Comparisons> {
        &self.shared.comparisons
    }

    /// The table in force.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.shared.workers.in_force(0).table)
    }

    /// Where it listens without TLS, free ports filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// Where it listens with TLS, free ports filled in.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.shared.tls_addresses
    }

    /// Reads the certificates again if their files have changed. They are looked at every few seconds anyway.
    pub fn refresh_certificates(&self) {
        if let Some(tls) = &self.shared.tls {
            tls.refresh();
        }
    }

    /// The listening sockets once more, for a process that takes over: both may accept until this one stops. They
    /// stay open until the last of them is dropped. Empty after the stop.
    pub fn sockets(&self) -> io::Result<Vec<TcpListener>> {
        self.shared.sockets.duplicates()
    }

    /// True while new connections are accepted.
    pub fn is_accepting(&self) -> bool {
        self.shared.accepting.load(Ordering::Acquire)
    }

    /// Every target of every upstream, by name.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let (state, now) = (self.shared.workers.in_force(0), Instant::now());
        let of_upstream = |upstream: &Arc<crate::state::LiveUpstream>| {
            let servers = &upstream.servers;
            let status = |(place, server): (usize, &Arc<crate::targets::Server>)| TargetStatus {
                upstream: servers.settings.name.clone(),
                target: server.label.to_string(),
                healthy: server.is_healthy(),
                ejected: servers.is_ejected(place, now),
                inflight: server.inflight(),
            };
            servers.targets.iter().enumerate().map(status).collect::<Vec<_>>()
        };
        state.upstreams().iter().flat_map(of_upstream).collect()
    }

    /// Every breaker, by name of the upstream.
    pub fn breakers(&self) -> Vec<BreakerStatus> {
        let (state, now) = (self.shared.workers.in_force(0), Instant::now());
        let status = |upstream: &Arc<crate::state::LiveUpstream>| {
            let breaker = upstream.servers.breaker.as_ref()?;
            let totals = breaker.totals(now);
            Some(BreakerStatus {
                upstream: upstream.servers.settings.name.clone(),
                state: breaker.state(),
                probes_in: breaker.probes_in(now),
                requests: totals.requests,
                errors: totals.errors,
            })
        };
        state.upstreams().iter().filter_map(status).collect()
    }

    /// Counts of one route by its name (`default` for unmatched requests) and arm.
    pub fn counts(&self, route: &str, arm: Arm) -> ArmCounts {
        self.shared.metrics.counts(route, arm)
    }

    /// Counts of every route of the table in force, and of `default`, in one pass.
    pub fn sample(&self) -> Vec<RouteCounts> {
        self.shared.metrics.sample()
    }

    /// Opens the access log file again: a log rotator has moved it.
    pub fn reopen_access_log(&self) {
        if let Some(log) = &self.shared.access_log {
            log.reopen();
        }
    }

    /// Serves until `stop` turns true (or its sender is gone), then drains, and returns when the last request
    /// has ended or the drain time is over. Blocks the calling thread; brings its own worker threads.
    ///
    /// The worker threads stay behind until the process ends.
    pub fn run(self, stop: watch::Receiver<bool>) -> Drained {
        let drain_timeout = self.shared.settings.drain_timeout;
        let (shared, server_stop) = (Arc::clone(&self.shared), stop.clone());
        let server = std::thread::Builder::new()
            .name("banyan-server".into())
            .spawn(move || server::run(&shared, server_stop));
        if let Err(error) = server {
            tracing::error!(%error, "cannot start the server thread");
            return Drained::NeverServed;
        }
        wait_for(stop);
        self.shared.shadows.stop();
        self.shared.sockets.close();
        self.shared.accepting.store(false, Ordering::Release);
        self.shared.workers.drain();
        // The accept loops end on their own threads; what they accept until then is served, too.
        std::thread::sleep(Duration::from_millis(50));
        let left = self.shared.connections.wait_until_none(drain_timeout);
        self.close_access_log();
        if left == 0 { Drained::Clean } else { Drained::CutOff { connections: left } }
    }

    fn close_access_log(&self) {
        if let Some(log) = &self.shared.access_log
            && !log.close(LOG_PATIENCE)
        {
            tracing::warn!("the access log did not take its last lines in time");
        }
    }
}

fn open_access_log(settings: &Settings, metrics: &Metrics) -> Result<Option<AccessLog>, StartError> {
    let Some(target) = &settings.access_log else { return Ok(None) };
    let opened =
        AccessLog::open(target, metrics.access_log_dropped()).map_err(|error| StartError::AccessLog {
            path: match target {
                AccessLogTarget::Stdout => PathBuf::from("standard output"),
                AccessLogTarget::File(path) => path.clone(),
            },
            error,
        })?;
    Ok(Some(opened))
}

/// Blocks until the stop. A sender that is gone stops, too.
fn wait_for(mut stop: watch::Receiver<bool>) {
    let waiting = tokio::runtime::Builder::new_current_thread().build();
    match waiting {
        Ok(runtime) => {
            let _ = runtime.block_on(stop.wait_for(|stop| *stop));
        }
        Err(error) => tracing::error!(%error, "cannot wait for the stop"),
    }
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request ended.
    Clean,
    /// The drain time was over with this many connections open.
    CutOff {
        /// Connections closed by force.
        connections: u64,
    },
    /// The system gave no thread to serve on.
    NeverServed,
}
