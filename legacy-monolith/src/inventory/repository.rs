//! The stock's columns of `tickets`, and `reservations`.

use boxoffice_kit::{Connection, query, query_as, scalar};
use serde::Serialize;

use super::{Availability, Line, Outcome};

/// A ticket's stock as others are told of it.
#[derive(Debug, Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    pub(super) ticket_id: i64,
    pub(super) capacity: i64,
    pub(super) reserved: i64,
    pub(super) sold: i64,
    pub(super) version: i64,
}

pub(super) async fn availability(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Availability>> {
    query_as!(
        "SELECT id AS ticket_id, capacity, reserved, sold, capacity - reserved - sold AS available
         FROM tickets WHERE id = $1 AND deleted = 0",
        id
    )
    .fetch_optional(connection)
    .await
}

/// The guard and the taking are one statement: nothing comes between them.
pub(super) async fn take(connection: &mut Connection, line: Line) -> sqlx::Result<Option<Stock>> {
    query_as!(
        "UPDATE tickets SET reserved = reserved + $1, stock_version = stock_version + 1
         WHERE id = $2 AND deleted = 0 AND reserved + sold + $1 <= capacity
         RETURNING id AS ticket_id, capacity, reserved, sold, stock_version AS version",
        line.quantity,
        line.ticket_id
    )
    .fetch_optional(connection)
    .await
}

pub(super) async fn insert(connection: &mut Connection, order_id: i64, line: Line) -> sqlx::Result<()> {
    query!(
        "INSERT INTO reservations (order_id, ticket_id, quantity, state) VALUES ($1, $2, $3, 'held')",
        order_id,
        line.ticket_id,
        line.quantity
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The states of what an order reserved.
pub(super) async fn states(connection: &mut Connection, order_id: i64) -> sqlx::Result<Vec<String>> {
    scalar!("SELECT state FROM reservations WHERE order_id = $1", order_id).fetch_all(connection).await
}

/// What the order held until now, by ticket.
pub(super) async fn end(
    connection: &mut Connection,
    order_id: i64,
    outcome: Outcome,
) -> sqlx::Result<Vec<Line>> {
    let mut lines: Vec<Line> = query_as!(
        "UPDATE reservations SET state = $1 WHERE order_id = $2 AND state = 'held' RETURNING ticket_id, quantity",
        outcome.text(),
        order_id
    )
    .fetch_all(connection)
    .await?;
    lines.sort_by_key(|line| line.ticket_id);
    Ok(lines)
}

pub(super) async fn give(connection: &mut Connection, line: Line, outcome: Outcome) -> sqlx::Result<Stock> {
    let sold = if outcome == Outcome::Sold { line.quantity } else { 0 };
    query_as!(
        "UPDATE tickets SET reserved = reserved - $1, sold = sold + $2, stock_version = stock_version + 1 WHERE id = $3
         RETURNING id AS ticket_id, capacity, reserved, sold, stock_version AS version",
        line.quantity,
        sold,
        line.ticket_id
    )
    .fetch_one(connection)
    .await
}

/// The first version of a stock; `None` when there is one already.
pub(super) async fn open(connection: &mut Connection, ticket_id: i64) -> sqlx::Result<Option<Stock>> {
    query_as!(
        "UPDATE tickets SET stock_version = 1 WHERE id = $1 AND stock_version = 0
         RETURNING id AS ticket_id, capacity, reserved, sold, stock_version AS version",
        ticket_id
    )
    .fetch_optional(connection)
    .await
}
