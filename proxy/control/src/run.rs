//! The whole proxy, from start to exit.
//!
//! Starting is a list of steps. A bad configuration ends it before a port opens; so does a state directory in
//! use, and an address that is taken.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use banyan_gateway::{Drained, Gateway, Settings, StartError};
use banyan_routes::Variables;
use prometheus::Registry;
use tokio::sync::{oneshot, watch};

use crate::admin::{self, Admin, AdminError, AdminOptions, Phase, Sources};
use crate::history::History;
use crate::load::{LoadError, Source, load};
use crate::metrics::{Metrics, Scrape};
use crate::reload::{ReloadHandle, Reloader};
use crate::signals::{Asked, Signals};
use crate::state_dir::StateDirError;
use crate::swap::Swap;

/// Opening a port takes a moment; longer than this it will not open any more.
const ACCEPTING_WITHIN: Duration = Duration::from_secs(10);

/// Everything a run needs to know.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where the configuration comes from.
    pub source: Source,
    /// The environment for `${VAR}`.
    pub variables: Variables,
    /// Listeners, threads, drain time, access log.
    pub gateway: Settings,
    /// The admin listener.
    pub admin: AdminOptions,
    /// Where history is kept; none keeps it in memory.
    pub state_dir: Option<PathBuf>,
    /// How long readiness fails before the listeners close, for load balancers to notice.
    pub unready_before_stop: Duration,
}

/// Why the proxy did not start, or did not run on.
#[derive(Debug)]
pub enum RunError {
    /// No configuration to use.
    Configuration(LoadError),
    /// The admin listener cannot start.
    Admin(AdminError),
    /// The state directory is in use.
    StateDir(StateDirError),
    /// The gateway cannot start.
    Gateway(StartError),
    /// A metric is registered twice.
    Metrics(prometheus::Error),
    /// The system gives no thread or no signal handler.
    System(io::Error),
    /// The gateway did not open its ports in time; the log says why.
    NotAccepting,
    /// The gateway ended by itself; the log says why.
    GatewayEnded,
}

impl fmt::Display for RunError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(error) => write!(out, "{error}"),
            Self::Admin(error) => write!(out, "{error}"),
            Self::StateDir(error) => write!(out, "{error}"),
            Self::Gateway(error) => write!(out, "{error}"),
            Self::Metrics(error) => write!(out, "cannot register the metrics: {error}"),
            Self::System(error) => write!(out, "cannot start: {error}"),
            Self::NotAccepting => {
                write!(out, "no listener opened within {} s, the log says why", ACCEPTING_WITHIN.as_secs())
            }
            Self::GatewayEnded => write!(out, "the gateway ended by itself, the log says why"),
        }
    }
}

impl std::error::Error for RunError {}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Asked to stop, and drained.
    Stopped(Drained),
    /// Asked a second time, and ended at once.
    Interrupted,
}

/// Runs the proxy until a signal ends it: SIGTERM and SIGINT drain and end, a second one ends at once, SIGHUP
/// reloads, SIGUSR1 opens the access log anew. `started` is told the addresses.
pub fn run(
    options: RunOptions,
    registry: &Registry,
    started: impl FnOnce(&Addresses),
) -> Result<ExitReason, RunError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::System)?;
    // Before anything else: a signal that comes while starting is kept until we look.
    let signals = {
        let _inside = runtime.enter();
        Signals::install().map_err(RunError::System)?
    };
    let unready = options.unready_before_stop;
    let proxy = Proxy::start(options, registry)?;
    let addresses = proxy.addresses();
    tracing::info!(admin = %addresses.admin, "listening on {}", shown(&addresses.listen));
    started(&addresses);
    runtime.block_on(until_stopped(proxy, signals, unready))
}

async fn until_stopped(
    mut proxy: Proxy,
    mut signals: Signals,
    unready: Duration,
) -> Result<ExitReason, RunError> {
    let name = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop(name) => break name,
                Asked::Reload => proxy.reload(),
                Asked::ReopenLog => proxy.reopen_access_log(),
            },
            _ = &mut proxy.ended => return Err(RunError::GatewayEnded),
        }
    };
    tracing::info!("{name}: draining; a second signal ends at once");
    proxy.fail_readiness();
    let draining = async {
        tokio::time::sleep(unready).await;
        proxy.stop_gateway();
        (&mut proxy.ended).await
    };
    tokio::select! {
        drained = draining => drained.map(ExitReason::Stopped).map_err(|_| RunError::GatewayEnded),
        name = signals.stop() => {
            tracing::warn!("{name} again: ending at once");
            proxy.reloader.abandon();
            Ok(ExitReason::Interrupted)
        }
    }
}

