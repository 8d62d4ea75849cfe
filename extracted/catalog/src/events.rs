//! What the catalog makes of events: it keeps the stock for the `status` of a ticket, and, while the monolith writes,
//! the tickets themselves.

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module, publish};

use crate::repository;

/// The catalog as the inbox knows it.
pub struct Catalog;

#[async_trait]
impl Module for Catalog {
    fn listens(&self) -> &'static [&'static str] {
        &["stock.changed", "ticket.created", "ticket.updated"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        match event.kind.as_str() {
            "stock.changed" => Ok(repository::store_stock(tx, event.data()?).await?),
            _ => Ok(repository::store(tx, event.data()?).await?),
        }
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let rows = repository::rows(tx, offset, limit).await?;
        let mut count = 0;
        for row in rows {
            publish(tx, "ticket.updated", row.aggregate(), &row).await?;
            count += 1;
        }
        Ok(count)
    }
}
