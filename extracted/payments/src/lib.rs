//! The payments of the Box Office as a service of its own. It never charges an order twice.
//!
//! That an order is cancelled is a fact that everyone keeps; the writer then gives its money back, and so does who takes
//! over later.
//!
//! | part | job |
//! |---|---|
//! | `routes` | the API, byte for byte that of the monolith |
//! | `service` | the rules: before and after a charge |
//! | `provider` | the fake one that charges |
//! | `repository` | payments, charges on their way, and a replica of the orders |

mod provider;
mod repository;
mod routes;
mod service;

use std::sync::Arc;

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Event, Problem, async_trait,
    inbox::Module,
    service::{Failure, Kit, Options, Parts, Service, assemble},
    writer::{Owned, is_here},
};
use tokio_util::sync::CancellationToken;

pub use self::routes::routes;
use self::{
    repository::{Placed, Row},
    service::{keep_finishing, refund_due},
};

const MODULE: &str = "payments";

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    const PAYMENTS: Owned = Owned {
        name: MODULE,
        fingerprint: &["SELECT id || '|' || order_id || '|' || amount_cents || '|' || status || '|' || settled || '|' || version
                        FROM payments"],
        counters: &[("payments", "SELECT coalesce(max(id), 0) FROM payments")],
    };
    Service { name: "boxoffice-payments", migrations: sqlx::migrate!(), owned: &[PAYMENTS] }
}

/// The service without a socket, and a secret that it shares with the payment provider.
pub async fn app(
    options: Options,
    stop: CancellationToken,
    webhook_secret: &str,
) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    let routes = |parts: &Parts| routes(parts, webhook_secret);
    let (app, kit) = assemble((name, owned), &options, database, Arc::new(Payments), routes, stop).await?;
    tokio::spawn(keep_finishing(kit.clone()));
    Ok((app, kit))
}

/// What it makes of events.
pub struct Payments;

#[async_trait]
impl Module for Payments {
    fn listens(&self) -> &'static [&'static str] {
        &[
            "order.cancelled",
            "order.completed",
            "order.created",
            "order.refund_requested",
            "payment.created",
            "payment.refunded",
        ]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let here = is_here(tx, MODULE).await?;
        let order = if event.kind.starts_with("payment.") {
            let row: Row = event.data()?;
            repository::store(tx, &row).await?;
            row.payment.order_id
        } else {
            let placed: Placed = event.data()?;
            repository::store_order(tx, &placed).await?;
            placed.order.id
        };
        if here { refund_due(tx, (order, order)).await } else { Ok(()) }
    }

    async fn take_over(&self, tx: &mut Connection, _: &str) -> Result<(), Problem> {
        refund_due(tx, (0, i64::MAX)).await
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let mut count = 0;
        for row in repository::rows(tx, offset, limit).await? {
            row.publish(tx, "payment.created").await?;
            count += 1;
        }
        Ok(count)
    }
}
