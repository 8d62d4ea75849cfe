//! What the monolith does with the events of the services, and with a module it takes back.

use std::sync::Arc;

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module};

use crate::{catalog, inventory, users};

/// Sends each event to the module it concerns.
pub(crate) struct Listener {
    pub(crate) users: Arc<users::Local>,
    pub(crate) catalog: Arc<catalog::Local>,
    pub(crate) inventory: Arc<inventory::Local>,
}

#[async_trait]
impl Module for Listener {
    fn listens(&self) -> &'static [&'static str] {
        &["ticket.created", "ticket.updated", "stock.changed", "user.changed", "session.changed"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        match event.kind.as_str() {
            "ticket.created" | "ticket.updated" => self.catalog.replicate(tx, event).await,
            "stock.changed" => self.inventory.replicate(tx, event).await,
            "user.changed" | "session.changed" => self.users.replicate(tx, event).await,
            _ => Ok(()),
        }
    }

    async fn take_over(&self, tx: &mut Connection, module: &str) -> Result<(), Problem> {
        match module {
            "inventory" => self.inventory.take_over(tx).await,
            _ => Ok(()),
        }
    }

    async fn replay(
        &self,
        tx: &mut Connection,
        module: &str,
        offset: i64,
        limit: i64,
    ) -> Result<i64, Problem> {
        match module {
            "users" => self.users.replay(tx, offset, limit).await,
            "catalog" => self.catalog.replay(tx, offset, limit).await,
            "inventory" => self.inventory.replay(tx, offset, limit).await,
            _ => Ok(0),
        }
    }
}
