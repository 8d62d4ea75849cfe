//! The SQLite file.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// How long a statement waits for a writer in another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 8;

/// The shop's database: many readers, one writer.
///
/// SQLite has one writer at a time anyway. One write connection per process makes the waiting fair:
/// SQLite's own busy handler polls, and under load some writer would lose every round.
#[derive(Clone, Debug)]
pub struct Database {
    /// For reading: never blocked by a writer (WAL).
    pub(crate) read: SqlitePool,
    /// For writing: one connection.
    pub(crate) write: SqlitePool,
}

/// Why the database cannot be used.
#[derive(Debug)]
pub enum DatabaseError {
    /// The file cannot be opened or made.
    Open(sqlx::Error),
    /// The tables cannot be brought to this build's version.
    Migrate(MigrateError),
    /// The seed cannot be written.
    Fill(sqlx::Error),
    /// The seeded password cannot be hashed.
    Password(String),
}

impl Database {
    /// Opens the file, makes it when missing, and brings its tables up to date.
    pub async fn open(file: &Path) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| SqlitePoolOptions::new().max_connections(connections);
        let write = pool(1).connect_with(options.clone()).await.map_err(DatabaseError::Open)?;
        sqlx::migrate!().run(&write).await.map_err(DatabaseError::Migrate)?;
        let read = pool(READERS).connect_with(options).await.map_err(DatabaseError::Open)?;
        Ok(Self { read, write })
    }

    /// Begins a business transaction. It takes the write lock at once: a transaction that reads first and
    /// writes later fails at once when another process wrote in between.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.write.begin_with("BEGIN IMMEDIATE").await
    }

    /// Closes every connection, which also empties the write-ahead log.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

impl std::fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(error) => write!(f, "cannot open the database: {error}"),
            Self::Migrate(error) => write!(f, "cannot bring the tables up to date: {error}"),
            Self::Fill(error) => write!(f, "cannot write the seed: {error}"),
            Self::Password(error) => write!(f, "cannot hash the seeded password: {error}"),
        }
    }
}

impl std::error::Error for DatabaseError {}
