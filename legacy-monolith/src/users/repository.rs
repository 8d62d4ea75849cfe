//! The tables `users`, `sessions` and `keys`.

use boxoffice_kit::{
    Connection, Database, Problem, database::Flag, identity::Signer, query, query_as, scalar,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::User;

/// A row of `users` with what must not be shown: the data of `user.changed`, which only the users service reads.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) email: String,
    pub(super) name: String,
    pub(super) password_hash: String,
    pub(super) version: i64,
    pub(super) created_at: String,
}

/// A row of `sessions`, and the data of `session.changed`.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    pub(super) token_hash: String,
    user_id: i64,
    #[sqlx(try_from = "i64")]
    ended: Flag,
    created_at: String,
    pub(super) version: i64,
}

impl Account {
    pub(super) fn user(&self) -> User {
        User { id: self.id, email: self.email.clone(), name: self.name.clone() }
    }
}

/// Stores an account, or its newer version. False when the address is taken.
pub(super) async fn store(connection: &mut Connection, account: &Account) -> sqlx::Result<bool> {
    let stored = query!(
        "INSERT INTO users (id, email, name, password_hash, version, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name,
         password_hash = excluded.password_hash, version = excluded.version WHERE users.version < excluded.version",
        account.id,
        &account.email,
        &account.name,
        &account.password_hash,
        account.version,
        &account.created_at
    );
    match stored.execute(connection).await {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        stored => stored.map(|_| true),
    }
}

pub(super) async fn by_email(connection: &mut Connection, email: &str) -> sqlx::Result<Option<Account>> {
    query_as!("SELECT * FROM users WHERE email = $1", email).fetch_optional(connection).await
}

pub(super) async fn by_id(connection: &mut Connection, id: i64) -> sqlx::Result<Account> {
    query_as!("SELECT * FROM users WHERE id = $1", id).fetch_one(connection).await
}

pub(super) async fn user_by_session(connection: &mut Connection, hash: &str) -> sqlx::Result<Option<User>> {
    let sql = "SELECT users.id, email, name FROM sessions JOIN users ON users.id = user_id
               WHERE token_hash = $1 AND ended = 0";
    query_as!(sql, hash).fetch_optional(connection).await
}

pub(super) async fn begin_session(
    connection: &mut Connection,
    hash: &str,
    user_id: i64,
) -> sqlx::Result<Session> {
    let sql = "INSERT INTO sessions (token_hash, user_id, created_at) VALUES ($1, $2, $3) RETURNING *";
    query_as!(sql, hash, user_id, Timestamp::now().to_string()).fetch_one(connection).await
}

/// `None` when there is nothing to end.
pub(super) async fn end_session(connection: &mut Connection, hash: &str) -> sqlx::Result<Option<Session>> {
    let sql = "UPDATE sessions SET ended = 1, version = version + 1 WHERE token_hash = $1 AND ended = 0 RETURNING *";
    query_as!(sql, hash).fetch_optional(connection).await
}

/// The cart and the token against forged forms stay as they are: they are nobody's but the monolith's.
pub(super) async fn store_session(connection: &mut Connection, session: &Session) -> sqlx::Result<()> {
    query!(
        "INSERT INTO sessions (token_hash, user_id, ended, version, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (token_hash) DO UPDATE SET user_id = excluded.user_id, ended = excluded.ended,
         version = excluded.version WHERE sessions.version < excluded.version",
        &session.token_hash,
        session.user_id,
        i64::from(session.ended.0),
        session.version,
        &session.created_at
    )
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn form_token(connection: &mut Connection, hash: &str) -> sqlx::Result<Option<String>> {
    scalar!("SELECT csrf FROM sessions WHERE token_hash = $1", hash).fetch_optional(connection).await
}

/// Sets the token if there is none: the one that is there then. The session's row may come later, at a version above 0.
pub(super) async fn set_form_token(
    database: &Database,
    session: &super::Session,
    token: &str,
) -> sqlx::Result<String> {
    let sql = "INSERT INTO sessions (token_hash, user_id, csrf, version, created_at) VALUES ($1, $2, $3, 0, $4)
               ON CONFLICT (token_hash) DO UPDATE
               SET csrf = CASE sessions.csrf WHEN '' THEN excluded.csrf ELSE sessions.csrf END RETURNING csrf";
    let row = scalar!(sql, &session.key, session.user.id, token, Timestamp::now().to_string());
    row.fetch_one(&database.write).await
}

pub(super) async fn users(
    connection: &mut Connection,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Account>> {
    query_as!("SELECT * FROM users ORDER BY id LIMIT $1 OFFSET $2", limit, offset).fetch_all(connection).await
}

pub(super) async fn count_users(connection: &mut Connection) -> sqlx::Result<i64> {
    scalar!("SELECT count(*) FROM users").fetch_one(connection).await
}

pub(super) async fn sessions(
    connection: &mut Connection,
    limit: i64,
    offset: i64,
) -> sqlx::Result<Vec<Session>> {
    let sql = "SELECT * FROM sessions WHERE version > 0 ORDER BY token_hash LIMIT $1 OFFSET $2";
    query_as!(sql, limit, offset).fetch_all(connection).await
}

/// Signs with the key of this database, which is made when missing.
pub(crate) async fn signer(database: &Database) -> Result<Signer, Problem> {
    let fresh = hex::encode(Signer::generate()?);
    query!("INSERT INTO keys (id, pkcs8) VALUES (1, $1) ON CONFLICT (id) DO NOTHING", fresh)
        .execute(&database.write)
        .await?;
    let kept: String = scalar!("SELECT pkcs8 FROM keys WHERE id = 1").fetch_one(&database.write).await?;
    Signer::new(&hex::decode(kept).map_err(|error| Problem::internal(&error))?)
}
