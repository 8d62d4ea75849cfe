//! What runs, without signals: the gateway, the threads of reload and evidence, and the admin listener, started in the
//! order in which they can fail.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use banyan_gateway::{Drained, Gateway};
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot, watch};

use super::{RunError, RunOptions};
use crate::actions::Actions;
use crate::admin::{self, Admin, Phase, Sources};
use crate::api;
use crate::board::BoardMaker;
use crate::evidence::{self, EvidenceKeeper};
use crate::handover::{Lent, Predecessor, Program, Successor, UpgradeError};
use crate::history::{History, Place};
use crate::load::{Source, load_to_serve};
use crate::metrics::{Metrics, Scrape};
use crate::ranges::Ranges;
use crate::reload::{ReloadHandle, Reloader};
use crate::state_dir;
use crate::swap::Swap;
use crate::timeline::{Sampler, Timeline};
use crate::upgrade::{Upgrade, UpgradeOrder, UpgradeRefused};
use crate::view::View;

/// Opening a port takes a moment; longer than this it will not open any more.
pub(super) const ACCEPTING_WITHIN: Duration = Duration::from_secs(10);

/// Where a running proxy listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For clients, without TLS.
    pub listen: Vec<SocketAddr>,
    /// For clients, with TLS.
    pub listen_tls: Vec<SocketAddr>,
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
    view: View,
    upgrade: Upgrade,
    orders: mpsc::Receiver<UpgradeOrder>,
    admin_address: SocketAddr,
    /// Gone once another process has taken over.
    operations: Option<Operations>,
}

/// What only one process does at a time.
struct Operations {
    admin_socket: TcpListener,
    lock: Option<File>,
    // Dropped in this order: no answer after the threads it asks have gone.
    _admin: Admin,
    sampler: Sampler,
    evidence: EvidenceKeeper,
    reloader: Reloader,
}

/// What happens to a running proxy.
pub(super) enum Event {
    /// The admin API was asked for an upgrade.
    UpgradeOrdered(UpgradeOrder),
    /// The new process serves, or it will not.
    Upgraded(Result<Successor, UpgradeError>),
    /// The gateway has ended by itself.
    Ended,
}

impl Proxy {
    /// Starts everything.
    pub fn start(options: RunOptions, registry: &Registry) -> Result<Self, RunError> {
        Self::start_after(None, options, registry)
    }

