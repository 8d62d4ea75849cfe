//! Where a program under test keeps its rows.

use boxoffice_kit::{Database, sqlx};
use reqwest::Url;
use tempfile::TempDir;
use uuid::Uuid;

/// A fresh database. The file goes with it; a PostgreSQL database stays until its throw-away server ends.
pub enum Place {
    /// A file in a folder of its own.
    Sqlite(TempDir),
    /// An address.
    Postgres(String),
}

impl Place {
    /// What `--database` takes.
    pub fn address(&self) -> String {
        match self {
            Self::Sqlite(folder) => folder.path().join("database.sqlite").display().to_string(),
            Self::Postgres(address) => address.clone(),
        }
    }
}

/// One of each kind there is.
pub async fn places() -> Vec<Place> {
    let mut all = vec![Place::Sqlite(tempfile::tempdir().unwrap())];
    if let Ok(server) = std::env::var("BOXOFFICE_TEST_POSTGRES") {
        let name = format!("trial_{}", Uuid::now_v7().simple());
        let database = Database::open_as_it_is(&server).await.unwrap();
        let create = sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")));
        create.execute(&database.write).await.unwrap();
        database.close().await;
        let mut address: Url = server.parse().unwrap();
        address.set_path(&name);
        all.push(Place::Postgres(address.to_string()));
    }
    all
}
