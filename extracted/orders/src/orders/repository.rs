//! The tables `orders`, `order_items` and `counters`, and the part of `tickets` an order touches.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{Item, Line, Order, Sums};

/// What is stored of an order not stored yet.
pub(super) struct NewOrder {
    pub(super) buyer: i64,
    pub(super) items: Vec<Item>,
    pub(super) sums: Sums,
    pub(super) now: Timestamp,
    pub(super) until: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    number: i64,
    status: String,
    #[sqlx(flatten)]
    sums: Sums,
    version: i64,
    created_at: String,
    expires_at: String,
}

impl Row {
    fn with(self, items: Vec<Item>) -> Order {
        Order {
            id: self.id,
            number: self.number,
            status: self.status,
            items,
            sums: self.sums,
            version: self.version,
            created_at: self.created_at,
            expires_at: self.expires_at,
        }
    }
}

/// Stores an order and its number. The number comes from a row of the same transaction: when the transaction
/// fails, the number was never taken, so there are no gaps.
pub(super) async fn insert(connection: &mut SqliteConnection, new: NewOrder) -> sqlx::Result<Order> {
    let number: i64 =
        sqlx::query_scalar("UPDATE counters SET value = value + 1 WHERE name = 'orders' RETURNING value")
            .fetch_one(&mut *connection)
            .await?;
    let row: Row = sqlx::query_as(
        "INSERT INTO orders (number, user_id, status, subtotal_cents, fee_cents, total_cents, created_at, expires_at)
         VALUES (?, ?, 'awaiting_payment', ?, ?, ?, ?, ?) RETURNING *",
    )
    .bind(number)
    .bind(new.buyer)
    .bind(new.sums.subtotal_cents)
    .bind(new.sums.fee_cents)
    .bind(new.sums.total_cents)
    .bind(new.now.to_string())
    .bind(new.until.to_string())
    .fetch_one(&mut *connection)
    .await?;
    insert_items(connection, row.id, &new.items).await?;
    Ok(row.with(new.items))
}

async fn insert_items(connection: &mut SqliteConnection, order_id: i64, items: &[Item]) -> sqlx::Result<()> {
    for (position, item) in (1_i64..).zip(items) {
        sqlx::query(
            "INSERT INTO order_items (order_id, position, ticket_id, title, price_cents, quantity)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(order_id)
        .bind(position)
        .bind(item.ticket_id)
        .bind(&item.title)
        .bind(item.price_cents)
        .bind(item.quantity)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    buyer: i64,
    id: i64,
) -> sqlx::Result<Option<Order>> {
    let row: Option<Row> = sqlx::query_as("SELECT * FROM orders WHERE id = ? AND user_id = ?")
        .bind(id)
        .bind(buyer)
        .fetch_optional(&mut *connection)
        .await?;
    match row {
        Some(row) => Ok(Some(with_items(connection, row).await?)),
        None => Ok(None),
    }
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    buyer: i64,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Order>> {
    let rows: Vec<Row> =
        sqlx::query_as("SELECT * FROM orders WHERE user_id = ? ORDER BY id DESC LIMIT ? OFFSET ?")
            .bind(buyer)
            .bind(limit)
            .bind(offset)
            .fetch_all(&mut *connection)
            .await?;
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        orders.push(with_items(connection, row).await?);
    }
    Ok(orders)
}

async fn with_items(connection: &mut SqliteConnection, row: Row) -> sqlx::Result<Order> {
    let items = sqlx::query_as(
        "SELECT ticket_id, title, price_cents, quantity FROM order_items WHERE order_id = ? ORDER BY position",
    )
    .bind(row.id)
    .fetch_all(connection)
    .await?;
    Ok(row.with(items))
}

pub(super) async fn count(connection: &mut SqliteConnection, buyer: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM orders WHERE user_id = ?")
        .bind(buyer)
        .fetch_one(connection)
        .await
}

/// Whether the order was still open and is cancelled now.
pub(super) async fn cancel(connection: &mut SqliteConnection, buyer: i64, id: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE orders SET status = 'cancelled', version = version + 1
         WHERE id = ? AND user_id = ? AND status = 'awaiting_payment'",
    )
    .bind(id)
    .bind(buyer)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Title and price of a line as they are now; `None` when there is no such ticket.
pub(super) async fn item(connection: &mut SqliteConnection, line: Line) -> sqlx::Result<Option<Item>> {
    sqlx::query_as("SELECT id AS ticket_id, title, price_cents, ? AS quantity FROM tickets WHERE id = ?")
        .bind(line.quantity)
        .bind(line.ticket_id)
        .fetch_optional(connection)
        .await
}

/// The guard and the taking are one statement: nothing comes between them.
pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    ticket_id: i64,
    quantity: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE tickets SET reserved = reserved + ?1 WHERE id = ?2 AND reserved + sold + ?1 <= capacity",
    )
    .bind(quantity)
    .bind(ticket_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    ticket_id: i64,
    quantity: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE tickets SET reserved = reserved - ? WHERE id = ?")
        .bind(quantity)
        .bind(ticket_id)
        .execute(connection)
        .await
        .map(drop)
}
