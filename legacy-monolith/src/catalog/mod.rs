//! What is for sale and at which price. Owns the columns of the wide table `tickets` before `capacity`.

mod repository;
mod routes;
mod service;

use boxoffice_kit::{Connection, Problem, async_trait, writer::Owned};
use serde::{Deserialize, Serialize};

pub(crate) use self::{routes::routes, service::Local};

/// What the new writer must have, too.
pub(crate) const OWNED: Owned = Owned {
    name: "catalog",
    fingerprint: &["SELECT id || '|' || title || '|' || price_cents || '|' || owner_id || '|' || deleted || '|' || version
                    FROM tickets"],
    counters: &[("tickets", "SELECT coalesce(max(id), 0) FROM tickets")],
};

/// A ticket on sale.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    pub(crate) id: i64,
    pub(crate) title: String,
    /// In cents.
    pub(crate) price_cents: i64,
    pub(crate) owner_id: i64,
    /// How often the ticket was looked at.
    pub(crate) views: i64,
    /// `on_sale`, or `sold_out` when none is left.
    pub(crate) status: String,
    pub(crate) version: i64,
    pub(crate) created_at: String,
}

/// One page of tickets.
#[derive(Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) page: i64,
    pub(crate) limit: i64,
    /// How many there are on all pages.
    pub(crate) total: i64,
}

/// Which tickets to list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// Part of the title.
    pub(crate) q: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) page: Option<i64>,
    pub(crate) limit: Option<i64>,
}

/// What a seller says of a ticket.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offer {
    pub(crate) title: String,
    pub(crate) price_cents: i64,
}

/// What an order keeps of a ticket.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Priced {
    pub(crate) title: String,
    pub(crate) price_cents: i64,
}

/// The seam of the module. Others in this process only read, and a replica of the rows is always here: no other side.
#[async_trait]
pub(crate) trait Catalog: Send + Sync {
    async fn list(&self, wanted: Wanted) -> Result<Listing, Problem>;
    async fn get(&self, id: i64) -> Result<Ticket, Problem>;
    /// Title and price, read in the caller's transaction; `None` when there is no such ticket.
    async fn price(&self, connection: &mut Connection, id: i64) -> Result<Option<Priced>, Problem>;
}

/// Money as people read it.
pub(crate) fn cents(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
