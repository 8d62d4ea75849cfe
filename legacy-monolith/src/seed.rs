//! The same shop every time: tickets and users whose every value follows from their number.

mod orders;

use boxoffice_kit::{Connection, Database, Problem, identity::token_hash, query, scalar};
use jiff::{SignedDuration, Timestamp};

use crate::users;

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
/// `orders` is how many orders there were already. A database with users in it keeps what it has.
pub async fn fill(database: &Database, sessions: bool, orders: i64) -> Result<(), Problem> {
    let mut tx = database.begin().await?;
    let users: i64 = scalar!("SELECT count(*) FROM users").fetch_one(&mut *tx).await?;
    if users == 0 {
        insert(&mut tx, &users::hash(PASSWORD.to_owned()).await?).await?;
    }
    if sessions {
        insert_sessions(&mut tx).await?;
    }
    orders::insert(&mut tx, orders).await?;
    Ok(tx.commit().await?)
}

async fn insert(tx: &mut Connection, hash: &str) -> sqlx::Result<()> {
    for id in 1..=USERS {
        // Some have not signed in since passwords were kept another way.
        let old = id % 10 == 9;
        let hash = if old { users::old_hash(&format!("salt-{id}"), PASSWORD) } else { hash.to_owned() };
        let sql = "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)";
        query!(sql, id, format!("user-{id}@example.com"), hash, day(id)).execute(&mut *tx).await?;
    }
    for id in 1..=TICKETS {
        let sql =
            "INSERT INTO tickets (id, title, price_cents, owner_id, created_at, capacity, stock_version)
                   VALUES ($1, $2, $3, $4, $5, $6, 1)";
        let row = query!(sql, id, title(id), price_cents(id), id, day(id), capacity(id));
        row.execute(&mut *tx).await?;
    }
    for (counter, value) in [("users", USERS), ("tickets", TICKETS)] {
        query!("UPDATE counters SET value = $1 WHERE name = $2", value, counter).execute(&mut *tx).await?;
    }
    Ok(())
}

async fn insert_sessions(tx: &mut Connection) -> sqlx::Result<()> {
    for id in 1..=USERS {
        let sql = "INSERT INTO sessions (token_hash, user_id, created_at)
                   SELECT $1, id, created_at FROM users WHERE id = $2 ON CONFLICT (token_hash) DO NOTHING";
        query!(sql, token_hash(&format!("seed-session-{id}")), id).execute(&mut *tx).await?;
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
