//! Placing and cancelling orders. Owns `orders`, `order_items` and the order counter.

mod fee;
mod repository;
mod routes;
mod service;
mod stream;

use boxoffice_kit::{Problem, async_trait};
use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Local};
pub(crate) use crate::inventory::Line;
use crate::users::User;

/// An order as its buyer sees it. Money in cents.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: i64,
    /// Consecutive over all orders, without gaps: bookkeepers ask for that.
    pub(crate) number: i64,
    pub(crate) status: String,
    pub(crate) items: Vec<Item>,
    #[serde(flatten)]
    pub(crate) sums: Sums,
    pub(crate) version: i64,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
}

/// A line of an order, with title and price as they were.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) ticket_id: i64,
    pub(crate) title: String,
    pub(crate) price_cents: i64,
    pub(crate) quantity: i64,
}

/// What an order costs, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the unit stands last, as in the JSON")]
pub(crate) struct Sums {
    pub(crate) subtotal_cents: i64,
    pub(crate) fee_cents: i64,
    pub(crate) total_cents: i64,
}

/// What an order would cost now.
#[derive(Debug, Serialize)]
pub(crate) struct Quote {
    items: Vec<Item>,
    #[serde(flatten)]
    sums: Sums,
}

/// One page of a buyer's orders, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    orders: Vec<Order>,
    page: i64,
    limit: i64,
    total: i64,
}

/// Which page of the own orders to list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    page: Option<i64>,
    limit: Option<i64>,
}

/// The seam of the module.
#[async_trait]
pub(crate) trait Orders: Send + Sync {
    /// What the lines would cost, nothing reserved.
    async fn quote(&self, lines: Vec<Line>) -> Result<Quote, Problem>;
    /// Reserves, prices, numbers and stores an order, all or nothing.
    async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem>;
    async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem>;
    /// The buyer's own order; somebody else's is not found.
    async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem>;
    /// Cancels and gives the tickets back. Cancelling twice is the same as once.
    async fn cancel(&self, buyer: &User, id: i64) -> Result<Order, Problem>;
}
