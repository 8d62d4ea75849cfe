//! The inventory of the Box Office as a service of its own: how many tickets are left. It never oversells.
//!
//! How an order ended is a fact that everyone keeps; the writer acts on it, and so does who takes over later.
//!
//! | part | job |
//! |---|---|
//! | `routes` | the API, byte for byte that of the monolith, and the reservations of orders |
//! | `repository` | stock, reservations, and how orders ended |

mod repository;
mod routes;

use std::sync::Arc;

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Event, Problem, async_trait,
    database::Flag,
    inbox::Module,
    service::{Failure, Kit, Options, Service, assemble},
    writer::{Owned, is_here},
};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

pub use self::routes::routes;

const MODULE: &str = "inventory";

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    const STOCK: Owned = Owned {
        name: MODULE,
        fingerprint: &[
            "SELECT ticket_id || '|' || capacity || '|' || reserved || '|' || sold || '|' || version FROM stock",
            "SELECT order_id || '|' || ticket_id || '|' || quantity || '|' || state FROM reservations",
        ],
        counters: &[],
    };
    Service { name: "boxoffice-inventory", migrations: sqlx::migrate!(), owned: &[STOCK] }
}

/// The service without a socket.
pub async fn app(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    assemble((name, owned), &options, database, Arc::new(Inventory), routes, stop).await
}

/// What it makes of events.
pub struct Inventory;

#[derive(Deserialize)]
struct Ended {
    order: Order,
}

#[derive(Deserialize)]
struct Order {
    id: i64,
}

#[derive(Deserialize)]
struct Ticket {
    id: i64,
    capacity: i64,
    deleted: Flag,
}

#[async_trait]
impl Module for Inventory {
    fn listens(&self) -> &'static [&'static str] {
        &["order.cancelled", "order.completed", "stock.changed", "ticket.created", "ticket.updated"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let here = is_here(tx, MODULE).await?;
        let order = match event.kind.as_str() {
            "ticket.created" | "ticket.updated" => {
                let ticket: Ticket = event.data()?;
                repository::insert(tx, ticket.id, ticket.capacity, ticket.deleted.0).await?;
                return if here { repository::announce_new(tx).await } else { Ok(()) };
            }
            "stock.changed" => repository::store(tx, event.data()?).await?,
            ended => {
                let Ended { order } = event.data()?;
                let outcome = if ended == "order.completed" { "sold" } else { "released" };
                repository::note(tx, order.id, outcome).await?;
                Some(order.id)
            }
        };
        match order {
            Some(order) if here => repository::settle(tx, order).await,
            _ => Ok(()),
        }
    }

    async fn take_over(&self, tx: &mut Connection, _: &str) -> Result<(), Problem> {
        repository::announce_new(tx).await?;
        for order in repository::unsettled(tx).await? {
            repository::settle(tx, order).await?;
        }
        Ok(())
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        repository::replay(tx, offset, limit).await
    }
}
