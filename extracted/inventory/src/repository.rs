//! The tables `stock`, `reservations` and `settlements`.

use boxoffice_kit::{Connection, Problem, publish, query, query_as, scalar};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Row, any::AnyRow};

use crate::routes::{Availability, Line};

/// The stock of a ticket, and the reservation that changed it, as events carry them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changed {
    ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    version: i64,
    reservation: Option<Reservation>,
}

impl FromRow<'_, AnyRow> for Changed {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let order: Option<i64> = row.try_get("order_id")?;
        Ok(Self {
            ticket_id: row.try_get("ticket_id")?,
            capacity: row.try_get("capacity")?,
            reserved: row.try_get("reserved")?,
            sold: row.try_get("sold")?,
            version: row.try_get("version")?,
            reservation: order.map(|_| Reservation::from_row(row)).transpose()?,
        })
    }
}

impl Changed {
    async fn publish(&self, tx: &mut Connection) -> Result<(), Problem> {
        publish(tx, "stock.changed", (format!("stock-{}", self.ticket_id), self.version), self).await
    }
}

#[derive(Serialize, Deserialize, FromRow)]
#[serde(rename_all = "camelCase")]
struct Reservation {
    order_id: i64,
    ticket_id: i64,
    quantity: i64,
    state: String,
}

pub(crate) async fn availability(
    connection: &mut Connection,
    ticket_id: i64,
) -> sqlx::Result<Option<Availability>> {
    let sql = "SELECT ticket_id, capacity, reserved, sold, capacity - reserved - sold AS available
               FROM stock WHERE ticket_id = $1 AND deleted = 0";
    query_as!(sql, ticket_id).fetch_optional(connection).await
}

/// A new ticket has all of its capacity left; one that was taken off sale stays so, whatever comes late.
pub(crate) async fn insert(tx: &mut Connection, id: i64, capacity: i64, deleted: bool) -> sqlx::Result<()> {
    let sql = "INSERT INTO stock (ticket_id, capacity, deleted) VALUES ($1, $2, $3)
               ON CONFLICT (ticket_id) DO UPDATE SET deleted = 1 WHERE excluded.deleted = 1";
    query!(sql, id, capacity, i64::from(deleted)).execute(tx).await.map(drop)
}

/// Tells of tickets whose stock nobody has told of.
pub(crate) async fn announce_new(tx: &mut Connection) -> Result<(), Problem> {
    let sql = "UPDATE stock SET version = 1 WHERE version = 0 RETURNING ticket_id";
    let new: Vec<i64> = scalar!(sql).fetch_all(&mut *tx).await?;
    for ticket_id in new {
        let sql = "SELECT * FROM stock_of_orders WHERE ticket_id = $1";
        let changed: Changed = query_as!(sql, ticket_id).fetch_one(&mut *tx).await?;
        changed.publish(tx).await?;
    }
    Ok(())
}

/// How an order ended, when it has.
pub(crate) async fn outcome(tx: &mut Connection, order_id: i64) -> sqlx::Result<Option<String>> {
    scalar!("SELECT outcome FROM settlements WHERE order_id = $1", order_id).fetch_optional(tx).await
}

pub(crate) async fn is_reserved(tx: &mut Connection, order_id: i64) -> sqlx::Result<bool> {
    let count = scalar!("SELECT count(*) FROM reservations WHERE order_id = $1", order_id);
    count.fetch_one(tx).await.map(|count: i64| count > 0)
}

/// Takes a line out of what is left; `false`, and nothing taken, when there is not enough. The guard and the taking are one
/// statement: nothing comes between them.
pub(crate) async fn hold(tx: &mut Connection, order_id: i64, line: &Line) -> Result<bool, Problem> {
    let sql = "UPDATE stock SET reserved = reserved + $1, version = version + 1
               WHERE ticket_id = $2 AND deleted = 0 AND reserved + sold + $1 <= capacity";
    if query!(sql, line.quantity, line.ticket_id).execute(&mut *tx).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO reservations (order_id, ticket_id, quantity, state) VALUES ($1, $2, $3, 'held')";
    query!(sql, order_id, line.ticket_id, line.quantity).execute(&mut *tx).await?;
    announce(tx, order_id, line.ticket_id).await?;
    Ok(true)
}

