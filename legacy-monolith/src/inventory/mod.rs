//! How many are left. Owns the columns `capacity`, `reserved` and `sold` of the wide table `tickets`.

mod repository;
mod routes;
mod service;

use async_trait::async_trait;
use serde::Serialize;
use sqlx::SqliteConnection;

pub(crate) use self::{routes::routes, service::Local};
use crate::problem::Problem;

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

/// The seam of the module. Reserving joins the caller's transaction: one of the ties that make a monolith.
#[async_trait]
pub(crate) trait Inventory: Send + Sync {
    async fn availability(&self, ticket_id: i64) -> Result<Availability, Problem>;
    /// Takes `quantity` out of what is left; `false`, and nothing taken, when there is not enough.
    async fn reserve(
        &self,
        connection: &mut SqliteConnection,
        ticket_id: i64,
        quantity: i64,
    ) -> Result<bool, Problem>;
    /// Gives back what [`Inventory::reserve`] took.
    async fn release(
        &self,
        connection: &mut SqliteConnection,
        ticket_id: i64,
        quantity: i64,
    ) -> Result<(), Problem>;
}
