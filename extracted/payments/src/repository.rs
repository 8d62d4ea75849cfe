//! The tables `payments`, `attempts` and `orders`, and the view `known_payments`.

use boxoffice_kit::{Connection, Problem, database::Flag, next_id, publish, query, query_as, scalar};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// After so long a charge that left no trace may be tried again. Shorter than any order may wait.
const ABANDONED_SECONDS: i64 = 10;

/// A payment as its buyer sees it.
#[derive(Clone, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: i64,
    pub(crate) order_id: i64,
    amount_cents: i64,
    pub(crate) status: String,
    #[sqlx(try_from = "i64")]
    settled: Flag,
    created_at: String,
}

/// A payment as events carry it.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    user_id: i64,
    idempotency_key: String,
    #[sqlx(try_from = "i64")]
    refund_wanted: Flag,
    #[sqlx(flatten)]
    pub(crate) payment: Payment,
    version: i64,
}

/// An order as events carry it, and `/internal/orders/{id}` answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Placed {
    pub(crate) user_id: i64,
    pub(crate) order: Order,
}

/// What a payment needs to know of an order.
#[derive(Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    #[sqlx(rename = "order_id")]
    pub(crate) id: i64,
    pub(crate) total_cents: i64,
    pub(crate) status: String,
    version: i64,
}

impl Row {
    pub(crate) async fn publish(&self, tx: &mut Connection, kind: &str) -> Result<(), Problem> {
        publish(tx, kind, (format!("payment-{}", self.payment.id), self.version), self).await
    }
}

pub(crate) async fn get(connection: &mut Connection, id: i64, user_id: i64) -> sqlx::Result<Option<Payment>> {
    query_as!("SELECT * FROM payments WHERE id = $1 AND user_id = $2", id, user_id)
        .fetch_optional(connection)
        .await
}

pub(crate) async fn of_key(tx: &mut Connection, user_id: i64, key: &str) -> sqlx::Result<Option<Payment>> {
    let sql = "SELECT * FROM payments WHERE user_id = $1 AND idempotency_key = $2";
    query_as!(sql, user_id, key).fetch_optional(tx).await
}

pub(crate) async fn of_order(tx: &mut Connection, order_id: i64) -> sqlx::Result<Option<Payment>> {
    query_as!("SELECT * FROM payments WHERE order_id = $1", order_id).fetch_optional(tx).await
}

/// The buyer's own order, as far as it is known here.
pub(crate) async fn order(
    connection: &mut Connection,
    order_id: i64,
    user_id: i64,
) -> sqlx::Result<Option<Order>> {
    query_as!("SELECT * FROM orders WHERE order_id = $1 AND user_id = $2", order_id, user_id)
        .fetch_optional(connection)
        .await
}

/// Claims an order for a charge: `false` when one is on its way, for this order or with this key.
pub(crate) async fn attempt(
    tx: &mut Connection,
    (order_id, user_id): (i64, i64),
    (key, token): (&str, &str),
) -> sqlx::Result<bool> {
    let now = Timestamp::now().as_second();
    let sql = "INSERT INTO attempts (order_id, user_id, idempotency_key, since, token)
               SELECT $1, $2, $3, $4, $6 WHERE NOT EXISTS (
                   SELECT 1 FROM attempts
                   WHERE user_id = $2 AND idempotency_key = $3 AND order_id <> $1 AND since >= $5)
               ON CONFLICT (order_id) DO UPDATE
               SET user_id = excluded.user_id, idempotency_key = excluded.idempotency_key, since = excluded.since,
                   token = excluded.token
               WHERE attempts.since < $5";
    let done = query!(sql, order_id, user_id, key, now, now - ABANDONED_SECONDS, token).execute(tx).await?;
    Ok(done.rows_affected() == 1)
}

/// Charges that left no trace: order, user, key, card and amount.
pub(crate) async fn abandoned(
    connection: &mut Connection,
) -> sqlx::Result<Vec<(i64, i64, String, String, i64)>> {
    let sql = "SELECT attempts.order_id, attempts.user_id, idempotency_key, token, total_cents FROM attempts
               JOIN orders ON orders.order_id = attempts.order_id WHERE since < $1 AND token <> ''";
    query_as!(sql, Timestamp::now().as_second() - ABANDONED_SECONDS).fetch_all(connection).await
}

