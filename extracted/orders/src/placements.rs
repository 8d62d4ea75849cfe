//! Orders on their way. The reservation is made elsewhere, so no transaction spans both: a row says beforehand that
//! something may be held, and goes in the transaction that stores the order. What a crash leaves behind is released.

use std::time::Duration;

use boxoffice_kit::{Connection, Problem, next_id, query, scalar, writer::hold};
use jiff::{SignedDuration, Timestamp};

use crate::service::{Orders, moment};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longer than the inventory may take to answer. An order that takes longer still is refused.
const ABANDONED_AFTER: SignedDuration = SignedDuration::from_secs(15);

impl Orders {
    /// The identifier for a new order.
    pub(crate) async fn place(&self) -> Result<i64, Problem> {
        let mut tx = self.database.begin().await?;
        hold(&mut tx, "orders").await?;
        let order_id = next_id(&mut tx, "orders").await?;
        insert(&mut tx, order_id, &moment(Timestamp::now())).await?;
        tx.commit().await?;
        Ok(order_id)
    }

    /// Releases what an order holds that did not come to be, or that was cancelled. Once the time is gone from the row
    /// the order cannot come to be any more.
    pub(crate) async fn undo(&self, order_id: i64) -> Result<(), Problem> {
        let claimed = query!(
            "UPDATE placements SET created_at = '' WHERE order_id = $1
             AND NOT EXISTS (SELECT 1 FROM orders WHERE id = $1 AND status <> 'cancelled')",
            order_id
        );
        if claimed.execute(&self.database.write).await?.rows_affected() == 1 {
            self.inventory.release(order_id).await?;
        }
        Ok(self.forget(order_id).await?)
    }

    /// Nothing is held.
    pub(crate) async fn forget(&self, order_id: i64) -> sqlx::Result<()> {
        query!("DELETE FROM placements WHERE order_id = $1", order_id)
            .execute(&self.database.write)
            .await
            .map(drop)
    }

    async fn undo_abandoned(&self) -> Result<(), Problem> {
        let before =
            Timestamp::now().checked_sub(ABANDONED_AFTER).map_err(|error| Problem::internal(&error))?;
        let abandoned = scalar!("SELECT order_id FROM placements WHERE created_at < $1", moment(before));
        let abandoned: Vec<i64> = abandoned.fetch_all(&self.database.read).await?;
        for order_id in abandoned {
            if let Err(problem) = self.undo(order_id).await {
                tracing::warn!("order {order_id} does not exist and still holds tickets: {problem}");
            }
        }
        Ok(())
    }
}

/// Notes that something may be held; without a time: that it is to be released.
pub(crate) async fn insert(tx: &mut Connection, order_id: i64, created_at: &str) -> sqlx::Result<()> {
    query!("INSERT INTO placements (order_id, created_at) VALUES ($1, $2)", order_id, created_at)
        .execute(tx)
        .await
        .map(drop)
}

/// The order is stored in this transaction: false when it was given up meanwhile.
pub(crate) async fn arrive(tx: &mut Connection, order_id: i64) -> sqlx::Result<bool> {
    let arrived = query!("DELETE FROM placements WHERE order_id = $1 AND created_at <> ''", order_id);
    Ok(arrived.execute(tx).await?.rows_affected() == 1)
}

/// Goes on for ever: what crashes left behind. Also after orders were given away: nobody else knows of these rows.
pub(crate) async fn clean_up(orders: Orders) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(problem) = orders.undo_abandoned().await {
            tracing::warn!("cannot look for abandoned orders: {problem}");
        }
    }
}
