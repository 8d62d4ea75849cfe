//! The catalog's columns of `tickets`.

use boxoffice_kit::{Connection, database::Flag, query, query_as, scalar};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Offer, Priced, Ticket};

macro_rules! columns {
    () => {
        "id, title, price_cents, owner_id, views, version, created_at,
         CASE WHEN reserved + sold < capacity THEN 'on_sale' ELSE 'sold_out' END AS status"
    };
}

macro_rules! wanted {
    () => {
        "FROM tickets WHERE deleted = 0 AND lower(title) LIKE lower($1) ESCAPE '\\'
         AND ($2 = '' OR $2 = CASE WHEN reserved + sold < capacity THEN 'on_sale' ELSE 'sold_out' END)"
    };
}

/// The whole row as others are told of it.
#[derive(Debug, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) id: i64,
    title: String,
    price_cents: i64,
    owner_id: i64,
    views: i64,
    capacity: i64,
    #[sqlx(try_from = "i64")]
    deleted: Flag,
    pub(super) version: i64,
    created_at: String,
}

/// By id; `pattern` is one of LIKE. The database alone folds cases: it knows fewer letters than Rust, and the same in both.
pub(super) async fn list(
    connection: &mut Connection,
    (pattern, status): (&str, &str),
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<Ticket>, i64)> {
    let sql = concat!("SELECT ", columns!(), " ", wanted!(), " ORDER BY id LIMIT $3 OFFSET $4");
    let tickets = query_as!(sql, pattern, status, limit, offset).fetch_all(&mut *connection).await?;
    let count = scalar!(concat!("SELECT count(*) ", wanted!()), pattern, status);
    Ok((tickets, count.fetch_one(connection).await?))
}

pub(super) async fn get(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Ticket>> {
    let sql = concat!("SELECT ", columns!(), " FROM tickets WHERE id = $1 AND deleted = 0");
    query_as!(sql, id).fetch_optional(connection).await
}

/// Tells nobody: an event for each look would be more than all others together. So the next event carries it.
pub(super) async fn count_view(connection: &mut Connection, id: i64) -> sqlx::Result<()> {
    query!("UPDATE tickets SET views = views + 1 WHERE id = $1", id).execute(connection).await.map(drop)
}

/// The stock begins at version 0: inventory raises it.
pub(super) async fn insert(
    connection: &mut Connection,
    (id, owner_id): (i64, i64),
    offer: &Offer,
    capacity: i64,
) -> sqlx::Result<()> {
    query!(
        "INSERT INTO tickets (id, title, price_cents, owner_id, created_at, capacity) VALUES ($1, $2, $3, $4, $5, $6)",
        id,
        &offer.title,
        offer.price_cents,
        owner_id,
        Timestamp::now().to_string(),
        capacity
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn update(connection: &mut Connection, id: i64, offer: &Offer) -> sqlx::Result<()> {
    let sql = "UPDATE tickets SET title = $1, price_cents = $2, version = version + 1 WHERE id = $3";
    query!(sql, &offer.title, offer.price_cents, id).execute(connection).await.map(drop)
}

pub(super) async fn delete(connection: &mut Connection, id: i64) -> sqlx::Result<()> {
    let sql = "UPDATE tickets SET deleted = 1, version = version + 1 WHERE id = $1";
    query!(sql, id).execute(connection).await.map(drop)
}

/// Half a cent is rounded up, as in fees; `most` is the highest price there is.
pub(super) async fn reprice(
    connection: &mut Connection,
    id: i64,
    percent: i64,
    most: i64,
) -> sqlx::Result<()> {
    let sql = "UPDATE tickets SET price_cents = CASE WHEN (price_cents * (100 + $1) + 50) / 100 > $2 THEN $2
               ELSE (price_cents * (100 + $1) + 50) / 100 END, version = version + 1 WHERE id = $3";
    query!(sql, percent, most, id).execute(connection).await.map(drop)
}

pub(super) async fn on_sale(connection: &mut Connection) -> sqlx::Result<Vec<i64>> {
    scalar!("SELECT id FROM tickets WHERE deleted = 0 ORDER BY id").fetch_all(connection).await
}

pub(super) async fn told(connection: &mut Connection, id: i64) -> sqlx::Result<Told> {
    query_as!("SELECT * FROM tickets WHERE id = $1", id).fetch_one(connection).await
}

/// A page of all rows that ever were; those that only their stock is known of are not the catalog's yet.
pub(super) async fn page(connection: &mut Connection, limit: i64, offset: i64) -> sqlx::Result<Vec<Told>> {
    let sql = "SELECT * FROM tickets WHERE version > 0 ORDER BY id LIMIT $1 OFFSET $2";
    query_as!(sql, limit, offset).fetch_all(connection).await
}

/// The newest version wins, in whatever order they come. Looks raise no version: the higher count wins.
pub(super) async fn store(connection: &mut Connection, told: Told) -> sqlx::Result<()> {
    query!(
        "INSERT INTO tickets (id, title, price_cents, owner_id, views, capacity, deleted, version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET title = excluded.title,
         price_cents = excluded.price_cents, owner_id = excluded.owner_id, deleted = excluded.deleted,
         version = excluded.version, created_at = excluded.created_at
         WHERE tickets.version < excluded.version",
        told.id,
        told.title,
        told.price_cents,
        told.owner_id,
        told.views,
        told.capacity,
        i64::from(told.deleted.0),
        told.version,
        told.created_at
    )
    .execute(&mut *connection)
    .await?;
    let sql = "UPDATE tickets SET views = $1 WHERE id = $2 AND views < $1";
    query!(sql, told.views, told.id).execute(connection).await.map(drop)
}

pub(super) async fn price(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Priced>> {
    let sql = "SELECT title, price_cents FROM tickets WHERE id = $1 AND deleted = 0";
    query_as!(sql, id).fetch_optional(connection).await
}
