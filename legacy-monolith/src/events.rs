//! What the monolith does with the events of the services, and with a module it takes back.

use std::sync::Arc;

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog, expiration,
    inventory::{self, Outcome},
    notifications,
    orders::{self, Placed},
    payments, users,
};

/// Sends each event to the module it concerns.
pub(crate) struct Listener {
    pub(crate) users: Arc<users::Local>,
    pub(crate) catalog: Arc<catalog::Local>,
    pub(crate) inventory: Arc<inventory::Local>,
    pub(crate) orders: Arc<orders::Local>,
    pub(crate) payments: Arc<payments::Local>,
    pub(crate) notifications: Arc<notifications::Local>,
    pub(crate) expiration: expiration::Local,
}

impl Listener {
    /// Begins what modules do of their own accord.
    pub(crate) fn start(self: &Arc<Self>, stop: &CancellationToken) {
        let (sender, sweeper) = (self.clone(), self.clone());
        let (end, also_end) = (stop.clone(), stop.clone());
        tokio::spawn(async move { sender.notifications.keep_sending(end).await });
        tokio::spawn(async move { sweeper.expiration.keep_sweeping(also_end).await });
    }

    /// What the stock was not told while it was written elsewhere: new tickets, and orders that have ended.
    async fn settle_ended(&self, tx: &mut Connection) -> Result<(), Problem> {
        self.inventory.open(tx).await?;
        let holding = self.inventory.holding(tx).await?;
        for (status, outcome) in [("complete", Outcome::Sold), ("cancelled", Outcome::Released)] {
            let ended = self.orders.ids(tx, status).await?;
            for id in holding.iter().filter(|id| ended.contains(id)) {
                self.inventory.settle(tx, *id, outcome).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Module for Listener {
    fn listens(&self) -> &'static [&'static str] {
        &[
            "ticket.created",
            "ticket.updated",
            "stock.changed",
            "user.changed",
            "session.changed",
            "order.created",
            "order.completed",
            "order.cancelled",
            "order.refund_requested",
            "payment.created",
            "payment.refunded",
            "expiration.complete",
            "notification.sent",
        ]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        match event.kind.as_str() {
            "ticket.created" | "ticket.updated" => self.catalog.replicate(tx, event).await,
            "stock.changed" => {
                let is_late = self.inventory.replicate(tx, event).await?;
                if is_late { self.settle_ended(tx).await } else { Ok(()) }
            }
            "user.changed" | "session.changed" => self.users.replicate(tx, event).await,
            "order.created" | "order.completed" => self.orders.heard(tx, &event.data()?).await,
            "order.cancelled" | "order.refund_requested" => {
                let placed: Placed = event.data()?;
                self.orders.heard(tx, &placed).await?;
                self.payments.want_refund(tx, placed.order.id).await
            }
            "payment.created" | "payment.refunded" => self.payments.heard(tx, event).await,
            "expiration.complete" => self.expiration.heard(tx, event).await,
            "notification.sent" => self.notifications.heard(tx, event).await,
            _ => Ok(()),
        }
    }

    async fn take_over(&self, tx: &mut Connection, module: &str) -> Result<(), Problem> {
        match module {
            "inventory" => self.settle_ended(tx).await,
            "orders" => self.payments.complete_orders(tx).await,
            "payments" => self.payments.take_over(tx).await,
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
            "orders" => self.orders.replay(tx, offset, limit).await,
            "payments" => self.payments.replay(tx, offset, limit).await,
            "notifications" => self.notifications.replay(tx, offset, limit).await,
            _ => Ok(0),
        }
    }
}
