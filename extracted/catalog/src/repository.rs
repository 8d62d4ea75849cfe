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
    pub(crate) async fn publish(&self, tx: &mut Connection, kind: &str) -> Result<(), Problem> {
        publish(tx, kind, (format!("ticket-{}", self.id), self.version), self).await
    }
}

/// One page by id, and how many there are on all; `pattern` is one of LIKE, and no status is any.
pub(crate) async fn list(
    connection: &mut Connection,
    (pattern, status): (&str, &str),
    (limit, offset): (i64, i64),
) -> sqlx::Result<(Vec<Ticket>, i64)> {
    macro_rules! wanted {
        ($what:literal, $rest:literal) => {
            concat!(
                "SELECT ",
                $what,
                " FROM offers WHERE deleted = 0 AND ($2 = '' OR status = $2) AND lower(title) LIKE lower($1) ESCAPE '\\' ",
                $rest
            )
        };
    }
    let sql = wanted!("*", "ORDER BY id LIMIT $3 OFFSET $4");
    let tickets = query_as!(sql, pattern, status, limit, offset).fetch_all(&mut *connection).await?;
    Ok((tickets, scalar!(wanted!("count(*)", ""), pattern, status).fetch_one(connection).await?))
}

pub(crate) async fn get(connection: &mut Connection, id: i64) -> Result<Ticket, Problem> {
    let ticket = query_as!("SELECT * FROM offers WHERE id = $1 AND deleted = 0", id);
    ticket.fetch_optional(connection).await?.ok_or_else(|| Problem::not_found("ticket"))
}

/// By id.
pub(crate) async fn on_sale(tx: &mut Connection) -> sqlx::Result<Vec<Ticket>> {
    query_as!("SELECT * FROM offers WHERE deleted = 0 ORDER BY id").fetch_all(tx).await
}

/// Counts a look. It tells nobody: an event for each would be more than all others together. So the next event carries it.
pub(crate) async fn count_view(tx: &mut Connection, id: i64) -> sqlx::Result<()> {
    query!("UPDATE tickets SET views = views + 1 WHERE id = $1", id).execute(tx).await.map(drop)
}

pub(crate) async fn insert(
    tx: &mut Connection,
    owner_id: i64,
    new: &Offer,
    capacity: i64,
) -> Result<i64, Problem> {
    let (id, now) = (next_id(tx, "tickets").await?, Timestamp::now().to_string());
    let sql =
        "INSERT INTO tickets (id, title, price_cents, owner_id, created_at) VALUES ($1, $2, $3, $4, $5)";
    query!(sql, id, &new.title, new.price_cents, owner_id, now).execute(&mut *tx).await?;
    query!("INSERT INTO stock (ticket_id, capacity) VALUES ($1, $2)", id, capacity).execute(&mut *tx).await?;
    announce(tx, "ticket.created", id).await?;
    Ok(id)
}

/// A deleted ticket keeps its row: orders show it.
pub(crate) async fn update(tx: &mut Connection, id: i64, new: &Offer, deleted: bool) -> Result<(), Problem> {
    let sql =
        "UPDATE tickets SET title = $1, price_cents = $2, deleted = $3, version = version + 1 WHERE id = $4";
    query!(sql, &new.title, new.price_cents, i64::from(deleted), id).execute(&mut *tx).await?;
    announce(tx, "ticket.updated", id).await
}

async fn announce(tx: &mut Connection, kind: &str, id: i64) -> Result<(), Problem> {
    let row: Row = query_as!("SELECT * FROM offers WHERE id = $1", id).fetch_one(&mut *tx).await?;
    row.publish(tx, kind).await
}

pub(crate) async fn rows(tx: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Row>> {
    query_as!("SELECT * FROM offers ORDER BY id LIMIT $1 OFFSET $2", limit, offset).fetch_all(tx).await
}

/// The newest version wins, in whatever order they come. Looks raise no version: the higher count wins.
pub(crate) async fn store(tx: &mut Connection, row: Row) -> sqlx::Result<()> {
    let sql = "INSERT INTO stock (ticket_id, capacity) VALUES ($1, $2) ON CONFLICT (ticket_id) DO NOTHING";
    query!(sql, row.id, row.capacity).execute(&mut *tx).await?;
    let sql = "INSERT INTO tickets (id, title, price_cents, owner_id, views, deleted, version, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET title = excluded.title,
               price_cents = excluded.price_cents, deleted = excluded.deleted, version = excluded.version
               WHERE tickets.version < excluded.version";
    let stored = query!(
        sql,
        row.id,
        &row.title,
        row.price_cents,
        row.owner_id,
        row.views,
        i64::from(row.deleted.0),
        row.version,
        &row.created_at
    );
    stored.execute(&mut *tx).await?;
    let sql = "UPDATE tickets SET views = $1 WHERE id = $2 AND views < $1";
    query!(sql, row.views, row.id).execute(tx).await.map(drop)
}

pub(crate) async fn store_stock(tx: &mut Connection, stock: Stock) -> sqlx::Result<()> {
    let sql = "INSERT INTO stock (ticket_id, capacity, reserved, sold, version) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (ticket_id) DO UPDATE SET capacity = excluded.capacity, reserved = excluded.reserved,
               sold = excluded.sold, version = excluded.version WHERE stock.version < excluded.version";
    let Stock { ticket_id, capacity, reserved, sold, version } = stock;
    query!(sql, ticket_id, capacity, reserved, sold, version).execute(tx).await.map(drop)
}
