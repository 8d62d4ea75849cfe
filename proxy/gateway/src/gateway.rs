//! The handle by which the rest of the program holds the request path.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use banyan_routes::{Arm, RouteTable};
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::connections::Connections;
use crate::forwarding::Identity;
use crate::metrics::Metrics;
use crate::server;
use crate::state::State;
use crate::upkeep::Upkeep;
use crate::worker::Workers;

/// What belongs to the process and cannot change while it runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to serve, at least one. Port 0 takes a free port.
    pub listen: Vec<SocketAddr>,
    /// Worker threads.
    pub threads: usize,
    /// How long requests in flight may take to end after a stop.
    pub drain_timeout: Duration,
    /// Where access log lines go; none writes none.
    pub access_log: Option<AccessLogTarget>,
    /// Adds `Via: 1.1 banyan` both ways.
    pub via: bool,
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
        error: std::io::Error,
    },
    /// The access log cannot be opened.
    AccessLog {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A thread cannot be started.
    Thread(std::io::Error),
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
    /// Requests in flight.
    pub inflight: u64,
}

/// Counts of one arm of one route since the start of the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmCounts {
    /// Answers.
    pub requests: u64,
    /// Of these, 5xx.
    pub errors: u64,
    /// Decisions by reason `share` for this arm.
    pub share_decisions: u64,
    /// Quantiles of the duration in seconds, interpolated from the histogram; none without data.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
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
    pub(crate) workers: Workers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) identity: Identity,
    upkeep: Upkeep,
    accepting: AtomicBool,
}

impl Gateway {
    /// Makes everything ready and registers the metrics. Binds nothing yet, but proves by a probe that each
    /// address can be bound: pingora itself would retry for half a minute and then panic.
    pub fn new(
        settings: Settings,
        table: Arc<RouteTable>,
        generation: u64,
        registry: &prometheus::Registry,
    ) -> Result<Self, StartError> {
        let addresses = settings.listen.iter().copied().map(probe).collect::<Result<_, _>>()?;
        let threads = settings.threads.max(1);
        let metrics = Metrics::new(threads);
        metrics.register(registry).map_err(StartError::Metrics)?;
        let access_log = open_access_log(&settings, &metrics)?;
        let upkeep = Upkeep::start().map_err(StartError::Thread)?;
        let state = Arc::new(State::compile(table, generation, None, &metrics, &upkeep, threads));
        let shared = Shared {
            addresses,
            workers: Workers::new(threads, &state),
            metrics,
            access_log,
            connections: Arc::default(),
            identity: Identity::new(settings.via),
            upkeep,
            accepting: AtomicBool::new(false),
            settings,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Puts another table in force. Pools and health of upstreams that did not change are kept.
    ///
    /// Called by one thread at a time.
    pub fn apply(&self, table: Arc<RouteTable>, generation: u64) {
        let shared = &self.shared;
        let before = shared.workers.in_force(0);
        let threads = shared.settings.threads.max(1);
        let state =
            State::compile(table, generation, Some(&before), &shared.metrics, &shared.upkeep, threads);
        shared.workers.swap(&Arc::new(state));
        before.retire(&shared.workers.in_force(0));
    }

    /// The table in force.
    pub fn table(&self) -> Arc<RouteTable> {
        Arc::clone(&self.shared.workers.in_force(0).table)
    }

    /// Where it listens, free ports filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// True while new connections are accepted.
    pub fn is_accepting(&self) -> bool {
        self.shared.accepting.load(Ordering::Acquire)
    }

    /// Every target of every upstream, by name.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let state = self.shared.workers.in_force(0);
        let of_upstream = |upstream: &Arc<crate::state::LiveUpstream>| {
            let name = upstream.servers.settings.name.clone();
            let status = move |server: &Arc<crate::targets::Server>| TargetStatus {
                upstream: name.clone(),
                target: server.label.to_string(),
                healthy: server.is_healthy(),
                inflight: server.inflight(),
            };
            upstream.servers.targets.iter().map(status).collect::<Vec<_>>()
        };
        state.upstreams().iter().flat_map(of_upstream).collect()
    }

    /// Counts of one route by its name (`default` for unmatched requests) and arm.
    pub fn counts(&self, route: &str, arm: Arm) -> ArmCounts {
        self.shared.metrics.counts(route, arm)
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
            return Drained::Clean;
        }
        self.wait_until_accepting(&stop);
        wait_for(stop);
        self.shared.accepting.store(false, Ordering::Release);
        self.shared.workers.drain();
        // pingora's accept loops end on their own threads; what they accept until then is served, too.
        std::thread::sleep(Duration::from_millis(50));
        let left = self.shared.connections.wait_until_none(drain_timeout);
        self.close_access_log();
        if left == 0 { Drained::Clean } else { Drained::CutOff { connections: left } }
    }

    /// pingora does not tell when its listeners are open, so we knock.
    fn wait_until_accepting(&self, stop: &watch::Receiver<bool>) {
        let limit = Instant::now() + Duration::from_secs(10);
        let is_open = |address: &SocketAddr| {
            TcpStream::connect_timeout(&reachable(*address), Duration::from_millis(250)).is_ok()
        };
        while !*stop.borrow() && Instant::now() < limit {
            if self.shared.addresses.iter().all(is_open) {
                self.shared.accepting.store(true, Ordering::Release);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
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

/// Proves that an address can be bound, and finds a free port where 0 asks for one.
fn probe(address: SocketAddr) -> Result<SocketAddr, StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.map_err(|error| StartError::Bind { address, error })
}

/// Where one connects to reach a listener on any address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
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
}
