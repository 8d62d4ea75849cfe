//! The tables `orders`, `order_items` and `counters`.

use boxoffice_kit::{Connection, next_id, query, query_as, scalar};
use jiff::Timestamp;

use super::{Item, Order, Sums};

/// What is stored of an order not stored yet.
pub(super) struct NewOrder {
    pub(super) id: i64,
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
pub(super) async fn insert(connection: &mut Connection, new: NewOrder) -> sqlx::Result<Order> {
    let number = next_id(connection, "order_numbers").await?;
    let row: Row = query_as!(
        "INSERT INTO orders (id, number, user_id, status, subtotal_cents, fee_cents, total_cents, created_at, expires_at)
         VALUES ($1, $2, $3, 'awaiting_payment', $4, $5, $6, $7, $8) RETURNING *",
    )
    .bind(new.id)
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

async fn insert_items(connection: &mut Connection, order_id: i64, items: &[Item]) -> sqlx::Result<()> {
    for (position, item) in (1_i64..).zip(items) {
        query!(
            "INSERT INTO order_items (order_id, position, ticket_id, title, price_cents, quantity)
             VALUES ($1, $2, $3, $4, $5, $6)",
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

pub(super) async fn get(connection: &mut Connection, buyer: i64, id: i64) -> sqlx::Result<Option<Order>> {
    let row: Option<Row> = query_as!("SELECT * FROM orders WHERE id = $1 AND user_id = $2")
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
    connection: &mut Connection,
    buyer: i64,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Order>> {
    let rows: Vec<Row> =
        query_as!("SELECT * FROM orders WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3")
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

async fn with_items(connection: &mut Connection, row: Row) -> sqlx::Result<Order> {
    let items = query_as!(
        "SELECT ticket_id, title, price_cents, quantity FROM order_items WHERE order_id = $1 ORDER BY position",
    )
    .bind(row.id)
    .fetch_all(connection)
    .await?;
    Ok(row.with(items))
}

pub(super) async fn count(connection: &mut Connection, buyer: i64) -> sqlx::Result<i64> {
    scalar!("SELECT count(*) FROM orders WHERE user_id = $1").bind(buyer).fetch_one(connection).await
}

/// Whether the order was still open and is cancelled now.
pub(super) async fn cancel(connection: &mut Connection, buyer: i64, id: i64) -> sqlx::Result<bool> {
    let done = query!(
        "UPDATE orders SET status = 'cancelled', version = version + 1
         WHERE id = $1 AND user_id = $2 AND status = 'awaiting_payment'",
    )
    .bind(id)
    .bind(buyer)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