pub(crate) async fn end_attempt(tx: &mut Connection, order_id: i64) -> sqlx::Result<()> {
    query!("DELETE FROM attempts WHERE order_id = $1", order_id).execute(tx).await.map(drop)
}

pub(crate) async fn insert(
    tx: &mut Connection,
    (order_id, user_id): (i64, i64),
    key: &str,
    amount_cents: i64,
) -> Result<(), Problem> {
    let id = next_id(tx, "payments").await?;
    let sql =
        "INSERT INTO payments (id, order_id, user_id, idempotency_key, amount_cents, status, created_at)
               VALUES ($1, $2, $3, $4, $5, 'succeeded', $6)";
    let now = format!("{:.6}", Timestamp::now());
    query!(sql, id, order_id, user_id, key, amount_cents, now).execute(&mut *tx).await?;
    announce(tx, "payment.created", id).await
}

/// Gives the money of an order back: once, and only when there is some.
pub(crate) async fn refund(tx: &mut Connection, order_id: i64) -> Result<(), Problem> {
    let sql = "UPDATE payments SET status = 'refunded', version = version + 1
               WHERE order_id = $1 AND status = 'succeeded' RETURNING id";
    match scalar!(sql, order_id).fetch_optional(&mut *tx).await? {
        Some(id) => announce(tx, "payment.refunded", id).await,
        None => Ok(()),
    }
}

/// Notes that the money has arrived: the payment when that is new.
pub(crate) async fn settle(tx: &mut Connection, id: i64) -> Result<(), Problem> {
    let sql = "UPDATE payments SET settled = 1, version = version + 1 WHERE id = $1 AND settled = 0 RETURNING status";
    let status: Option<String> = scalar!(sql, id).fetch_optional(&mut *tx).await?;
    match status.as_deref() {
        Some("refunded") => announce(tx, "payment.refunded", id).await,
        Some(_) => announce(tx, "payment.created", id).await,
        None => {
            let known: i64 = scalar!("SELECT count(*) FROM payments WHERE id = $1", id).fetch_one(tx).await?;
            if known == 1 { Ok(()) } else { Err(Problem::not_found("payment")) }
        }
    }
}

async fn announce(tx: &mut Connection, kind: &str, id: i64) -> Result<(), Problem> {
    let row: Row = query_as!("SELECT * FROM known_payments WHERE id = $1", id).fetch_one(&mut *tx).await?;
    row.publish(tx, kind).await
}

pub(crate) async fn rows(tx: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Row>> {
    query_as!("SELECT * FROM known_payments ORDER BY id LIMIT $1 OFFSET $2", limit, offset)
        .fetch_all(tx)
        .await
}

/// Orders whose money is still here though it is wanted back, from one number to another.
pub(crate) async fn refunds_due(tx: &mut Connection, (from, to): (i64, i64)) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT order_id FROM known_payments WHERE refund_wanted = 1 AND status = 'succeeded'
               AND order_id BETWEEN $1 AND $2 ORDER BY order_id";
    scalar!(sql, from, to).fetch_all(tx).await
}

/// Keeps the newest of what somebody else has written.
pub(crate) async fn store(tx: &mut Connection, row: &Row) -> sqlx::Result<()> {
    let Row { payment, .. } = row;
    end_attempt(tx, payment.order_id).await?;
    let sql = "INSERT INTO payments (id, order_id, user_id, idempotency_key, amount_cents, status, settled, version, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE
               SET status = excluded.status, settled = excluded.settled, version = excluded.version
               WHERE payments.version < excluded.version";
    query!(sql, payment.id, payment.order_id, row.user_id, &row.idempotency_key, payment.amount_cents)
        .bind(&payment.status)
        .bind(i64::from(payment.settled.0))
        .bind(row.version)
        .bind(&payment.created_at)
        .execute(&mut *tx)
        .await?;
    Ok(())
}

pub(crate) async fn store_order(tx: &mut Connection, placed: &Placed) -> sqlx::Result<()> {
    let order = &placed.order;
    let sql = "INSERT INTO orders (order_id, user_id, total_cents, status, version)
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (order_id) DO UPDATE
               SET status = excluded.status, version = excluded.version WHERE orders.version < excluded.version";
    query!(sql, order.id, placed.user_id, order.total_cents, &order.status, order.version)
        .execute(tx)
        .await
        .map(drop)
}
