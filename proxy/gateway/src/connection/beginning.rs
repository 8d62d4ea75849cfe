//! What comes before the first request of a connection, and how the drain is heard of.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::Broken;
use crate::gateway::Shared;

/// How long a connection is held open after the stop for a request that is on its way.
const LATECOMER: Duration = Duration::from_secs(1);

/// What comes before the first request: within a time, and not long after the drain has begun.
pub(super) async fn begun<T>(
    shared: &Shared,
    draining: &watch::Receiver<bool>,
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Broken> {
    let gone = async {
        stop(draining.clone()).await;
        sleep(latecomer(shared)).await;
    };
    tokio::select! {
        biased;
        done = work => Ok(done?),
        () = gone => Err("stopped before the first request".into()),
        () = sleep(limit) => Err(Late.into()),
    }
}

/// Nothing came in time.
#[derive(Debug)]
pub(super) struct Late;

impl fmt::Display for Late {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "nothing in time")
    }
}

impl std::error::Error for Late {}

/// How long a connection waits for a request that may be on its way when the drain begins.
pub(super) fn latecomer(shared: &Shared) -> Duration {
    LATECOMER.min(shared.settings.drain_timeout / 2)
}

/// Ends when the drain begins.
pub(super) async fn stop(mut draining: watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return;
        }
    }
}
