//! The catalog's columns of `tickets`.

use jiff::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};

use super::{Offer, Priced, Ticket};

/// Tickets whose title contains `part` (`instr`, so that `%` means itself), by id.
pub(super) async fn list(
    pool: &SqlitePool,
    part: &str,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Ticket>> {
    sqlx::query_as(
        "SELECT id, title, price_cents, owner_id, views, version, created_at FROM tickets
         WHERE instr(lower(title), lower(?)) > 0 ORDER BY id LIMIT ? OFFSET ?",
    )
    .bind(part)
    .bind(limit)
    .bind(offset)
    .fetch_all(pool)
    .await
}

pub(super) async fn count(pool: &SqlitePool, part: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM tickets WHERE instr(lower(title), lower(?)) > 0")
        .bind(part)
        .fetch_one(pool)
        .await
}

/// Counts a look and reads in one statement: nobody sees a number twice.
pub(super) async fn view(pool: &SqlitePool, id: i64) -> sqlx::Result<Option<Ticket>> {
    sqlx::query_as(
        "UPDATE tickets SET views = views + 1 WHERE id = ?
         RETURNING id, title, price_cents, owner_id, views, version, created_at",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn insert(
    pool: &SqlitePool,
    owner_id: i64,
    offer: &Offer,
    capacity: i64,
) -> sqlx::Result<Ticket> {
    sqlx::query_as(
        "INSERT INTO tickets (title, price_cents, owner_id, created_at, capacity) VALUES (?, ?, ?, ?, ?)
         RETURNING id, title, price_cents, owner_id, views, version, created_at",
    )
    .bind(&offer.title)
    .bind(offer.price_cents)
    .bind(owner_id)
    .bind(Timestamp::now().to_string())
    .bind(capacity)
    .fetch_one(pool)
    .await
}

/// `None` when there is no such ticket, or it is not the owner's.
pub(super) async fn update(
    pool: &SqlitePool,
    id: i64,
    owner_id: i64,
    offer: &Offer,
) -> sqlx::Result<Option<Ticket>> {
    sqlx::query_as(
        "UPDATE tickets SET title = ?, price_cents = ?, version = version + 1 WHERE id = ? AND owner_id = ?
         RETURNING id, title, price_cents, owner_id, views, version, created_at",
    )
    .bind(&offer.title)
    .bind(offer.price_cents)
    .bind(id)
    .bind(owner_id)
    .fetch_optional(pool)
    .await
}

pub(super) async fn price(connection: &mut SqliteConnection, id: i64) -> sqlx::Result<Option<Priced>> {
    sqlx::query_as("SELECT title, price_cents FROM tickets WHERE id = ?")
        .bind(id)
        .fetch_optional(connection)
        .await
}
