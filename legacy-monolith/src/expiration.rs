//! Cancels orders that were not paid in time. Has no tables: the times are in the orders.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, Instant},
};

use boxoffice_kit::{Connection, Database, Event, Problem, publish, writer};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::orders;

/// Nothing but the task itself is handed over.
pub(crate) const OWNED: writer::Owned = writer::Owned { name: "expiration", fingerprint: &[], counters: &[] };

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the writer of orders may take until it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(10);
const AT_ONCE: i64 = 200;

/// The sweeper.
pub(crate) struct Local {
    pub(crate) database: Database,
    pub(crate) orders: Arc<orders::Local>,
}

/// The data of `expiration.complete`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expired {
    order_id: i64,
}

impl Local {
    /// Sweeps every second, until told to stop.
    pub(crate) async fn keep_sweeping(&self, stop: CancellationToken) {
        let mut told = HashMap::new();
        while !stop.is_cancelled() {
            match self.sweep(&mut told).await {
                Ok(()) => {}
                Err(problem) if problem.is_elsewhere() => {}
                Err(problem) => tracing::warn!("cannot sweep: {problem}"),
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK_EVERY) => {} }
        }
    }

    /// `told`: of which orders the writer elsewhere was told, and when.
    async fn sweep(&self, told: &mut HashMap<i64, Instant>) -> Result<(), Problem> {
        let overdue = self.orders.overdue(AT_ONCE).await?;
        told.retain(|id, since| overdue.contains(id) && since.elapsed() < TELL_AGAIN);
        for id in overdue {
            let mut tx = self.database.begin().await?;
            writer::hold(&mut tx, "expiration").await?;
            if writer::is_here(&mut tx, "orders").await? {
                self.orders.expire(&mut tx, id).await?;
            } else if let Entry::Vacant(untold) = told.entry(id) {
                let data = Expired { order_id: id };
                publish(&mut tx, "expiration.complete", (format!("order-{id}"), 1), &data).await?;
                untold.insert(Instant::now());
            }
            tx.commit().await?;
        }
        Ok(())
    }

    /// Does what the service's timer asks for, where orders are written.
    pub(crate) async fn heard(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let Expired { order_id } = event.data()?;
        if writer::is_here(tx, "orders").await? { self.orders.expire(tx, order_id).await } else { Ok(()) }
    }
}
