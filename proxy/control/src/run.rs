//! The whole proxy, from start to exit.
//!
//! Starting is a list of steps. A bad configuration ends it before a port opens; so does a state directory in
//! use, and an address that is taken.
//!
//! - `proxy`: what runs, without signals.

mod proxy;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use banyan_gateway::{Drained, Settings, StartError};
use banyan_routes::Variables;
use prometheus::Registry;

use crate::admin::{AdminError, AdminOptions};
use crate::handover::{HandoverError, Program, Successor, UpgradeError, predecessor};
use crate::load::{LoadError, Source};
use crate::ranges::PrometheusOptions;
use crate::service_manager;
use crate::signals::{Asked, Signals};
use crate::state_dir::StateDirError;
use crate::upgrade::UpgradeOrder;
use proxy::{ACCEPTING_WITHIN, Event};
pub use proxy::{Addresses, Proxy};

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
    /// Time between two samples of the dashboard's own history: [`SAMPLE_EVERY`](crate::SAMPLE_EVERY), but for tests.
    pub sample_every: Duration,
    /// Where longer ranges than a day come from.
    pub prometheus: Option<PrometheusOptions>,
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
    /// Started to take over from a running proxy, and did not.
    Handover(HandoverError),
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
            Self::Handover(error) => write!(out, "{error}"),
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
    /// Another process has taken over, and what was left here drained.
    Replaced(Drained),
    /// Asked a second time, and ended at once.
    Interrupted,
}

/// Runs the proxy until a signal ends it: SIGTERM and SIGINT drain and end, a second one ends at once, SIGHUP
/// reloads, SIGUSR1 opens the access log anew, SIGUSR2 starts the program anew and hands over to it. `started` is
/// told the addresses.
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
    let program = Program::of_this_process().map_err(RunError::System)?;
    let unready = options.unready_before_stop;
    let predecessor = predecessor().map_err(RunError::Handover)?;
    let proxy = Proxy::start_after(predecessor, options, registry)?;
    let addresses = proxy.addresses();
    let listening = format!("listening on {}", shown(&addresses));
    tracing::info!(admin = %addresses.admin, "{listening}");
    service_manager::ready(&listening);
    started(&addresses);
    runtime.block_on(until_stopped(proxy, &program, signals, unready))
}

async fn until_stopped(
    mut proxy: Proxy,
    program: &Program,
    mut signals: Signals,
    unready: Duration,
) -> Result<ExitReason, RunError> {
    let name = loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop(name) => break name,
                Asked::Reload => reload(&proxy),
                Asked::ReopenLog => proxy.reopen_access_log(),
                Asked::Upgrade => begin_upgrade(&mut proxy, program, None),
            },
            event = proxy.event() => match event {
                Event::UpgradeOrdered(answer) => begin_upgrade(&mut proxy, program, Some(answer)),
                // Ordered while the new process started, which knows nothing of it.
                Event::Upgraded(Ok(_)) if proxy.holds_floor() => proxy.upgrade_failed(&UpgradeError::Floor),
                Event::Upgraded(Ok(successor)) => return hand_over(proxy, successor, signals).await,
                Event::Upgraded(Err(error)) => proxy.upgrade_failed(&error),
                Event::Ended => return Err(RunError::GatewayEnded),
            },
        }
    };
    tracing::info!("{name}: draining; a second signal ends at once");
    service_manager::stopping();
    proxy.give_up_upgrade();
    proxy.fail_readiness();
    let draining = async {
        tokio::time::sleep(unready).await;
        proxy.drain().await
    };
    tokio::select! {
        drained = draining => drained.map(ExitReason::Stopped),
        name = signals.stop() => Ok(interrupted(proxy, name)),
    }
}

/// The other process serves. What began here ends here.
async fn hand_over(
    mut proxy: Proxy,
    successor: Successor,
    mut signals: Signals,
) -> Result<ExitReason, RunError> {
    let process = successor.process();
    service_manager::main_process(process);
    proxy.retire();
    if let Err(error) = successor.hand_over() {
        tracing::error!(process, "upgrade: the new process ended after it was ready: {error}");
        service_manager::stopping();
    }
    tracing::info!(process, "upgrade: the new process has taken over, draining");
    let stops = async {
        // The first signal says what happens anyway: a manager that stops the service tells all its processes.
        let name = signals.stop().await;
        tracing::info!("{name}: draining already; a second signal ends at once");
        signals.stop().await
    };
    tokio::select! {
        drained = proxy.drain() => drained.map(ExitReason::Replaced),
        name = stops => Ok(interrupted(proxy, name)),
    }
}

fn interrupted(proxy: Proxy, name: &str) -> ExitReason {
    tracing::warn!("{name} again: ending at once");
    proxy.abandon();
    ExitReason::Interrupted
}

/// Loads the files, and tells the service manager when that is done.
fn reload(proxy: &Proxy) {
    let Some(done) = proxy.begin_reload() else { return };
    service_manager::reloading();
    tokio::spawn(async move {
        // What came of it is in the log; the old configuration serves as well.
        let loaded = done.await;
        let generation = loaded.map(|reload| reload.generation.to_string());
        service_manager::ready(&format!("generation {}", generation.as_deref().unwrap_or("unknown")));
    });
}

/// Without somebody who waits for the answer, the log gets it.
fn begin_upgrade(proxy: &mut Proxy, program: &Program, answer: Option<UpgradeOrder>) {
    let begun = proxy.begin_upgrade(program);
    if let Err(refused) = &begun {
        tracing::warn!("upgrade refused: {refused}");
    }
    if let Some(answer) = answer {
        // Whoever asked may have gone.
        let _ = answer.send(begun);
    }
}

fn shown(addresses: &Addresses) -> String {
    let plain = addresses.listen.iter().map(ToString::to_string);
    let tls = addresses.listen_tls.iter().map(|address| format!("{address} (TLS)"));
    plain.chain(tls).collect::<Vec<_>>().join(", ")
}
