//! The table `payments`.

use boxoffice_kit::{Connection, query, query_as, scalar, sqlx};

use super::{Paid, service::Try};

/// Stores a payment, or what is new about it: events may come twice and in any order. A try of ours for the same order
/// has come to nothing: it was handed over.
pub(super) async fn upsert(connection: &mut Connection, paid: &Paid) -> sqlx::Result<()> {
    let Paid { user_id, idempotency_key, refund_wanted, payment, version } = paid;
    query!(
        "DELETE FROM payments WHERE status IN ('pending', 'failed')
         AND (id = $1 OR order_id = $2 OR user_id = $3 AND idempotency_key = $4)",
        payment.id,
        payment.order_id,
        *user_id,
        idempotency_key,
    )
    .execute(&mut *connection)
    .await?;
    insert(connection, paid).await?;
    query!(
        "UPDATE payments SET status = $1, settled = $2, version = $3,
             refund_wanted = CASE WHEN refund_wanted = 1 THEN 1 ELSE $4 END WHERE id = $5 AND version < $3",
        &payment.status,
        i64::from(payment.settled.0),
        *version,
        i64::from(refund_wanted.0),
        payment.id,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Whether there was no payment of this id, order or key.
pub(super) async fn insert(connection: &mut Connection, paid: &Paid) -> sqlx::Result<bool> {
    let Paid { user_id, idempotency_key, refund_wanted, payment, version } = paid;
    let done = query!(
        "INSERT INTO payments (id, order_id, user_id, idempotency_key, amount_cents, status, settled, refund_wanted, version,
             created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        payment.id,
        payment.order_id,
        *user_id,
        idempotency_key,
        payment.amount_cents,
        &payment.status,
        i64::from(payment.settled.0),
        i64::from(refund_wanted.0),
        *version,
        &payment.created_at,
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

pub(super) async fn get(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Paid>> {
    query_as!("SELECT * FROM payments WHERE id = $1", id).fetch_optional(connection).await
}

/// The payment of an order, and any other that the user gave this key.
pub(super) async fn alike(
    connection: &mut Connection,
    order_id: i64,
    (user, key): (i64, &str),
) -> sqlx::Result<Vec<Paid>> {
    let sql = "SELECT * FROM payments WHERE order_id = $1 OR user_id = $2 AND idempotency_key = $3";
    query_as!(sql, order_id, user, key).fetch_all(connection).await
}

/// Forgets a try that came to nothing.
pub(super) async fn forget(connection: &mut Connection, id: i64) -> sqlx::Result<()> {
    let sql = "DELETE FROM payments WHERE id = $1 AND status IN ('pending', 'failed')";
    query!(sql, id).execute(connection).await.map(drop)
}

/// Keeps what a try began with.
pub(super) async fn keep_token(connection: &mut Connection, id: i64, token: &str) -> sqlx::Result<()> {
    query!("UPDATE payments SET token = $1 WHERE id = $2", token, id).execute(connection).await.map(drop)
}

/// Tries that began before `then` and did not end, and what they began with.
pub(super) async fn broken_off(connection: &mut Connection, then: &str) -> sqlx::Result<Vec<(Try, String)>> {
    let sql = "SELECT id, order_id, user_id, amount_cents, token FROM payments
               WHERE status = 'pending' AND created_at < $1 AND token <> '' ORDER BY id";
    let rows: Vec<(i64, i64, i64, i64, String)> = query_as!(sql, then).fetch_all(connection).await?;
    let tried =
        |(id, order_id, user_id, amount_cents, token)| (Try { id, order_id, user_id, amount_cents }, token);
    Ok(rows.into_iter().map(tried).collect())
}

/// Ends a try; `None` when somebody else has.
pub(super) async fn end(connection: &mut Connection, id: i64, status: &str) -> sqlx::Result<Option<Paid>> {
    let sql = "UPDATE payments SET status = $1 WHERE id = $2 AND status = 'pending' RETURNING *";
    query_as!(sql, status, id).fetch_optional(connection).await
}

/// The payment when it was not settled before and is now.
pub(super) async fn settle(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Paid>> {
    let sql = "UPDATE payments SET settled = 1, version = version + 1
               WHERE id = $1 AND settled = 0 AND status IN ('succeeded', 'refunded') RETURNING *";
    query_as!(sql, id).fetch_optional(connection).await
}

/// The payment when it was not refunded before and is now.
pub(super) async fn refund(connection: &mut Connection, id: i64) -> sqlx::Result<Option<Paid>> {
    let sql = "UPDATE payments SET status = 'refunded', version = version + 1
               WHERE id = $1 AND status = 'succeeded' RETURNING *";
    query_as!(sql, id).fetch_optional(connection).await
}

/// Remembers that an order's money is to go back: the payment's id, when there is one that can.
pub(super) async fn want_refund(connection: &mut Connection, order_id: i64) -> sqlx::Result<Option<i64>> {
    let sql =
        "UPDATE payments SET refund_wanted = 1 WHERE order_id = $1 AND status = 'succeeded' RETURNING id";
    scalar!(sql, order_id).fetch_optional(connection).await
}

/// The orders of all payments that stand, and whether they are to go back.
pub(super) async fn standing(connection: &mut Connection) -> sqlx::Result<Vec<(i64, i64)>> {
    let sql = "SELECT order_id, refund_wanted FROM payments WHERE status = 'succeeded' ORDER BY id";
    query_as!(sql).fetch_all(connection).await
}

/// Everybody's, oldest first.
pub(super) async fn all(connection: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Paid>> {
    let sql =
        "SELECT * FROM payments WHERE status IN ('succeeded', 'refunded') ORDER BY id LIMIT $1 OFFSET $2";
    query_as!(sql, limit, offset).fetch_all(connection).await
}
