//! The table `notifications`.

use boxoffice_kit::{Connection, query, query_as, scalar, sqlx};

use super::{Note, Notification, Row};

/// Notes what is to be sent; once, however often it is heard.
pub(super) async fn note(connection: &mut Connection, note: &Note, now: &str) -> sqlx::Result<()> {
    query!(
        "INSERT INTO notifications (id, user_id, kind, subject, body, read, state, version, created_at)
         VALUES ($1, $2, $3, $4, $5, 0, 'pending', 1, $6) ON CONFLICT (id) DO NOTHING",
        &note.id,
        note.user_id,
        &note.kind,
        &note.subject,
        &note.body,
        now,
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn upsert(connection: &mut Connection, row: &Row) -> sqlx::Result<()> {
    let Row { user_id, notification, state, version } = row;
    query!(
        "INSERT INTO notifications (id, user_id, kind, subject, body, read, state, version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, body = excluded.body, read = excluded.read,
             state = excluded.state, version = excluded.version, created_at = excluded.created_at
         WHERE notifications.version < excluded.version",
        &notification.id,
        *user_id,
        &notification.kind,
        &notification.subject,
        &notification.body,
        i64::from(notification.read.0),
        state,
        *version,
        &notification.created_at,
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn is_any_pending(connection: &mut Connection) -> sqlx::Result<bool> {
    let sql = "SELECT id FROM notifications WHERE state = 'pending' LIMIT 1";
    let found: Option<String> = scalar!(sql).fetch_optional(connection).await?;
    Ok(found.is_some())
}

pub(super) async fn pending(connection: &mut Connection, limit: i64) -> sqlx::Result<Vec<Row>> {
    let sql = "SELECT * FROM notifications WHERE state = 'pending' ORDER BY created_at, id LIMIT $1";
    query_as!(sql, limit).fetch_all(connection).await
}

/// Marks one as sent: the row as it is then.
pub(super) async fn sent(connection: &mut Connection, id: &str) -> sqlx::Result<Row> {
    let sql = "UPDATE notifications SET state = 'sent', version = version + 1 WHERE id = $1 RETURNING *";
    query_as!(sql, id).fetch_one(connection).await
}

/// Marks one of the user's as read: the row when it was not before.
pub(super) async fn read(connection: &mut Connection, user: i64, id: &str) -> sqlx::Result<Option<Row>> {
    let sql = "UPDATE notifications SET read = 1, version = version + 1
               WHERE id = $1 AND user_id = $2 AND state = 'sent' AND read = 0 RETURNING *";
    query_as!(sql, id, user).fetch_optional(connection).await
}

pub(super) async fn is_users(connection: &mut Connection, user: i64, id: &str) -> sqlx::Result<bool> {
    let sql = "SELECT count(*) FROM notifications WHERE id = $1 AND user_id = $2 AND state = 'sent'";
    let found: i64 = scalar!(sql, id, user).fetch_one(connection).await?;
    Ok(found == 1)
}

/// A user's, newest first.
pub(super) async fn list(
    connection: &mut Connection,
    user: i64,
    limit: i64,
) -> sqlx::Result<Vec<Notification>> {
    let sql = "SELECT * FROM notifications WHERE user_id = $1 AND state = 'sent'
               ORDER BY created_at DESC, id DESC LIMIT $2";
    query_as!(sql, user, limit).fetch_all(connection).await
}

pub(super) async fn unread(connection: &mut Connection, user: i64) -> sqlx::Result<i64> {
    let sql = "SELECT count(*) FROM notifications WHERE user_id = $1 AND state = 'sent' AND read = 0";
    scalar!(sql, user).fetch_one(connection).await
}

/// Everybody's that were sent.
pub(super) async fn all(connection: &mut Connection, offset: i64, limit: i64) -> sqlx::Result<Vec<Row>> {
    let sql = "SELECT * FROM notifications WHERE state = 'sent' ORDER BY id LIMIT $1 OFFSET $2";
    query_as!(sql, limit, offset).fetch_all(connection).await
}
