//! A SQLite file or a PostgreSQL database, by the same statements.

use reqwest::Url;
use serde::{Deserialize, Serialize};
use sqlx::{
    Any, AnyConnection, AnyPool, Executor, Transaction,
    any::{AnyPoolOptions, install_default_drivers},
    migrate::{MigrateError, Migrator},
};

/// A connection, in a transaction or not.
pub type Connection = AnyConnection;
/// A business transaction.
pub type Tx = Transaction<'static, Any>;

/// Waits for a writer of another process; readers and writers go on beside each other. `NORMAL` outlives a killed process. A
/// power cut can undo the last commits, answered and told to others as they may be: fit for a sample. A shop needs `FULL`,
/// which flushes the disk at every order, or PostgreSQL.
const SQLITE: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL";
/// Business transactions queue at their beginning, as with SQLite: they would queue at the outbox anyway, whose positions grow
/// with the commits, and two that hold rows by then could wait for each other.
const IN_TURN: &str = "BEGIN; LOCK TABLE outbox IN EXCLUSIVE MODE";
const READERS: u32 = 6;
const WRITERS: u32 = 6;

/// `sqlx::query` with its values: `query!("DELETE FROM t WHERE id = $1", id)`.
#[macro_export]
macro_rules! query {
    ($sql:expr $(, $value:expr)* $(,)?) => { $crate::sqlx::query::<$crate::sqlx::Any>($sql)$(.bind($value))* };
}

/// `sqlx::query_as` with its values.
#[macro_export]
macro_rules! query_as {
    ($sql:expr $(, $value:expr)* $(,)?) => { $crate::sqlx::query_as::<$crate::sqlx::Any, _>($sql)$(.bind($value))* };
}

/// `sqlx::query_scalar` with its values.
#[macro_export]
macro_rules! scalar {
    ($sql:expr $(, $value:expr)* $(,)?) => { $crate::sqlx::query_scalar::<$crate::sqlx::Any, _>($sql)$(.bind($value))* };
}

/// The database of one program.
#[derive(Clone, Debug)]
pub struct Database {
    /// For reading.
    pub read: AnyPool,
    /// For writing. With SQLite it is one connection: SQLite has one writer at a time, and its own busy handler
    /// polls, so that under load some writer would lose every round.
    pub write: AnyPool,
    begin: &'static str,
}

/// Yes or no: 1 or 0 in the database, true or false in JSON. With `#[sqlx(try_from = "i64")]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flag(
    /// True for yes.
    pub bool,
);

impl From<i64> for Flag {
    fn from(stored: i64) -> Self {
        Self(stored != 0)
    }
}

/// Why the database cannot be used.
#[derive(Debug)]
pub enum DatabaseError {
    /// It cannot be reached or made.
    Open(sqlx::Error),
    /// Its tables cannot be brought to this build's version.
    Migrate(MigrateError),
}

impl Database {
    /// Opens a `postgres://` address or a SQLite file, which is made when missing, and brings the tables up to date.
    pub async fn open(address: &str, own: Migrator) -> Result<Self, DatabaseError> {
        let database = Self::open_as_it_is(address).await?;
        for mut migrations in [sqlx::migrate!(), own] {
            let run = migrations.set_ignore_missing(true).run(&database.write).await;
            run.map_err(DatabaseError::Migrate)?;
        }
        Ok(database)
    }

    /// Opens a database whose tables another program looks after.
    pub async fn open_as_it_is(address: &str) -> Result<Self, DatabaseError> {
        install_default_drivers();
        let is_file = !address.starts_with("postgres");
        let url = if is_file { sqlite_url(address) } else { address.to_owned() };
        let pool = |connections| {
            let options = AnyPoolOptions::new().max_connections(connections);
            let prepared = options.after_connect(move |connection, _| {
                Box::pin(
                    async move { if is_file { connection.execute(SQLITE).await.map(drop) } else { Ok(()) } },
                )
            });
            prepared.connect_lazy(&url).map_err(DatabaseError::Open)
        };
        let begin = if is_file { "BEGIN IMMEDIATE" } else { IN_TURN };
        let write = pool(if is_file { 1 } else { WRITERS })?;
        write.acquire().await.map_err(DatabaseError::Open)?;
        Ok(Self { read: pool(READERS)?, write, begin })
    }

    /// Begins a business transaction; one after the other. With SQLite it takes the write lock at once: a transaction that
    /// reads first and writes later fails when another process wrote in between.
    ///
    /// In a task of its own: sqlx counts a transaction once the server has answered, so a caller that goes away while it waits
    /// would leave one open that nobody rolls back, and with PostgreSQL the lock with it. This way it is finished and dropped.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        let (write, begin) = (self.write.clone(), self.begin);
        let task = tokio::spawn(async move { write.begin_with(begin).await });
        task.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Closes every connection, which also empties SQLite's write-ahead log.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// The next number of a counter. The row is held until the transaction ends: when it fails, the number was never taken.
pub async fn next_id(connection: &mut Connection, counter: &str) -> sqlx::Result<i64> {
    scalar!("UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value", counter)
        .fetch_one(connection)
        .await
}

/// An address fit for logs: without user, password and parameters. What is no URL is a file.
pub fn without_password(address: &str) -> String {
    let Some((scheme, _)) = address.split_once("://") else { return address.to_owned() };
    match Url::parse(address) {
        Ok(url) if !url.path().contains('@') => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{scheme}://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
        }
        _ => format!("{scheme}://..."),
    }
}

fn sqlite_url(file: &str) -> String {
    let file = file.strip_prefix("sqlite:").unwrap_or(file);
    format!("sqlite:{}?mode=rwc", file.replace('%', "%25").replace('?', "%3F").replace('#', "%23"))
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot open the database: {error}"),
            Self::Migrate(error) => write!(f, "cannot bring the tables up to date: {error}"),
        }
    }
}

impl std::error::Error for DatabaseError {}
