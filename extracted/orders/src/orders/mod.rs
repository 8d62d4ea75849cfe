//! Placing and cancelling orders: `orders`, `order_items`, the order counter, and, while the store is
//! shared, the stock columns of `tickets`.

mod fee;
mod repository;
mod routes;
mod service;
mod stream;

use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Orders};

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

/// What somebody wants to buy.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) ticket_id: i64,
    pub(crate) quantity: i64,
}
