//! The clock of the shop as a service of its own: tells when an order has run out of time to be paid.
//!
//! It knows nothing of an order but its number, and when. `expiration.complete` is told again and again until the order
//! is closed: whoever owns orders decides, and may be away.

use std::{sync::Arc, time::Duration};

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Event, Problem, async_trait,
    inbox::Module,
    publish, query, query_as, scalar,
    service::{Failure, Kit, Options, Parts, Service, assemble},
    writer::{Owned, is_here},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_millis(500);
const AGAIN_AFTER_MS: i64 = 10_000;

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    /// No fingerprint: the monolith has no such table, it looks at its orders.
    const OWNED: &[Owned] = &[Owned { name: "expiration", fingerprint: &[], counters: &[] }];
    Service { name: "boxoffice-expiration", migrations: sqlx::migrate!(), owned: OWNED }
}

/// The service without a socket.
pub async fn app(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    assemble((name, owned), &options, database, Arc::new(Timers), routes, stop).await
}

/// No routes of its own; the clock begins to run.
pub fn routes(parts: &Parts) -> Router {
    let (database, stop) = (parts.kit.database.clone(), parts.kit.stop.clone());
    tokio::spawn(stop.run_until_cancelled_owned(run(database)));
    Router::new()
}

/// What arrives from the bus.
pub struct Timers;

#[derive(Deserialize)]
struct Told {
    order: Order,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: i64,
    status: String,
    expires_at: Timestamp,
}

#[async_trait]
impl Module for Timers {
    fn listens(&self) -> &'static [&'static str] {
        &["order.created", "order.completed", "order.cancelled"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let Told { order } = event.data()?;
        // Replayed, `order.created` tells of an order as it is now.
        let closed = event.kind != "order.created" || order.status != "awaiting_payment";
        query!(
            "INSERT INTO timers (order_id, due_at, told, closed) VALUES ($1, $2, 0, $3)
             ON CONFLICT (order_id) DO UPDATE SET closed = 1 WHERE excluded.closed = 1",
            order.id,
            order.expires_at.as_millisecond(),
            i64::from(closed)
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn replay(&self, _: &mut Connection, _: &str, _: i64, _: i64) -> Result<i64, Problem> {
        Ok(0)
    }
}

async fn run(database: Database) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        if let Err(problem) = tell(&database).await {
            tracing::warn!("what is due could not be told: {problem}");
        }
    }
}

/// Tells what is due and not told yet, or ten seconds ago.
pub async fn tell(database: &Database) -> Result<(), Problem> {
    let now = Timestamp::now().as_millisecond();
    let due = scalar!("SELECT count(*) FROM timers WHERE closed = 0 AND due_at <= $1", now);
    if due.fetch_one(&database.read).await.map(|due: i64| due == 0)? {
        return Ok(());
    }
    let mut tx = database.begin().await?;
    if !is_here(&mut tx, "expiration").await? {
        return Ok(());
    }
    let due = query_as!(
        "UPDATE timers SET due_at = $1, told = told + 1 WHERE closed = 0 AND due_at <= $2 RETURNING order_id, told",
        now + AGAIN_AFTER_MS,
        now
    );
    let due: Vec<(i64, i64)> = due.fetch_all(&mut *tx).await?;
    for (order, told) in due {
        let data = json!({ "orderId": order });
        publish(&mut tx, "expiration.complete", (format!("timer-{order}"), told), &data).await?;
    }
    Ok(tx.commit().await?)
}
