//! The stock's columns of `tickets`.

use sqlx::{SqliteConnection, SqlitePool};

use super::Availability;

pub(super) async fn availability(pool: &SqlitePool, ticket_id: i64) -> sqlx::Result<Option<Availability>> {
    sqlx::query_as(
        "SELECT id AS ticket_id, capacity, reserved, sold, capacity - reserved - sold AS available
         FROM tickets WHERE id = ?",
    )
    .bind(ticket_id)
    .fetch_optional(pool)
    .await
}

/// The guard and the taking are one statement: nothing comes between them.
pub(super) async fn reserve(
    connection: &mut SqliteConnection,
    ticket_id: i64,
    quantity: i64,
) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE tickets SET reserved = reserved + ?1 WHERE id = ?2 AND reserved + sold + ?1 <= capacity",
    )
    .bind(quantity)
    .bind(ticket_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    ticket_id: i64,
    quantity: i64,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE tickets SET reserved = reserved - ? WHERE id = ?")
        .bind(quantity)
        .bind(ticket_id)
        .execute(connection)
        .await
        .map(drop)
}
