//! The tables `users` and `sessions`.

use jiff::Timestamp;
use sqlx::SqlitePool;

use super::User;

/// A row of `users` with what must not be shown. Neither printable nor serializable on purpose.
#[derive(sqlx::FromRow)]
pub(super) struct Account {
    id: i64,
    email: String,
    password_hash: String,
}

impl Account {
    pub(super) fn parts(self) -> (User, String) {
        (User { id: self.id, email: self.email }, self.password_hash)
    }
}

/// `None` when the address is taken.
pub(super) async fn insert_user(pool: &SqlitePool, email: &str, hash: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "INSERT INTO users (email, password_hash, created_at) VALUES (?, ?, ?)
         ON CONFLICT (email) DO NOTHING RETURNING id, email",
    )
    .bind(email)
    .bind(hash)
    .bind(Timestamp::now().to_string())
    .fetch_optional(pool)
    .await
}

pub(super) async fn account(pool: &SqlitePool, email: &str) -> sqlx::Result<Option<Account>> {
    sqlx::query_as("SELECT id, email, password_hash FROM users WHERE email = ?")
        .bind(email)
        .fetch_optional(pool)
        .await
}

pub(super) async fn insert_session(pool: &SqlitePool, token: &str, user_id: i64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO sessions (token, user_id, created_at) VALUES (?, ?, ?)")
        .bind(token)
        .bind(user_id)
        .bind(Timestamp::now().to_string())
        .execute(pool)
        .await
        .map(drop)
}

pub(super) async fn delete_session(pool: &SqlitePool, token: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sessions WHERE token = ?").bind(token).execute(pool).await.map(drop)
}

pub(super) async fn user_by_session(pool: &SqlitePool, token: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as(
        "SELECT users.id, users.email FROM sessions JOIN users ON users.id = sessions.user_id
         WHERE sessions.token = ?",
    )
    .bind(token)
    .fetch_optional(pool)
    .await
}