/// Remembers how an order ended; the first word holds.
pub(crate) async fn note(tx: &mut Connection, order_id: i64, outcome: &str) -> sqlx::Result<()> {
    let sql = "INSERT INTO settlements (order_id, outcome) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING";
    query!(sql, order_id, outcome).execute(tx).await.map(drop)
}

/// Sells or releases what is still held for an order that has ended.
pub(crate) async fn settle(tx: &mut Connection, order_id: i64) -> Result<(), Problem> {
    let sql = "UPDATE reservations SET state = settlements.outcome FROM settlements
               WHERE reservations.order_id = $1 AND reservations.state = 'held' AND settlements.order_id = $1
               RETURNING reservations.order_id AS order_id, ticket_id, quantity, state";
    let mut settled: Vec<Reservation> = query_as!(sql, order_id).fetch_all(&mut *tx).await?;
    settled.sort_unstable_by_key(|held| held.ticket_id);
    for Reservation { ticket_id, quantity, state, .. } in settled {
        let sold = if state == "sold" { quantity } else { 0 };
        let sql = "UPDATE stock SET reserved = reserved - $1, sold = sold + $2, version = version + 1
                   WHERE ticket_id = $3";
        query!(sql, quantity, sold, ticket_id).execute(&mut *tx).await?;
        announce(tx, order_id, ticket_id).await?;
    }
    Ok(())
}

/// Orders that have ended and still hold something.
pub(crate) async fn unsettled(tx: &mut Connection) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT DISTINCT order_id FROM reservations WHERE state = 'held'
               AND order_id IN (SELECT order_id FROM settlements) ORDER BY order_id";
    scalar!(sql).fetch_all(tx).await
}

async fn announce(tx: &mut Connection, order_id: i64, ticket_id: i64) -> Result<(), Problem> {
    let sql = "SELECT * FROM stock_of_orders WHERE order_id = $1 AND ticket_id = $2";
    let changed: Changed = query_as!(sql, order_id, ticket_id).fetch_one(&mut *tx).await?;
    changed.publish(tx).await
}

/// One event for each reservation, and one for each ticket without any.
pub(crate) async fn replay(tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
    let sql = "SELECT * FROM stock_of_orders ORDER BY ticket_id, order_id LIMIT $1 OFFSET $2";
    let rows: Vec<Changed> = query_as!(sql, limit, offset).fetch_all(&mut *tx).await?;
    let mut count = 0;
    for row in rows {
        row.publish(tx).await?;
        count += 1;
    }
    Ok(count)
}

/// Keeps the newest of what somebody else has written: whose order it is about. A reservation has a guard of its own, since
/// those of other orders count the version of the stock up as well.
pub(crate) async fn store(tx: &mut Connection, changed: Changed) -> sqlx::Result<Option<i64>> {
    let sql = "INSERT INTO stock (ticket_id, capacity, reserved, sold, version) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (ticket_id) DO UPDATE SET capacity = excluded.capacity, reserved = excluded.reserved,
                   sold = excluded.sold, version = excluded.version
               WHERE stock.version < excluded.version";
    query!(sql, changed.ticket_id, changed.capacity, changed.reserved, changed.sold, changed.version)
        .execute(&mut *tx)
        .await?;
    let Some(held) = changed.reservation else { return Ok(None) };
    let sql = "INSERT INTO reservations (order_id, ticket_id, quantity, state) VALUES ($1, $2, $3, $4)
               ON CONFLICT (order_id, ticket_id) DO UPDATE SET state = excluded.state
               WHERE reservations.state = 'held'";
    query!(sql, held.order_id, held.ticket_id, held.quantity, held.state).execute(tx).await?;
    Ok(Some(held.order_id))
}
