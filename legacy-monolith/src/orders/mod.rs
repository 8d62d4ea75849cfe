//! Placing, paying and cancelling orders. Owns `orders`, `order_items` and their counters.

mod fee;
mod http;
mod repository;
mod routes;
mod service;
mod stream;
mod ticket;

use boxoffice_kit::{Problem, async_trait, identity::User, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{http::Http, routes::routes, service::Local};
pub(crate) use crate::inventory::Line;

/// How many orders a page has when nobody says.
const LIMIT_DEFAULT: i64 = 20;

/// What must be the same on both sides before orders change hands.
pub(crate) const OWNED: Owned = Owned {
    name: "orders",
    fingerprint: &[
        "SELECT id || '|' || number || '|' || user_id || '|' || status || '|' || total_cents || '|' || version
         FROM orders WHERE status IN ('awaiting_payment', 'complete', 'cancelled')",
        "SELECT order_id || '|' || position || '|' || ticket_id || '|' || price_cents || '|' || quantity
         FROM order_items WHERE order_id IN
             (SELECT id FROM orders WHERE status IN ('awaiting_payment', 'complete', 'cancelled'))",
    ],
    counters: &[
        // Never back, for an id that came to nothing may be known to the stock; and beyond those that may be on their way at
        // the service.
        ("orders", "SELECT CASE WHEN value > highest THEN value ELSE highest END
                    FROM counters, (SELECT COALESCE(max(id), 0) + 1000 AS highest FROM orders) AS given WHERE name = 'orders'"),
        ("order_numbers", "SELECT COALESCE(max(number), 0) FROM orders"),
    ],
};

/// An order as its buyer sees it. Money in cents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: i64,
    /// Consecutive over all orders, without gaps: bookkeepers ask for that.
    pub(crate) number: i64,
    /// `awaiting_payment`, `complete` or `cancelled`.
    pub(crate) status: String,
    pub(crate) items: Vec<Item>,
    #[serde(flatten)]
    pub(crate) sums: Sums,
    pub(crate) version: i64,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
}

/// A line of an order, with title and price as they were.
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) ticket_id: i64,
    pub(crate) title: String,
    pub(crate) price_cents: i64,
    pub(crate) quantity: i64,
}

/// What an order costs, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the unit stands last, as in the JSON")]
pub(crate) struct Sums {
    pub(crate) subtotal_cents: i64,
    pub(crate) fee_cents: i64,
    pub(crate) total_cents: i64,
}

/// An order and whose it is, as events and other services get it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    pub(crate) user_id: i64,
    pub(crate) order: Order,
}

/// What an order would cost now.
#[derive(Debug, Serialize)]
pub(crate) struct Quote {
    items: Vec<Item>,
    #[serde(flatten)]
    sums: Sums,
}

/// One page of a buyer's orders, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listing {
    pub(crate) orders: Vec<Order>,
    page: i64,
    limit: i64,
    total: i64,
}

/// Which page of the own orders to list.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) page: Option<i64>,
    pub(crate) limit: Option<i64>,
}

/// The seam of the module: what others in this process ask, wherever orders are written.
#[async_trait]
pub(crate) trait Orders: Send + Sync {
    /// Reserves, prices, numbers and stores an order, all or nothing.
    async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem>;
    async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem>;
    /// The buyer's own order; somebody else's is not found.
    async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem>;
}
