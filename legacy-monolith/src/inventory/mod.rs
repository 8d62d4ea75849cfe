//! How many are left. Owns `reservations` and the columns `capacity`, `reserved`, `sold` of the wide table `tickets`.

mod repository;
mod routes;
mod service;

use boxoffice_kit::{Connection, Problem, async_trait, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Local};

/// What the new writer must have, too.
pub(crate) const OWNED: Owned = Owned {
    name: "inventory",
    fingerprint: &[
        "SELECT id || '|' || capacity || '|' || reserved || '|' || sold || '|' || stock_version FROM tickets",
    ],
    counters: &[],
};

/// So many of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) ticket_id: i64,
    pub(crate) quantity: i64,
}

/// What is left of a ticket.
#[derive(Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Availability {
    ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    available: i64,
}

/// What becomes of what an order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is paid.
    Sold,
    /// It is cancelled.
    Released,
}

/// The seam of the module. In this process everything joins the caller's transaction: one of the ties that make a monolith.
#[async_trait]
pub(crate) trait Inventory: Send + Sync {
    async fn availability(&self, ticket_id: i64) -> Result<Availability, Problem>;
    /// Holds all lines for an order, or none: then it is a conflict at `items[N].quantity`. Again is the same as once.
    async fn reserve(&self, tx: &mut Connection, order_id: i64, lines: &[Line]) -> Result<(), Problem>;
    /// Ends what the order holds, if it still does. Elsewhere it is the order's event that does this.
    async fn settle(&self, tx: &mut Connection, order_id: i64, outcome: Outcome) -> Result<(), Problem>;
    /// Takes [`Inventory::reserve`] back for an order that came to nothing. In this process that is the rollback.
    async fn undo(&self, order_id: i64) -> Result<(), Problem>;
    /// Makes a stock for a new ticket, whose row has its capacity.
    async fn open(&self, tx: &mut Connection, ticket_id: i64) -> Result<(), Problem>;
}