    /// Starts everything beside the process before, if there is one, and takes over from it.
    pub(super) fn start_after(
        predecessor: Option<(Predecessor, Lent)>,
        options: RunOptions,
        registry: &Registry,
    ) -> Result<Self, RunError> {
        let (predecessor, lent) = predecessor.unzip();
        let lent = lent.unwrap_or_default();
        let loaded = load_to_serve(&options.source, &options.variables);
        let loaded = loaded.map_err(RunError::Configuration)?;
        if !loaded.report.problems.is_empty() {
            tracing::warn!("configuration accepted with warnings:\n{}", loaded.report);
        }
        let (metrics, scrape) = (Metrics::new(registry).map_err(RunError::Metrics)?, Scrape::new(registry));
        let place = Place::hold(options.state_dir.as_deref(), lent.lock).map_err(RunError::StateDir)?;
        let lock = place.lock();
        let bound = admin::bind(&options.admin, lent.admin).map_err(RunError::Admin)?;
        let admin_socket = bound.listener.try_clone().map_err(RunError::System)?;
        let table = Arc::new(loaded.table);
        let gateway = Gateway::taking_over(options.gateway, lent.listen, Arc::clone(&table), 1, registry);
        let gateway = gateway.map_err(RunError::Gateway)?;
        // Until here the process before still keeps the history, and this one can fail without anybody noticing.
        let serving = predecessor.map(|it| relieve(it, &gateway, lock.as_ref())).transpose()?;
        let kept = place.folder().map(Path::to_owned);
        let evidence_path = kept.as_deref().map(evidence::path);
        let history = History::open(place, &metrics);
        let names: Vec<&str> = table.routes().iter().map(|route| route.name.as_str()).collect();
        let evidence = EvidenceKeeper::start(evidence_path, &names, gateway.comparisons(), &metrics);
        let evidence = evidence.map_err(RunError::System)?;
        let from = (loaded.files, loaded.text_hash, loaded.report);
        let timeline = Timeline::new(options.sample_every);
        let keeping = (history, timeline.clone());
        let variables = options.variables;
        let swap = Swap::start(gateway.clone(), table, from, variables.clone(), metrics.clone(), keeping);
        let (view, counts) = (swap.view(), swap.counts());
        let main = match options.source {
            Source::File(path) => Some(path),
            Source::Legacy(_) => None,
        };
        let reloader = Reloader::start(main, swap).map_err(RunError::System)?;
        let sampler = Sampler::start(timeline.clone(), gateway.clone(), metrics.clone(), kept.as_deref());
        let sampler = sampler.map_err(RunError::System)?;
        let (phase, phase_seen) = watch::channel(Phase::Starting);
        let (orders_in, orders) = mpsc::channel(1);
        let reload = reloader.handle();
        let sources = Sources {
            gateway: gateway.clone(),
            view: view.clone(),
            reload: reload.clone(),
            counts,
            evidence: evidence.handle(),
            scrape,
            metrics,
            phase: phase_seen,
            upgrades: orders_in,
            board: BoardMaker::new(
                gateway.clone(),
                view.clone(),
                timeline.clone(),
                phase.subscribe(),
                options.sample_every,
            ),
            timeline,
            ranges: options.prometheus.map(Ranges::new),
            sessions: bound.sessions(&options.admin).map_err(RunError::System)?,
            actions: Actions::new(gateway.clone(), view.clone(), reload.clone(), variables),
        };
        let admin = Admin::start(bound, options.admin, sources).map_err(RunError::System)?;
        let (stop, ended) = serving.map_or_else(|| start_gateway(&gateway), Ok)?;
        phase.send_replace(Phase::Ready);
        let admin_address = admin.address();
        let operations = Some(Operations { admin_socket, lock, _admin: admin, sampler, evidence, reloader });
        let upgrade = Upgrade::default();
        Ok(Self { stop, phase, ended, reload, gateway, view, upgrade, orders, admin_address, operations })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            listen: self.gateway.addresses().to_vec(),
            listen_tls: self.gateway.tls_addresses().to_vec(),
            admin: self.admin_address,
        }
    }

    /// Loads the files and certificates now, as SIGHUP does. What comes of it is in the log and in the admin API.
    pub fn reload(&self) {
        drop(self.begin_reload());
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
        self.stop.send_replace(true);
        self.ended.blocking_recv().map_err(|_| RunError::GatewayEnded)
    }

    /// The same inside an async runtime, and with readiness left to the caller.
    pub(super) async fn drain(&mut self) -> Result<Drained, RunError> {
        self.stop.send_replace(true);
        (&mut self.ended).await.map_err(|_| RunError::GatewayEnded)
    }

    /// Ends without waiting for a slow disk: the process is about to go.
    pub(super) fn abandon(mut self) {
        if let Some(operations) = self.operations.take() {
            operations.sampler.abandon();
            operations.evidence.abandon();
            operations.reloader.abandon();
        }
    }

    pub(super) fn begin_reload(&self) -> Option<oneshot::Receiver<api::Reload>> {
        self.gateway.refresh_certificates();
        let begun = self.reload.reload().ok();
        if begun.is_none() {
            tracing::warn!("reload asked for while many are waiting: left out");
        }
        begun
    }

    /// What happens next. Cancel-safe.
    pub(super) async fn event(&mut self) -> Event {
        let Self { orders, upgrade, ended, .. } = self;
        tokio::select! {
            // The admin listener holds the other end as long as it runs.
            Some(order) = orders.recv() => Event::UpgradeOrdered(order),
            upgraded = upgrade.ended() => Event::Upgraded(upgraded),
            _ = ended => Event::Ended,
        }
    }

    /// Starts the new process. [`Event::Upgraded`] tells how it goes on.
    pub(super) fn begin_upgrade(&mut self, program: &Program) -> Result<(), UpgradeRefused> {
        let operations = self.operations.as_ref().ok_or(UpgradeRefused::Stopping)?;
        if self.upgrade.is_under_way() {
            return Err(UpgradeRefused::UnderWay);
        }
        if self.holds_floor() {
            return Err(UpgradeRefused::Floor);
        }
        let lend = || {
            let lock = operations.lock.as_ref().map(File::try_clone).transpose()?;
            let admin = Some(operations.admin_socket.try_clone()?);
            Ok(Lent { listen: self.gateway.sockets()?, admin, lock })
        };
        let begun = lend().and_then(|lent| self.upgrade.begin(program.clone(), lent));
        begun.map_err(UpgradeRefused::System)?;
        self.view.set_upgrade_problem(None);
        Ok(())
    }

    /// A rollback is held in memory.
    pub(super) fn holds_floor(&self) -> bool {
        self.view.config().floor
    }

    /// The new process is no more, and this one goes on.
    pub(super) fn upgrade_failed(&self, error: &UpgradeError) {
        tracing::error!("upgrade: {error}; this process goes on");
        self.view.set_upgrade_problem(Some(error.to_string()));
    }

    /// This process is about to end: a new one that is not ready yet ends, too.
    pub(super) fn give_up_upgrade(&mut self) {
        self.upgrade = Upgrade::default();
    }

    /// From now on another process answers operators and keeps the history.
    pub(super) fn retire(&mut self) {
        self.operations = None;
    }
}

/// What stops the gateway, and how it ended; an error there is a panic.
type Serving = (watch::Sender<bool>, oneshot::Receiver<Drained>);

/// Serves, and takes the rest over from the process before.
fn relieve(before: Predecessor, gateway: &Gateway, lock: Option<&File>) -> Result<Serving, RunError> {
    let serving = start_gateway(gateway)?;
    take_over(before, lock)?;
    Ok(serving)
}

/// The gateway on a thread of its own.
fn start_gateway(gateway: &Gateway) -> Result<Serving, RunError> {
    let (stop, stopped) = watch::channel(false);
    let (ending, mut ended) = oneshot::channel();
    let running = gateway.clone();
    let thread = thread::Builder::new().name("gateway".to_owned()).spawn(move || {
        // Nobody listens any more after a second signal.
        let _ = ending.send(running.run(stopped));
    });
    thread.map_err(RunError::System)?;
    wait_until_accepting(gateway, &mut ended)?;
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

/// Serves already. Waits until the process before has let go of the rest.
fn take_over(predecessor: Predecessor, lock: Option<&File>) -> Result<(), RunError> {
    let process = predecessor.process();
    predecessor.take_over().map_err(RunError::Handover)?;
    tracing::info!(process, "took over from the process before");
    let signed: io::Result<()> = lock.map_or(Ok(()), state_dir::sign);
    if let Err(error) = signed {
        // It is held all the same; only who holds it is told wrongly.
        tracing::warn!("cannot write into the lock of the state directory: {error}");
    }
    Ok(())
}
