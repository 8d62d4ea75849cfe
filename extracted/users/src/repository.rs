//! The tables `users`, `sessions` and `keys`; with each change, the event that tells of it.

use boxoffice_kit::{
    Connection, Database, Problem, database::Flag, identity::User, publish, query, query_as, scalar,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Result;

/// A row of `users`, for this service and the other side. What everybody may see of it is [`User`].
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) password_hash: String,
    pub(crate) version: i64,
    pub(crate) created_at: String,
}

/// A row of `sessions`. Ended ones stay: their beginning may be told late.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    pub(crate) token_hash: String,
    pub(crate) user_id: i64,
    #[sqlx(try_from = "i64")]
    pub(crate) ended: Flag,
    pub(crate) version: i64,
    pub(crate) created_at: String,
}

impl Account {
    pub(crate) fn user(&self) -> User {
        User { id: self.id, email: self.email.clone(), name: self.name.clone() }
    }
}

pub(crate) async fn store_user(tx: &mut Connection, user: &Account) -> Result<()> {
    query!(
        "INSERT INTO users (id, email, name, password_hash, version, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name,
             password_hash = excluded.password_hash, version = excluded.version, created_at = excluded.created_at
         WHERE users.version < excluded.version",
        user.id,
        &user.email,
        &user.name,
        &user.password_hash,
        user.version,
        &user.created_at
    )
    .execute(tx)
    .await
    .map(drop)
}

pub(crate) async fn store_session(tx: &mut Connection, session: &Session) -> Result<()> {
    query!(
        "INSERT INTO sessions (token_hash, user_id, ended, version, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (token_hash) DO UPDATE SET ended = excluded.ended, version = excluded.version
         WHERE sessions.version < excluded.version",
        &session.token_hash,
        session.user_id,
        i64::from(session.ended.0),
        session.version,
        &session.created_at
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Stores a user as the writer.
pub(crate) async fn save_user(tx: &mut Connection, user: &Account) -> Result<(), Problem> {
    store_user(tx, user).await?;
    tell_user(tx, user).await
}

/// Stores a session as the writer.
pub(crate) async fn save_session(tx: &mut Connection, session: &Session) -> Result<(), Problem> {
    store_session(tx, session).await?;
    tell_session(tx, session).await
}

/// What everybody may know of a new user.
pub(crate) async fn tell_registered(tx: &mut Connection, user: &Account) -> Result<(), Problem> {
    let data = json!({ "id": user.id, "email": user.email, "name": user.name, "createdAt": user.created_at });
    publish(tx, "user.registered", (format!("user-{}", user.id), user.version), &data).await
}

pub(crate) async fn tell_user(tx: &mut Connection, user: &Account) -> Result<(), Problem> {
    publish(tx, "user.changed", (format!("user-{}", user.id), user.version), user).await
}

pub(crate) async fn tell_session(tx: &mut Connection, session: &Session) -> Result<(), Problem> {
    let aggregate = format!("session-{}", session.token_hash);
    publish(tx, "session.changed", (aggregate, session.version), session).await
}

pub(crate) async fn by_email(connection: &mut Connection, email: &str) -> Result<Option<Account>> {
    query_as!("SELECT * FROM users WHERE email = $1", email).fetch_optional(connection).await
}

pub(crate) async fn by_id(connection: &mut Connection, id: i64) -> Result<Option<Account>> {
    query_as!("SELECT * FROM users WHERE id = $1", id).fetch_optional(connection).await
}

pub(crate) async fn session(connection: &mut Connection, token_hash: &str) -> Result<Option<Session>> {
    query_as!("SELECT * FROM sessions WHERE token_hash = $1 AND ended = 0", token_hash)
        .fetch_optional(connection)
        .await
}

pub(crate) async fn user_by_session(database: &Database, token_hash: &str) -> Result<Option<User>> {
    query_as!(
        "SELECT users.id, users.email, users.name FROM sessions JOIN users ON users.id = sessions.user_id
         WHERE sessions.token_hash = $1 AND sessions.ended = 0",
        token_hash
    )
    .fetch_optional(&database.read)
    .await
}

pub(crate) async fn users(tx: &mut Connection, offset: i64, limit: i64) -> Result<Vec<Account>> {
    query_as!("SELECT * FROM users ORDER BY id LIMIT $1 OFFSET $2", limit, offset).fetch_all(tx).await
}

pub(crate) async fn count_users(tx: &mut Connection) -> Result<i64> {
    scalar!("SELECT count(*) FROM users").fetch_one(tx).await
}

pub(crate) async fn sessions(tx: &mut Connection, offset: i64, limit: i64) -> Result<Vec<Session>> {
    query_as!("SELECT * FROM sessions ORDER BY token_hash LIMIT $1 OFFSET $2", limit, offset)
        .fetch_all(tx)
        .await
}

/// The key of this database; `fresh` becomes it when there is none.
pub(crate) async fn key(database: &Database, fresh: &str) -> Result<String> {
    query!("INSERT INTO keys (id, pkcs8) VALUES (1, $1) ON CONFLICT (id) DO NOTHING", fresh)
        .execute(&database.write)
        .await?;
    scalar!("SELECT pkcs8 FROM keys WHERE id = 1").fetch_one(&database.write).await
}
