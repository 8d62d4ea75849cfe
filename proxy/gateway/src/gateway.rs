//! The handle by which the rest of the program holds the request path.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use banyan_routes::{Arm, RouteTable};

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
}

impl std::fmt::Display for StartError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { address, error } => write!(out, "cannot listen on {address}: {error}"),
            Self::AccessLog { path, error } => {
                write!(out, "cannot open access log {}: {error}", path.display())
            }
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

/// The request path. Cheap to clone; all clones are one gateway.
#[derive(Clone)]
pub struct Gateway {
    table: Arc<arc_swap::ArcSwap<RouteTable>>,
}

impl Gateway {
    /// Makes everything ready and registers the metrics; binds nothing yet, but proves by a probe that each
    /// address can be bound.
    pub fn new(
        _settings: Settings,
        table: Arc<RouteTable>,
        _generation: u64,
        _registry: &prometheus::Registry,
    ) -> Result<Self, StartError> {
        Ok(Self { table: Arc::new(arc_swap::ArcSwap::new(table)) })
    }

    /// Puts another table in force. Pools and health of upstreams that did not change are kept.
    pub fn apply(&self, table: Arc<RouteTable>, _generation: u64) {
        self.table.store(table);
    }

    /// The table in force.
    pub fn table(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }

    /// Every target of every upstream, by name.
    pub fn targets(&self) -> Vec<TargetStatus> {
        Vec::new()
    }

    /// Counts of one route by its name (`default` for unmatched requests) and arm.
    pub fn counts(&self, _route: &str, _arm: Arm) -> ArmCounts {
        ArmCounts::default()
    }

    /// Serves until `stop` turns true (or its sender is gone), then drains, and returns when the last request
    /// has ended or the drain time is over. Blocks the calling thread; brings its own worker threads.
    pub fn run(self, _stop: tokio::sync::watch::Receiver<bool>) -> Drained {
        Drained::Clean
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
