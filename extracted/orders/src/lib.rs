//! Orders, taken out of the Box Office: a database of its own, others' facts by events, stock by asking the inventory.
//!
//! | part | job |
//! |---|---|
//! | [`open`] | puts the parts together |
//! | `order` | what an order is |
//! | `routes`, `stream`, `picture` | `/api/orders/*` |
//! | `service` | the rules of ordering |
//! | `fee` | what an order costs |
//! | `inventory` | reserves and releases |
//! | `placements` | orders on their way, and what is left of those that never arrived |
//! | `events` | what others tell, and who acts on it |
//! | `repository` | the tables |

mod events;
mod fee;
mod inventory;
mod order;
mod picture;
mod placements;
mod repository;
mod routes;
mod service;
mod stream;

use std::sync::Arc;

use axum::Router;
use boxoffice_kit::{
    Database,
    database::without_password,
    scalar,
    service::{Events, Failure, Kit, Options, Parts, assemble},
    writer::Owned,
};
use clap::Args;
use jiff::SignedDuration;
use reqwest::Url;
use tokio_util::sync::CancellationToken;

use crate::{events::Listener, inventory::Inventory, routes::App, service::Orders};

const NAME: &str = "boxoffice-orders";

/// Identifiers may have holes, unlike numbers. A new writer leaves one for the orders that are on their way at the old
/// one: two orders of one identifier would share a reservation.
static OWNED: [Owned; 1] = [Owned {
    name: "orders",
    fingerprint: &[
        "SELECT id || '|' || number || '|' || user_id || '|' || status || '|' || total_cents || '|' || version
         FROM orders",
        "SELECT order_id || '|' || position || '|' || ticket_id || '|' || price_cents || '|' || quantity
         FROM order_items",
    ],
    counters: &[
        (
            "orders",
            "SELECT CAST(coalesce(max(id), 0) + 1000 AS BIGINT)
             FROM (SELECT id FROM orders UNION ALL SELECT order_id FROM placements) AS given",
        ),
        ("order_numbers", "SELECT coalesce(max(number), 0) FROM orders"),
    ],
}];

/// The flags beside those every service has.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Who keeps the stock; the monolith when absent
    #[arg(long, env = "INVENTORY_URL")]
    pub inventory: Option<Url>,
    /// How long an unpaid order holds its tickets
    #[arg(long, env = "PAY_WITHIN", default_value = "15m")]
    pub pay_within: SignedDuration,
    /// Work on the monolith's own database, as one of two programs that write it: no events, no replicas
    #[arg(long)]
    pub shared: bool,
    /// Round the fee per line instead of per order: the mistake that the story lets a comparison find
    #[arg(long)]
    pub planted_fee_bug: bool,
}

/// The application on its database, its events on their way.
pub async fn open(
    mut options: Options,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(Router, Kit), Failure> {
    let database = if settings.shared {
        options.events = Events::default();
        shared(&options.database).await?
    } else {
        Database::open(&options.database, sqlx::migrate!()).await?
    };
    let owned: &[Owned] = if settings.shared { &[] } else { &OWNED };
    let module = Arc::new(Listener { shared: settings.shared });
    let routes = |parts: &Parts| {
        let inventory = settings.inventory.clone().unwrap_or_else(|| options.legacy.clone());
        let orders = Orders {
            database: parts.kit.database.clone(),
            inventory: Inventory { address: inventory.to_string(), client: parts.kit.client.clone() },
            settings,
        };
        let cleaning = placements::clean_up(orders.clone());
        tokio::spawn(parts.kit.stop.clone().run_until_cancelled_owned(cleaning));
        let app = App { orders, sessions: parts.sessions.clone(), stop: parts.kit.stop.clone() };
        routes::routes(app, parts.kit.gate("orders"))
    };
    assemble((NAME, owned), &options, database, module, routes, stop).await
}

/// The tables stay the monolith's: nothing is migrated here.
async fn shared(address: &str) -> Result<Database, Failure> {
    let database = Database::open_as_it_is(address).await?;
    let found: Result<i64, _> =
        scalar!("SELECT value FROM counters WHERE name = 'order_numbers'").fetch_one(&database.read).await;
    found.map_err(|error| {
        format!(
            "no orders in the database `{}`: {error}\nhint: the monolith makes it; start that first",
            without_password(address)
        )
    })?;
    Ok(database)
}
