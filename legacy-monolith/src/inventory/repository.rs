//! The stock's columns of `tickets`, and `reservations`.

use boxoffice_kit::{Connection, query, query_as, scalar};
use serde::{Deserialize, Serialize};

use super::{Line, Outcome};

/// What is left of a ticket.
#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Availability {
    ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    available: i64,
}

/// A ticket's stock as others are told of it.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stock {
    pub(super) ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    pub(super) version: i64,
}

/// What an order holds of a ticket, or held.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    pub(super) order_id: i64,
    pub(super) ticket_id: i64,
    pub(super) quantity: i64,
    pub(super) state: String,
}

macro_rules! stock {
    ($before:literal, $after:literal) => {
        concat!($before, " id AS ticket_id, capacity, reserved, sold, stock_version AS version ", $after)
    };
}

pub(super) async fn availability(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Availability>> {
    let sql = "SELECT id AS ticket_id, capacity, reserved, sold, capacity - reserved - sold AS available
               FROM tickets WHERE id = $1 AND deleted = 0";
    query_as!(sql, id).fetch_optional(connection).await
}

pub(super) async fn stock(connection: &mut Connection, ticket_id: i64) -> sqlx::Result<Stock> {
    query_as!(stock!("SELECT", "FROM tickets WHERE id = $1"), ticket_id).fetch_one(connection).await
}

/// Takes a line out of what is left, if that suffices. The guard and the taking are one statement: nothing comes between them.
pub(super) async fn take(connection: &mut Connection, line: Line) -> sqlx::Result<Option<Stock>> {
    let sql = stock!(
        "UPDATE tickets SET reserved = reserved + $1, stock_version = stock_version + 1
         WHERE id = $2 AND deleted = 0 AND reserved + sold + $1 <= capacity RETURNING",
        ""
    );
    query_as!(sql, line.quantity, line.ticket_id).fetch_optional(connection).await
}

/// Ends what a reservation holds, in the stock.
pub(super) async fn give(connection: &mut Connection, held: &Reservation) -> sqlx::Result<Stock> {
    let sold = if held.state == Outcome::Sold.text() { held.quantity } else { 0 };
    let sql = stock!(
        "UPDATE tickets SET reserved = reserved - $1, sold = sold + $2, stock_version = stock_version + 1
         WHERE id = $3 RETURNING",
        ""
    );
    query_as!(sql, held.quantity, sold, held.ticket_id).fetch_one(connection).await
}

/// The first version of stocks that have none yet.
pub(super) async fn open(connection: &mut Connection) -> sqlx::Result<Vec<Stock>> {
    let sql = stock!("UPDATE tickets SET stock_version = 1 WHERE stock_version = 0 RETURNING", "");
    query_as!(sql).fetch_all(connection).await
}

/// Of an order, ended ones too.
pub(super) async fn reservations(
    connection: &mut Connection,
    order_id: i64,
) -> sqlx::Result<Vec<Reservation>> {
    query_as!("SELECT * FROM reservations WHERE order_id = $1", order_id).fetch_all(connection).await
}

/// What the order held until now.
pub(super) async fn end(
    connection: &mut Connection,
    order_id: i64,
    outcome: Outcome,
) -> sqlx::Result<Vec<Reservation>> {
    let sql = "UPDATE reservations SET state = $1 WHERE order_id = $2 AND state = 'held' RETURNING *";
    query_as!(sql, outcome.text(), order_id).fetch_all(connection).await
}

/// Stores a reservation; false when that is no news. It leaves `held` once, in whatever order its events come.
pub(super) async fn store(connection: &mut Connection, reservation: &Reservation) -> sqlx::Result<bool> {
    let sql = "INSERT INTO reservations (order_id, ticket_id, quantity, state) VALUES ($1, $2, $3, $4)
               ON CONFLICT (order_id, ticket_id) DO UPDATE SET state = excluded.state
               WHERE reservations.state = 'held' AND excluded.state <> 'held'";
    let Reservation { order_id, ticket_id, quantity, state } = reservation;
    let stored = query!(sql, order_id, ticket_id, quantity, state).execute(connection).await?;
    Ok(stored.rows_affected() == 1)
}

/// Stores a stock; the newest version wins. A ticket that the catalog has not told of yet is not on sale.
pub(super) async fn store_stock(connection: &mut Connection, stock: &Stock) -> sqlx::Result<()> {
    let sql = "INSERT INTO tickets (id, title, price_cents, owner_id, deleted, version, created_at, capacity,
                                    reserved, sold, stock_version)
               VALUES ($1, '', 0, 0, 1, 0, '', $2, $3, $4, $5)
               ON CONFLICT (id) DO UPDATE SET capacity = excluded.capacity, reserved = excluded.reserved,
               sold = excluded.sold, stock_version = excluded.stock_version
               WHERE tickets.stock_version < excluded.stock_version";
    let Stock { ticket_id, capacity, reserved, sold, version } = stock;
    query!(sql, ticket_id, capacity, reserved, sold, version).execute(connection).await.map(drop)
}

pub(super) async fn stocks(connection: &mut Connection, limit: i64, offset: i64) -> sqlx::Result<Vec<Stock>> {
    let sql = stock!("SELECT", "FROM tickets WHERE stock_version > 0 ORDER BY id LIMIT $1 OFFSET $2");
    query_as!(sql, limit, offset).fetch_all(connection).await
}

pub(super) async fn count_stocks(connection: &mut Connection) -> sqlx::Result<i64> {
    scalar!("SELECT count(*) FROM tickets WHERE stock_version > 0").fetch_one(connection).await
}

pub(super) async fn all_reservations(
    connection: &mut Connection,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Reservation>> {
    let sql =
        "SELECT * FROM reservations WHERE ticket_id > 0 ORDER BY order_id, ticket_id LIMIT $1 OFFSET $2";
    query_as!(sql, limit, offset).fetch_all(connection).await
}

/// Orders that hold something.
pub(super) async fn holding(connection: &mut Connection) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT DISTINCT order_id FROM reservations WHERE state = 'held' ORDER BY order_id";
    scalar!(sql).fetch_all(connection).await
}
