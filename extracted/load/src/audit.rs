//! What the shop's databases themselves say: the check that needs no API. What is counted stands in `audit.sql`.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use sqlx::{AnyConnection, Connection, Error, any::install_default_drivers};
use tokio::time::sleep;

const CHECKS: &str = include_str!("audit.sql");
/// What SQLite and PostgreSQL say of a table or column that is not there.
const MISSING: [&str; 2] = ["no such", "does not exist"];
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What one database says.
#[derive(Debug)]
pub struct Audit {
    /// Its address, without a password.
    pub database: String,
    /// Orders in it, when it has orders.
    pub orders: Option<i64>,
    /// How many of what must not be, for each check that its tables permit.
    pub checks: BTreeMap<&'static str, i64>,
}

/// Looks into a database, changing nothing: a SQLite file or a URL. What is still on its way is waited for.
pub async fn audit(database: &str, soon: Duration) -> Result<Audit, Error> {
    install_default_drivers();
    let is_url = database.contains("://");
    let url = if is_url { database.to_owned() } else { format!("sqlite://{database}?mode=ro") };
    let mut connection = AnyConnection::connect(&url).await?;
    let mut checks = BTreeMap::new();
    let deadline = Instant::now() + soon;
    for check in CHECKS.split("\n-- ").skip(1) {
        let (what, sql) = check.split_once(":\n").expect("a heading ends with its line");
        // A row and the one it must agree with may come by different events: only what stays is wrong.
        while let Some(found) = count(&mut connection, sql).await? {
            checks.insert(what, found);
            if found == 0 || Instant::now() > deadline {
                break;
            }
            sleep(LOOK_AGAIN).await;
        }
    }
    let orders = count(&mut connection, "SELECT count(number) FROM orders").await?;
    // A report is shown around: no password belongs there.
    let database = database.rsplit('@').next().unwrap_or(database).to_owned();
    Ok(Audit { database, orders, checks })
}

/// None where there are no such tables.
async fn count(connection: &mut AnyConnection, sql: &'static str) -> Result<Option<i64>, Error> {
    match sqlx::query_scalar(sql).fetch_one(connection).await {
        Err(Error::Database(error)) if MISSING.iter().any(|text| error.message().contains(text)) => Ok(None),
        found => found.map(Some),
    }
}
