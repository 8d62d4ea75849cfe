//! What is for sale and at which price. Owns the left half of the wide table `tickets`.

mod repository;
mod routes;
mod service;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

pub(crate) use self::{routes::routes, service::Local};
use crate::{problem::Problem, users::User};

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
    pub(crate) version: i64,
    #[sqlx(try_from = "String")]
    pub(crate) created_at: Moment,
}

/// A time as the database keeps it (RFC 3339).
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Moment(pub(crate) Timestamp);

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

/// The seam of the module.
#[async_trait]
pub(crate) trait Catalog: Send + Sync {
    async fn list(&self, wanted: Wanted) -> Result<Listing, Problem>;
    /// One ticket; looking at it counts.
    async fn view(&self, id: i64) -> Result<Ticket, Problem>;
    async fn create(&self, owner: &User, offer: Offer, capacity: i64) -> Result<Ticket, Problem>;
    /// Changes a ticket; only its owner may.
    async fn update(&self, owner: &User, id: i64, offer: Offer) -> Result<Ticket, Problem>;
    /// Title and price, read in the caller's transaction; `None` when there is no such ticket.
    async fn price(&self, connection: &mut SqliteConnection, id: i64) -> Result<Option<Priced>, Problem>;
}

/// What an order keeps of a ticket.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Priced {
    pub(crate) title: String,
    pub(crate) price_cents: i64,
}

impl Ticket {
    /// The price as people read it.
    pub(crate) fn price(&self) -> String {
        format!("{}.{:02}", self.price_cents / 100, self.price_cents % 100)
    }
}

impl TryFrom<String> for Moment {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}
