//! The monolith's SQLite file, shared with it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// How long a statement waits for a writer in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 8;

/// The shared database: many readers, one writer.
///
/// SQLite has one writer at a time anyway. One write connection per process makes the waiting fair:
/// SQLite's own busy handler polls, and under load some writer would lose every round.
#[derive(Clone, Debug)]
pub struct Database {
    /// For reading: never blocked by a writer (WAL).
    pub(crate) read: SqlitePool,
    write: SqlitePool,
}

/// Why the database cannot be used.
#[derive(Debug)]
pub enum DatabaseError {
    /// The file cannot be opened, or is not there.
    Open(PathBuf, sqlx::Error),
    /// The monolith's tables are not in the file.
    Tables(PathBuf, sqlx::Error),
}

impl Database {
    /// Opens the file that the monolith made. The tables stay the monolith's: nothing is migrated here.
    pub async fn open(file: &Path) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let open_error = |error| DatabaseError::Open(file.to_owned(), error);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
        let write = pool(1).connect_with(options.clone()).await.map_err(open_error)?;
        let read = pool(READERS).connect_with(options).await.map_err(open_error)?;
        sqlx::query("SELECT value FROM counters WHERE name = 'orders'")
            .fetch_one(&read)
            .await
            .map_err(|error| DatabaseError::Tables(file.to_owned(), error))?;
        Ok(Self { read, write })
    }

    /// Begins a business transaction. It takes the write lock at once: a transaction that reads first and
    /// writes later fails at once when the monolith wrote in between.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (file, what, error) = match self {
            Self::Open(file, error) => (file, "cannot open the database", error),
            Self::Tables(file, error) => (file, "no orders in the database", error),
        };
        write!(f, "{what} `{}`: {error}", file.display())?;
        write!(f, "\nhint: the monolith makes this file; start it first with the same `--database`")
    }
}

impl std::error::Error for DatabaseError {}
