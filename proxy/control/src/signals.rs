//! What the system asks of a running proxy.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// One request of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM or SIGINT.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
    /// SIGUSR1.
    ReopenLog,
    /// SIGUSR2.
    Upgrade,
}

/// The handlers, installed; without them SIGHUP would end the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// Never looked at: with a handler, a file at its limit (`ulimit -f`) is a failed write, and not the end.
    _file_too_long: Signal,
}

impl Signals {
    /// Installs the handlers. Needs a tokio runtime around it.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            _file_too_long: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// The next request. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Asked::Stop("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
            _ = self.user1.recv() => Asked::ReopenLog,
            _ = self.user2.recv() => Asked::Upgrade,
        }
    }

    /// The next request to stop, whatever else comes before it. Cancel-safe.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            if let Asked::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}
