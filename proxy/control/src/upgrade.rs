//! Upgrades as the run sees them: who may begin one, and what became of it. `handover` does the work.

use std::fmt;
use std::io;
use std::thread;

use tokio::sync::oneshot;

use crate::handover::{Lent, Program, Successor, UpgradeError};

/// Somebody asks for an upgrade, and wants to know whether it has begun.
pub(crate) type UpgradeOrder = oneshot::Sender<Result<(), UpgradeRefused>>;

/// Why an upgrade does not begin.
#[derive(Debug)]
pub(crate) enum UpgradeRefused {
    /// A rollback held in memory would end with this process.
    Floor,
    /// Another has begun.
    UnderWay,
    /// The proxy is about to end.
    Stopping,
    /// The system gives no duplicates of the sockets, or no thread.
    System(io::Error),
}

impl fmt::Display for UpgradeRefused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor => {
                write!(out, "a rollback is held in memory, and the new process would not know of it")?;
                write!(out, "; end it with `banyan undo`, or write it into the file")
            }
            Self::UnderWay => write!(out, "another upgrade is under way"),
            Self::Stopping => write!(out, "the proxy is about to end"),
            Self::System(error) => write!(out, "cannot begin the upgrade: {error}"),
        }
    }
}

/// The upgrade under way, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Upgrade {
    under_way: Option<oneshot::Receiver<Result<Successor, UpgradeError>>>,
}

impl Upgrade {
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Starts the new process on a thread of its own, which waits for it.
    pub(crate) fn begin(&mut self, program: Program, lent: Lent) -> io::Result<()> {
        let (ending, ended) = oneshot::channel();
        thread::Builder::new().name("upgrade".to_owned()).spawn(move || {
            let ready = Successor::start(&program, &lent).and_then(|mut successor| {
                tracing::info!(process = successor.process(), "upgrade: started the new process");
                successor.wait_until_ready().map(|()| successor)
            });
            // Nobody listens any more when the proxy ends meanwhile; then the new process ends, too.
            let _ = ending.send(ready);
        })?;
        self.under_way = Some(ended);
        Ok(())
    }

    /// How it ended; never returns while none is under way. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Result<Successor, UpgradeError> {
        let Some(ended) = &mut self.under_way else { return std::future::pending().await };
        let outcome = ended.await;
        self.under_way = None;
        // The thread says something unless it panicked.
        outcome.unwrap_or(Err(UpgradeError::Silent))
    }
}