/// Where a running proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For clients.
    pub listen: Vec<SocketAddr>,
    /// For operators.
    pub admin: SocketAddr,
}

/// A running proxy without signals: tests and other programs drive it. Stops when dropped, without draining.
pub struct Proxy {
    stop: watch::Sender<bool>,
    phase: watch::Sender<Phase>,
    ended: oneshot::Receiver<Drained>,
    reload: ReloadHandle,
    gateway: Gateway,
    // Dropped in this order: no answer after the reload thread has gone.
    admin: Admin,
    reloader: Reloader,
}

impl Proxy {
    /// Starts everything, in the order in which it can fail.
    pub fn start(options: RunOptions, registry: &Registry) -> Result<Self, RunError> {
        let loaded = load(&options.source, &options.variables).map_err(RunError::Configuration)?;
        if !loaded.report.problems.is_empty() {
            tracing::warn!("configuration accepted with warnings:\n{}", loaded.report);
        }
        let history = History::open(options.state_dir.as_deref()).map_err(RunError::StateDir)?;
        let admin_listener = admin::bind(&options.admin).map_err(RunError::Admin)?;
        let metrics = Metrics::new(registry).map_err(RunError::Metrics)?;
        let table = Arc::new(loaded.table);
        let gateway =
            Gateway::new(options.gateway, Arc::clone(&table), 1, registry).map_err(RunError::Gateway)?;
        let from = (loaded.files, loaded.text_hash, loaded.report);
        let swap = Swap::start(gateway.clone(), table, from, options.variables, metrics, history);
        let view = swap.view();
        let main = match options.source {
            Source::File(path) => Some(path),
            Source::Legacy(_) => None,
        };
        let reloader = Reloader::start(main, swap).map_err(RunError::System)?;
        let (phase, phase_seen) = watch::channel(Phase::Starting);
        let scrape = Scrape::new(registry);
        let (gateway_seen, reload) = (gateway.clone(), reloader.handle());
        let sources =
            Sources { gateway: gateway_seen, view, reload: reload.clone(), scrape, phase: phase_seen };
        let admin = Admin::start(admin_listener, options.admin, sources).map_err(RunError::System)?;
        let (stop, mut ended) = start_gateway(gateway.clone()).map_err(RunError::System)?;
        wait_until_accepting(&gateway, &mut ended)?;
        phase.send_replace(Phase::Ready);
        Ok(Self { stop, phase, ended, reload, gateway, admin, reloader })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses { listen: self.gateway.addresses().to_vec(), admin: self.admin.address() }
    }

    /// Loads the files now, as SIGHUP does. What comes of it is in the log and in the admin API.
    pub fn reload(&self) {
        if self.reload.reload().is_err() {
            tracing::warn!("reload asked for while many are waiting: left out");
        }
    }

    /// Opens the access log anew, after it was moved away.
    pub fn reopen_access_log(&self) {
        self.gateway.reopen_access_log();
    }

    /// `/readyz` answers 503 from now on; traffic is still served.
    pub fn fail_readiness(&self) {
        self.phase.send_replace(Phase::Draining);
    }

    /// Stops taking connections and waits for the last request, or until the drain time is over. Blocks: not
    /// for use inside an async runtime.
    pub fn stop(self) -> Result<Drained, RunError> {
        self.fail_readiness();
        self.stop_gateway();
        self.ended.blocking_recv().map_err(|_| RunError::GatewayEnded)
    }

    fn stop_gateway(&self) {
        self.stop.send_replace(true);
    }
}

/// The gateway on a thread of its own; the receiver hears how it ended, or an error when it panicked.
fn start_gateway(gateway: Gateway) -> io::Result<(watch::Sender<bool>, oneshot::Receiver<Drained>)> {
    let (stop, stopped) = watch::channel(false);
    let (ending, ended) = oneshot::channel();
    thread::Builder::new().name("gateway".to_owned()).spawn(move || {
        // Nobody listens any more after a second signal.
        let _ = ending.send(gateway.run(stopped));
    })?;
    Ok((stop, ended))
}

/// Ready means that a connection made now is served.
fn wait_until_accepting(gateway: &Gateway, ended: &mut oneshot::Receiver<Drained>) -> Result<(), RunError> {
    let start = Instant::now();
    while !gateway.is_accepting() {
        if !matches!(ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Err(RunError::GatewayEnded);
        }
        if start.elapsed() > ACCEPTING_WITHIN {
            return Err(RunError::NotAccepting);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
