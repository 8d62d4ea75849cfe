//! The rules of the stock.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::{Availability, Inventory, repository};
use crate::{database::Database, problem::Problem};

/// The stock in this process and this database.
pub(crate) struct Local {
    database: Database,
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Inventory for Local {
    async fn availability(&self, ticket_id: i64) -> Result<Availability, Problem> {
        let found = repository::availability(&self.database.read, ticket_id).await?;
        found.ok_or_else(|| Problem::not_found("ticket"))
    }

    async fn reserve(
        &self,
        connection: &mut SqliteConnection,
        ticket_id: i64,
        quantity: i64,
    ) -> Result<bool, Problem> {
        Ok(repository::reserve(connection, ticket_id, quantity).await?)
    }

    async fn release(
        &self,
        connection: &mut SqliteConnection,
        ticket_id: i64,
        quantity: i64,
    ) -> Result<(), Problem> {
        Ok(repository::release(connection, ticket_id, quantity).await?)
    }
}
