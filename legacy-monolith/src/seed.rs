//! The same shop every time: tickets and users whose every value follows from their number.

use jiff::{SignedDuration, Timestamp};
use sqlx::{Sqlite, Transaction};

use crate::{
    database::{Database, DatabaseError},
    users,
};

/// Tickets have the ids 1 to this.
pub const TICKETS: i64 = 200;
/// Users have the ids 1 to this and the addresses `user-ID@example.com`.
pub const USERS: i64 = 500;
/// Every seeded user's password.
pub const PASSWORD: &str = "box-office-demo";

const EVENTS: [&str; 8] =
    ["Opera", "Jazz Night", "Derby", "Ballet", "Stand-up", "Film Premiere", "Recital", "Circus"];
const CITIES: [&str; 5] = ["Lisbon", "Oslo", "Vienna", "Porto", "Ghent"];

/// Fills an empty database, and with `sessions` also gives every seeded user the session `seed-session-ID`.
/// A database with users in it keeps what it has.
pub async fn fill(database: &Database, sessions: bool) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await.map_err(DatabaseError::Fill)?;
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users")
        .fetch_one(&mut *transaction)
        .await
        .map_err(DatabaseError::Fill)?;
    if users == 0 {
        let hash = users::hash(PASSWORD.to_owned()).await;
        let hash = hash.map_err(|problem| DatabaseError::Password(problem.message().to_owned()))?;
        insert(&mut transaction, &hash).await.map_err(DatabaseError::Fill)?;
    }
    if sessions {
        insert_sessions(&mut transaction).await.map_err(DatabaseError::Fill)?;
    }
    transaction.commit().await.map_err(DatabaseError::Fill)
}

async fn insert(transaction: &mut Transaction<'static, Sqlite>, hash: &str) -> sqlx::Result<()> {
    for id in 1..=USERS {
        sqlx::query("INSERT INTO users (id, email, password_hash, created_at) VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(format!("user-{id}@example.com"))
            .bind(hash)
            .bind(day(id))
            .execute(&mut **transaction)
            .await?;
    }
    for id in 1..=TICKETS {
        sqlx::query(
            "INSERT INTO tickets (id, title, price_cents, owner_id, created_at, capacity)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(title(id))
        .bind(price_cents(id))
        .bind(id)
        .bind(day(id))
        .bind(capacity(id))
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

async fn insert_sessions(transaction: &mut Transaction<'static, Sqlite>) -> sqlx::Result<()> {
    for id in 1..=USERS {
        sqlx::query(
            "INSERT INTO sessions (token, user_id, created_at)
             SELECT ?, id, created_at FROM users WHERE id = ? ON CONFLICT (token) DO NOTHING",
        )
        .bind(format!("seed-session-{id}"))
        .bind(id)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

fn title(id: i64) -> String {
    let pick = |names: &[&'static str], by: i64| names[usize::try_from(by).unwrap_or(0) % names.len()];
    format!("{} in {}, evening {id}", pick(&EVENTS, id), pick(&CITIES, id / 8))
}

/// The first two are the pair that tells a fee per order from a fee per line.
fn price_cents(id: i64) -> i64 {
    match id {
        1 => 2_500,
        2 => 4_500,
        _ => 500 + id * 7_919 % 9_500,
    }
}

/// Every fiftieth evening is small and soon sold out; the others outlast a load test.
fn capacity(id: i64) -> i64 {
    if id % 50 == 0 { 40 } else { 100_000 }
}

/// A day of 2026 that follows from the number.
fn day(id: i64) -> String {
    let start = Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH);
    (start + SignedDuration::from_hours(12 * (id % 600))).to_string()
}
