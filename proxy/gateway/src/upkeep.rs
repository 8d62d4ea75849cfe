//! What must happen now and then, on a thread of its own so that no worker is kept from requests: health
//! checks, fresh addresses, renewed certificates, closing connections that were idle too long.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::targets::Servers;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// How often it is looked whether a name is due to be looked up again.
const RESOLVE: Duration = Duration::from_secs(1);
/// How often the files of an upstream's TLS are looked at.
const TLS_FILES: Duration = Duration::from_secs(5);

/// The thread. It ends when this is dropped.
pub(crate) struct Upkeep {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Upkeep {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("banyan-upkeep".into()).spawn(move || {
            // The sender is never used: its end is the signal.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }

    /// Looks after one upstream until nobody holds it any more.
    pub(crate) fn look_after(&self, servers: &Arc<Servers>) {
        self.handle.spawn(sweep(Arc::downgrade(servers)));
        self.handle.spawn(resolve(Arc::downgrade(servers)));
        if servers.secure.is_some() {
            self.handle.spawn(refresh_tls(Arc::downgrade(servers)));
        }
    }

    /// For work that comes up while requests are served, such as a line of the log.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.handle.spawn(work).abort_handle()
    }
}

async fn sweep(servers: Weak<Servers>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(servers) = servers.upgrade() else { return };
        servers.targets.iter().for_each(|server| server.pool.sweep());
    }
}

async fn refresh_tls(servers: Weak<Servers>) {
    let mut ticks = interval(TLS_FILES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(servers) = servers.upgrade() else { return };
        servers.refresh_tls();
    }
}

async fn resolve(servers: Weak<Servers>) {
    let mut ticks = interval(RESOLVE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Vec<Option<Instant>> = Vec::new();
    loop {
        let now = ticks.tick().await;
        let Some(servers) = servers.upgrade() else { return };
        last.resize(servers.targets.len(), None);
        for (server, last) in servers.targets.iter().zip(&mut last) {
            let since_last = last.map_or(Duration::MAX, |last| now.duration_since(last));
            if server.addresses.is_due(since_last) {
                server.addresses.refresh().await;
                *last = Some(now);
            }
        }
    }
}
