//! The tables `orders`, `order_items` and `placements`.
//!
//! A service that shares this database may put orders here that are not placed yet, under a status of its own. What is
//! read here is placed.

use boxoffice_kit::{Connection, query, query_as, scalar, sqlx};

use super::{Item, Order, Placed, Sums};

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    number: i64,
    user_id: i64,
    status: String,
    #[sqlx(flatten)]
    sums: Sums,
    version: i64,
    created_at: String,
    expires_at: String,
}

/// Stores an order, or what is new about it: events may come twice and in any order. Whether anything was new.
pub(super) async fn upsert(connection: &mut Connection, placed: &Placed) -> sqlx::Result<bool> {
    let Placed { user_id, order } = placed;
    let done = query!(
        "INSERT INTO orders (id, number, user_id, status, subtotal_cents, fee_cents, total_cents, version, created_at,
                             expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = excluded.version
         WHERE orders.version < excluded.version",
        order.id,
        order.number,
        *user_id,
        &order.status,
        order.sums.subtotal_cents,
        order.sums.fee_cents,
        order.sums.total_cents,
        order.version,
        &order.created_at,
        &order.expires_at,
    )
    .execute(&mut *connection)
    .await?;
    for (position, item) in (1_i64..).zip(&order.items) {
        query!(
            "INSERT INTO order_items (order_id, position, ticket_id, title, price_cents, quantity)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (order_id, position) DO NOTHING",
            order.id,
            position,
            item.ticket_id,
            &item.title,
            item.price_cents,
            item.quantity,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(done.rows_affected() == 1)
}

pub(super) async fn get(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Placed>> {
    let sql =
        "SELECT * FROM orders WHERE id = $1 AND status IN ('awaiting_payment', 'complete', 'cancelled')";
    let row = query_as!(sql, id).fetch_optional(&mut *connection).await?;
    Ok(with_items(connection, row.into_iter().collect()).await?.pop())
}

/// A buyer's orders, newest first.
pub(super) async fn list(
    connection: &mut Connection,
    buyer: i64,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Placed>> {
    let sql =
        "SELECT * FROM orders WHERE user_id = $1 AND status IN ('awaiting_payment', 'complete', 'cancelled')
               ORDER BY id DESC LIMIT $2 OFFSET $3";
    let rows = query_as!(sql, buyer, limit, offset).fetch_all(&mut *connection).await?;
    with_items(connection, rows).await
}

pub(super) async fn count(connection: &mut Connection, buyer: i64) -> sqlx::Result<i64> {
    let sql = "SELECT count(*) FROM orders WHERE user_id = $1
               AND status IN ('awaiting_payment', 'complete', 'cancelled')";
    scalar!(sql, buyer).fetch_one(connection).await
}

/// Everybody's orders, oldest first.
pub(super) async fn all(connection: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Placed>> {
    let sql = "SELECT * FROM orders WHERE status IN ('awaiting_payment', 'complete', 'cancelled')
               ORDER BY id LIMIT $1 OFFSET $2";
    let rows = query_as!(sql, limit, offset).fetch_all(&mut *connection).await?;
    with_items(connection, rows).await
}

async fn with_items(connection: &mut Connection, rows: Vec<Row>) -> sqlx::Result<Vec<Placed>> {
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        let sql = "SELECT ticket_id, title, price_cents, quantity FROM order_items WHERE order_id = $1 ORDER BY position";
        let items: Vec<Item> = query_as!(sql, row.id).fetch_all(&mut *connection).await?;
        let Row { id, number, user_id, status, sums, version, created_at, expires_at } = row;
        let order = Order { id, number, status, items, sums, version, created_at, expires_at };
        orders.push(Placed { user_id, order });
    }
    Ok(orders)
}

/// Whether the order was still open and is closed now. The guard is in the statement: a paid order stays paid.
pub(super) async fn close(connection: &mut Connection, id: i64, status: &str) -> sqlx::Result<bool> {
    let sql =
        "UPDATE orders SET status = $1, version = version + 1 WHERE id = $2 AND status = 'awaiting_payment'";
    Ok(query!(sql, status, id).execute(connection).await?.rows_affected() == 1)
}

/// Orders whose time to be paid was over at `now`.
pub(super) async fn overdue(connection: &mut Connection, now: &str, limit: i64) -> sqlx::Result<Vec<i64>> {
    let sql =
        "SELECT id FROM orders WHERE status = 'awaiting_payment' AND expires_at < $1 ORDER BY id LIMIT $2";
    scalar!(sql, now, limit).fetch_all(connection).await
}

pub(super) async fn ids(connection: &mut Connection, status: &str) -> sqlx::Result<Vec<i64>> {
    scalar!("SELECT id FROM orders WHERE status = $1", status).fetch_all(connection).await
}

/// Notes that an order may hold tickets though it is not there yet.
pub(super) async fn announce(connection: &mut Connection, id: i64, now: &str) -> sqlx::Result<()> {
    let sql = "INSERT INTO placements (order_id, created_at) VALUES ($1, $2)";
    query!(sql, id, now).execute(connection).await.map(drop)
}

/// The order is stored in this transaction: false when it was given up meanwhile.
pub(super) async fn arrive(connection: &mut Connection, id: i64) -> sqlx::Result<bool> {
    let sql = "DELETE FROM placements WHERE order_id = $1 AND created_at <> ''";
    Ok(query!(sql, id).execute(connection).await?.rows_affected() == 1)
}

/// Takes the time from the row: from then on the order cannot come to be. False when there is nothing to give up.
pub(super) async fn give_up(connection: &mut Connection, id: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE placements SET created_at = '' WHERE order_id = $1
               AND NOT EXISTS (SELECT 1 FROM orders WHERE id = $1 AND status <> 'cancelled')";
    Ok(query!(sql, id).execute(connection).await?.rows_affected() == 1)
}

/// Nothing is held.
pub(super) async fn forget(connection: &mut Connection, id: i64) -> sqlx::Result<()> {
    query!("DELETE FROM placements WHERE order_id = $1", id).execute(connection).await.map(drop)
}

/// Orders that were announced before `then` and did not arrive.
pub(super) async fn abandoned(connection: &mut Connection, then: &str) -> sqlx::Result<Vec<i64>> {
    scalar!("SELECT order_id FROM placements WHERE created_at < $1", then).fetch_all(connection).await
}
