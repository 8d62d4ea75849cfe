//! What payments makes of events. That money is to be given back is a fact that everyone keeps; the writer acts on it, and
//! so does who takes over later.

use boxoffice_kit::{Connection, Event, Problem, async_trait, inbox::Module, writer::is_here};

use crate::{
    MODULE,
    repository::{self, Placed, Row},
    service::refund_due,
};

/// Payments as the inbox knows them.
pub struct Payments;

#[async_trait]
impl Module for Payments {
    fn listens(&self) -> &'static [&'static str] {
        &[
            "order.cancelled",
            "order.completed",
            "order.created",
            "order.refund_requested",
            "payment.created",
            "payment.refunded",
        ]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let here = is_here(tx, MODULE).await?;
        let order = if event.kind.starts_with("payment.") {
            let row: Row = event.data()?;
            repository::store(tx, &row).await?;
            row.payment.order_id
        } else {
            let placed: Placed = event.data()?;
            repository::store_order(tx, &placed).await?;
            if event.kind == "order.refund_requested" {
                repository::want_refund(tx, placed.order.id).await?;
            }
            placed.order.id
        };
        if here { refund_due(tx, (order, order)).await } else { Ok(()) }
    }

    async fn take_over(&self, tx: &mut Connection, _: &str) -> Result<(), Problem> {
        refund_due(tx, (0, i64::MAX)).await
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let mut count = 0;
        for row in repository::rows(tx, offset, limit).await? {
            row.publish(tx, "payment.created").await?;
            count += 1;
        }
        Ok(count)
    }
}
