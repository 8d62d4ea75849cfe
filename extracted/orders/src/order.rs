//! What an order is, as buyers and events show it. Money in cents.

use serde::{Deserialize, Serialize};

/// An order.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) ticket_id: i64,
    pub(crate) title: String,
    pub(crate) price_cents: i64,
    pub(crate) quantity: i64,
}

/// What an order costs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the unit stands last, as in the JSON")]
pub(crate) struct Sums {
    pub(crate) subtotal_cents: i64,
    pub(crate) fee_cents: i64,
    pub(crate) total_cents: i64,
}

/// An order and whose it is: the data of its events.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    pub(crate) user_id: i64,
    pub(crate) order: Order,
}

/// What an order would cost now.
#[derive(Debug, Serialize)]
pub(crate) struct Quote {
    pub(crate) items: Vec<Item>,
    #[serde(flatten)]
    pub(crate) sums: Sums,
}

/// One page of a buyer's orders, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) orders: Vec<Order>,
    pub(crate) page: i64,
    pub(crate) limit: i64,
    pub(crate) total: i64,
}

/// Which page of the own orders to list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) page: Option<i64>,
    pub(crate) limit: Option<i64>,
}

/// What somebody wants to buy.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) ticket_id: i64,
    pub(crate) quantity: i64,
}
