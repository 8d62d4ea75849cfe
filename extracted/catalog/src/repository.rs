//! The tables `tickets` and `stock`.

use boxoffice_kit::{Connection, Problem, database::Flag, next_id, publish, query, query_as, scalar};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::routes::{Offer, Ticket};

/// A ticket as events carry it.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    id: i64,
    title: String,
    price_cents: i64,
    owner_id: i64,
    views: i64,
    capacity: i64,
    #[sqlx(try_from = "i64")]
    deleted: Flag,
    version: i64,
    created_at: String,
}

/// How many are left, as events carry it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stock {
    ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    version: i64,
}

impl Row {
    pub(crate) fn aggregate(&self) -> (String, i64) {
        (format!("ticket-{}", self.id), self.version)
    }
}

/// Tickets whose title contains `part` and whose status is `status` (any when empty), by id; how many there are at all.
pub(crate) async fn list(
    connection: &mut Connection,
    (part, status): (&str, &str),
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<Ticket>, i64)> {
    let like = format!("%{}%", part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_"));
    let tickets = query_as!(
        r"SELECT * FROM offers WHERE deleted = 0 AND lower(title) LIKE lower($1) ESCAPE '\'
          AND ($2 = '' OR status = $2) ORDER BY id LIMIT $3 OFFSET $4",
        &like,
        status,
        limit,
        offset
    );
    let tickets = tickets.fetch_all(&mut *connection).await?;
    let total = scalar!(
        r"SELECT count(*) FROM offers WHERE deleted = 0 AND lower(title) LIKE lower($1) ESCAPE '\'
          AND ($2 = '' OR status = $2)",
        &like,
        status
    );
    Ok((tickets, total.fetch_one(connection).await?))
}

pub(crate) async fn get(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Ticket>> {
    query_as!("SELECT * FROM offers WHERE id = $1 AND deleted = 0", id).fetch_optional(connection).await
}

/// Counts a look; nobody needs to hear of it.
pub(crate) async fn count_view(tx: &mut Connection, id: i64) -> sqlx::Result<()> {
    query!("UPDATE tickets SET views = views + 1 WHERE id = $1", id).execute(tx).await.map(drop)
}

pub(crate) async fn insert(
    tx: &mut Connection,
    owner_id: i64,
    offer: &Offer,
    capacity: i64,
) -> Result<i64, Problem> {
    let id = next_id(tx, "tickets").await?;
    let sql =
        "INSERT INTO tickets (id, title, price_cents, owner_id, created_at) VALUES ($1, $2, $3, $4, $5)";
    let now = Timestamp::now().to_string();
    query!(sql, id, &offer.title, offer.price_cents, owner_id, now).execute(&mut *tx).await?;
    query!("INSERT INTO stock (ticket_id, capacity) VALUES ($1, $2)", id, capacity).execute(&mut *tx).await?;
    announce(tx, "ticket.created", id).await?;
    Ok(id)
}

/// Whether there is such a ticket of the owner's, which is changed now.
pub(crate) async fn update(
    tx: &mut Connection,
    (id, owner_id): (i64, i64),
    offer: &Offer,
) -> Result<bool, Problem> {
    let sql = "UPDATE tickets SET title = $1, price_cents = $2, version = version + 1
               WHERE id = $3 AND owner_id = $4 AND deleted = 0";
    let done = query!(sql, &offer.title, offer.price_cents, id, owner_id).execute(&mut *tx).await?;
    changed(tx, id, done.rows_affected()).await
}

/// Takes a ticket off sale; its row stays for those who have bought it.
pub(crate) async fn delete(tx: &mut Connection, (id, owner_id): (i64, i64)) -> Result<bool, Problem> {
    let sql = "UPDATE tickets SET deleted = 1, version = version + 1
               WHERE id = $1 AND owner_id = $2 AND deleted = 0";
    let done = query!(sql, id, owner_id).execute(&mut *tx).await?;
    changed(tx, id, done.rows_affected()).await
}

async fn changed(tx: &mut Connection, id: i64, rows: u64) -> Result<bool, Problem> {
    if rows == 1 {
        announce(tx, "ticket.updated", id).await?;
    }
    Ok(rows == 1)
}

/// Changes every price by so many percent, half-up to the cent: how many.
pub(crate) async fn reprice(tx: &mut Connection, percent: i64) -> Result<usize, Problem> {
    let sql = "UPDATE tickets SET price_cents = (price_cents * (100 + $1) + 50) / 100, version = version + 1
               WHERE deleted = 0 RETURNING id";
    let mut ids: Vec<i64> = scalar!(sql, percent).fetch_all(&mut *tx).await?;
    ids.sort_unstable();
    for id in &ids {
        announce(tx, "ticket.updated", *id).await?;
    }
    Ok(ids.len())
}

async fn announce(tx: &mut Connection, kind: &str, id: i64) -> Result<(), Problem> {
    let row: Row = query_as!("SELECT * FROM offers WHERE id = $1", id).fetch_one(&mut *tx).await?;
    publish(tx, kind, row.aggregate(), &row).await
}

pub(crate) async fn rows(connection: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Row>> {
    query_as!("SELECT * FROM offers ORDER BY id LIMIT $1 OFFSET $2", limit, offset)
        .fetch_all(connection)
        .await
}

/// Keeps the newest of what somebody else has written.
pub(crate) async fn store(tx: &mut Connection, row: Row) -> sqlx::Result<()> {
    let sql = "INSERT INTO stock (ticket_id, capacity) VALUES ($1, $2) ON CONFLICT (ticket_id) DO NOTHING";
    query!(sql, row.id, row.capacity).execute(&mut *tx).await?;
    // For the ids that dry runs answer with; taking over counts for itself.
    let sql = "UPDATE counters SET value = $1 WHERE name = 'tickets' AND value < $1";
    query!(sql, row.id).execute(&mut *tx).await?;
    let sql = "INSERT INTO tickets (id, title, price_cents, owner_id, views, deleted, version, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET title = excluded.title,
                   price_cents = excluded.price_cents, views = excluded.views, deleted = excluded.deleted,
                   version = excluded.version
               WHERE tickets.version < excluded.version";
    let what =
        query!(sql, row.id, row.title, row.price_cents, row.owner_id, row.views, i64::from(row.deleted.0));
    what.bind(row.version).bind(row.created_at).execute(tx).await.map(drop)
}

pub(crate) async fn store_stock(tx: &mut Connection, stock: Stock) -> sqlx::Result<()> {
    let sql = "INSERT INTO stock (ticket_id, capacity, reserved, sold, version) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (ticket_id) DO UPDATE SET capacity = excluded.capacity, reserved = excluded.reserved,
                   sold = excluded.sold, version = excluded.version
               WHERE stock.version < excluded.version";
    query!(sql, stock.ticket_id, stock.capacity, stock.reserved, stock.sold, stock.version)
        .execute(tx)
        .await
        .map(drop)
}
