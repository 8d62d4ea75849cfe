//! The catalog of the Box Office as a service of its own: what is for sale and at which price. It keeps the stock for the
//! `status` of a ticket, and, while the monolith writes, the tickets themselves.
//!
//! | part | job |
//! |---|---|
//! | `routes` | the API, byte for byte that of the monolith |
//! | `repository` | tickets, and a replica of the stock |

mod repository;
mod routes;

use std::sync::Arc;

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Event, Problem, async_trait,
    inbox::Module,
    service::{Failure, Kit, Options, Service, assemble},
    writer::Owned,
};
use tokio_util::sync::CancellationToken;

pub use self::routes::routes;

const MODULE: &str = "catalog";

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    const TICKETS: Owned = Owned {
        name: MODULE,
        fingerprint: &["SELECT id || '|' || title || '|' || price_cents || '|' || owner_id || '|' || deleted
                        || '|' || version FROM tickets"],
        counters: &[("tickets", "SELECT coalesce(max(id), 0) FROM tickets")],
    };
    Service { name: "boxoffice-catalog", migrations: sqlx::migrate!(), owned: &[TICKETS] }
}

/// The service without a socket.
pub async fn app(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    assemble((name, owned), &options, database, Arc::new(Catalog), routes, stop).await
}

/// What it makes of events.
pub struct Catalog;

#[async_trait]
impl Module for Catalog {
    fn listens(&self) -> &'static [&'static str] {
        &["stock.changed", "ticket.created", "ticket.updated"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let stored = match event.kind.as_str() {
            "stock.changed" => repository::store_stock(tx, event.data()?).await,
            _ => repository::store(tx, event.data()?).await,
        };
        Ok(stored?)
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let mut count = 0;
        for row in repository::rows(tx, offset, limit).await? {
            row.publish(tx, "ticket.updated").await?;
            count += 1;
        }
        Ok(count)
    }
}
