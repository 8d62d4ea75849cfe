//! How many are left. Owns `reservations` and the columns `capacity`, `reserved`, `sold` of the wide table `tickets`.

mod http;
mod repository;
mod routes;
mod service;

use boxoffice_kit::{Problem, async_trait, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{http::Http, routes::routes, service::Local};

/// What the new writer must have, too.
pub(crate) const OWNED: Owned = Owned {
    name: "inventory",
    fingerprint: &[
        "SELECT id || '|' || capacity || '|' || reserved || '|' || sold || '|' || stock_version FROM tickets",
        // Ticket 0 is how this side alone remembers what was taken back.
        "SELECT order_id || '|' || ticket_id || '|' || quantity || '|' || state FROM reservations WHERE ticket_id > 0",
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

/// What becomes of what an order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is paid.
    Sold,
    /// It is cancelled.
    Released,
}

impl Outcome {
    fn text(self) -> &'static str {
        match self {
            Self::Sold => "sold",
            Self::Released => "released",
        }
    }
}

/// The seam of the module, for those who cannot join its transaction. Who can, calls [`Local::hold`].
#[async_trait]
pub(crate) trait Inventory: Send + Sync {
    /// Holds all lines for an order, or none: then it is a conflict at `items[N].quantity`. Again is the same as once.
    async fn reserve(&self, order_id: i64, lines: &[Line]) -> Result<(), Problem>;
    /// Takes back what an order holds. A reservation that is still on its way will be refused: nobody would ever take that
    /// back.
    async fn release(&self, order_id: i64) -> Result<(), Problem>;
}
