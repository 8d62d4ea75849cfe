//! The tables of orders.

use boxoffice_kit::{Connection, query, query_as, scalar};

use crate::order::{Item, Line, Order, Placed, Sums};

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

/// Stores an order unless a version as new is there already: whether it was stored. Items never change.
pub(crate) async fn store(connection: &mut Connection, placed: &Placed) -> sqlx::Result<bool> {
    let Placed { user_id, order } = placed;
    let stored = query!(
        "INSERT INTO orders (id, number, user_id, status, subtotal_cents, fee_cents, total_cents, version,
                             created_at, expires_at)
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
        &order.expires_at
    );
    let stored = stored.execute(&mut *connection).await?.rows_affected() == 1;
    for (position, item) in (1_i64..).zip(&order.items) {
        let Item { ticket_id, title, price_cents, quantity } = item;
        let sql = "INSERT INTO order_items (order_id, position, ticket_id, title, price_cents, quantity)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (order_id, position) DO NOTHING";
        let insert = query!(sql, order.id, position, *ticket_id, title, *price_cents, *quantity);
        insert.execute(&mut *connection).await?;
    }
    Ok(stored)
}

pub(crate) async fn get(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Placed>> {
    let row = query_as!("SELECT * FROM orders WHERE id = $1", id).fetch_optional(&mut *connection).await?;
    Ok(with_items(connection, row.into_iter().collect()).await?.pop())
}

/// A buyer's orders, newest first, and how many there are in all.
pub(crate) async fn list(
    connection: &mut Connection,
    buyer: i64,
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<Order>, i64)> {
    let sql = "SELECT * FROM orders WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3";
    let rows = query_as!(sql, buyer, limit, offset).fetch_all(&mut *connection).await?;
    let orders = with_items(connection, rows).await?.into_iter().map(|placed| placed.order).collect();
    let count = scalar!("SELECT count(*) FROM orders WHERE user_id = $1", buyer);
    Ok((orders, count.fetch_one(connection).await?))
}

/// Everybody's orders, oldest first.
pub(crate) async fn all(connection: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Placed>> {
    let sql = "SELECT * FROM orders ORDER BY id LIMIT $1 OFFSET $2";
    let rows = query_as!(sql, limit, offset).fetch_all(&mut *connection).await?;
    with_items(connection, rows).await
}

async fn with_items(connection: &mut Connection, rows: Vec<Row>) -> sqlx::Result<Vec<Placed>> {
    let sql = "SELECT ticket_id, title, price_cents, quantity FROM order_items WHERE order_id = $1 ORDER BY position";
    let mut all = Vec::with_capacity(rows.len());
    for Row { id, number, user_id, status, sums, version, created_at, expires_at } in rows {
        let items = query_as!(sql, id).fetch_all(&mut *connection).await?;
        let order = Order { id, number, status, items, sums, version, created_at, expires_at };
        all.push(Placed { user_id, order });
    }
    Ok(all)
}

/// Ends an open order: as it is then, `None` when it was not open.
pub(crate) async fn end(connection: &mut Connection, id: i64, status: &str) -> sqlx::Result<Option<Placed>> {
    let sql =
        "UPDATE orders SET status = $1, version = version + 1 WHERE id = $2 AND status = 'awaiting_payment'";
    match query!(sql, status, id).execute(&mut *connection).await?.rows_affected() {
        0 => Ok(None),
        _ => get(connection, id).await,
    }
}

/// Title and price of a line as they are now; `None` when there is no such ticket.
pub(crate) async fn item(connection: &mut Connection, line: Line) -> sqlx::Result<Option<Item>> {
    let Line { ticket_id, quantity } = line;
    let sql = "SELECT title, price_cents FROM tickets WHERE id = $1 AND deleted = 0";
    let found: Option<(String, i64)> = query_as!(sql, ticket_id).fetch_optional(connection).await?;
    Ok(found.map(|(title, price_cents)| Item { ticket_id, title, price_cents, quantity }))
}
