//! Counts and samples in `SQLite`: on disk, or in memory within the same bounds.
//!
//! Whatever a file holds is checked when it is read. It is held by this process alone: so there is no memory shared with
//! others, in which a truncated file would be a signal that ends the proxy. Another process that holds it, such as the one
//! before, is waited for [`BUSY_WITHIN`].

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::bounds::Bounds;
use crate::api::{Sample, SampleRequest};

/// How long another process may hold the file.
const BUSY_WITHIN: Duration = Duration::from_millis(500);

/// Version of the tables below, kept in `user_version`.
const SCHEMA_VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE counts (route TEXT PRIMARY KEY, state TEXT NOT NULL, written_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE samples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    route TEXT NOT NULL, verdict TEXT NOT NULL, kept_ms INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE INDEX samples_by_route ON samples (route);
CREATE INDEX samples_by_age ON samples (kept_ms);
CREATE TABLE sightings (
    route TEXT NOT NULL, signature TEXT NOT NULL, sample INTEGER NOT NULL,
    PRIMARY KEY (route, signature, sample)
) WITHOUT ROWID;
CREATE INDEX sightings_by_sample ON sightings (sample);
";

/// Why the store did not do it.
#[derive(Debug)]
pub(super) enum StoreError {
    /// The file is no database of ours, or broken: it is to be set aside.
    Damaged(String),
    /// There is no room, within the bound or on the disk.
    Full,
    /// Anything else: no right to write, held by another process, a failing disk.
    Unusable(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged(error) | Self::Unusable(error) => out.write_str(error),
            Self::Full => out.write_str("no room left"),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // No code: a column of another type, or text that is none.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => {
                Self::Damaged(error.to_string())
            }
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(_) => Self::Unusable(error.to_string()),
        }
    }
}

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there, in place of another maybe.
    Kept,
    /// There is no room for more.
    Full,
}

/// The open database.
#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
    bounds: Bounds,
}

impl Store {
    /// The file, made where it is not there. Readable by its owner alone.
    pub(super) fn open(path: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let unusable = |error: io::Error| StoreError::Unusable(error.to_string());
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(unusable)?;
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY_WITHIN)?;
        db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        // What a commit does not wait for can be lost with the power, and cannot break the file.
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        db.pragma_update(None, "journal_size_limit", i64::from(bounds.journal_bytes))?;
        Self::prepared(db, bounds)
    }

    /// Gone with the process.
    pub(super) fn in_memory(bounds: Bounds) -> Result<Self, StoreError> {
        Self::prepared(Connection::open_in_memory()?, bounds)
    }

    fn prepared(db: Connection, bounds: Bounds) -> Result<Self, StoreError> {
        db.set_prepared_statement_cache_capacity(32);
        // What is deleted is gone from the file, too.
        db.pragma_update(None, "secure_delete", "ON")?;
        db.pragma_update(None, "max_page_count", bounds.pages)?;
        let mut store = Self { db, bounds };
        match store.number("PRAGMA user_version")? {
            0 => store.make_tables()?,
            SCHEMA_VERSION => store.check()?,
            found => {
                return Err(StoreError::Damaged(format!(
                    "expected tables of version {SCHEMA_VERSION}, found {found}"
                )));
            }
        }
        Ok(store)
    }

    fn make_tables(&mut self) -> Result<(), StoreError> {
        let transaction = self.db.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        Ok(transaction.commit()?)
    }

    fn check(&self) -> Result<(), StoreError> {
        let said: String = self.db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if said == "ok" { Ok(()) } else { Err(StoreError::Damaged(said)) }
    }

    /// What was counted and learned, by route, of these routes or not older than that.
    pub(super) fn counts(&self, routes: &[&str], since_ms: u64) -> Result<Vec<(String, String)>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT route, state, written_ms FROM counts")?;
        let rows = asked.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rows = rows.collect::<Result<Vec<(String, String, i64)>, _>>()?;
        let is_wanted = |route: &str, written: i64| routes.contains(&route) || written >= signed(since_ms);
        let wanted = rows.into_iter().filter(|(route, _, written)| is_wanted(route, *written));
        Ok(wanted.map(|(route, state, _)| (route, state)).collect())
    }

    /// Puts these in place of what was kept for their routes.
    pub(super) fn write_counts<'c>(
        &mut self,
        changed: impl Iterator<Item = (&'c str, &'c str)>,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let transaction = self.db.transaction()?;
        for (route, state) in changed {
            let mut put = transaction
                .prepare_cached("REPLACE INTO counts (route, state, written_ms) VALUES (?, ?, ?)")?;
            put.execute(params![route, state, signed(now_ms)])?;
        }
        Ok(transaction.commit()?)
    }

    /// Whether a sample with these signatures would be kept now: one of them has few, or none that is recent.
    pub(super) fn wants<'s>(
        &self,
        route: &str,
        signatures: impl Iterator<Item = &'s str>,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT count(*), coalesce(max(kept_ms), 0) FROM sightings JOIN samples ON id = sample
             WHERE sightings.route = ? AND signature = ?",
        )?;
        let most = i64::from(self.bounds.oldest + self.bounds.newest);
        for signature in signatures {
            let (count, newest): (i64, i64) =
                asked.query_row(params![route, signature], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if count < most || newest + self.bounds.replaced_after_ms <= signed(now_ms) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps a sample. Of each of its signatures, the oldest and the newest few stay. What would be too much then is not
    /// kept.
    pub(super) fn keep(&mut self, sample: &Sample, now_ms: u64) -> Result<Outcome, StoreError> {
        if !self.has_room()? {
            return Ok(Outcome::Full);
        }
        let text = serde_json::to_string(sample).map_err(|error| StoreError::Unusable(error.to_string()))?;
        let bounds = self.bounds;
        let transaction = self.db.transaction()?;
        transaction
            .prepare_cached("INSERT INTO samples (route, verdict, kept_ms, text) VALUES (?, ?, ?, ?)")?
            .execute(params![sample.route, sample.verdict, signed(now_ms), text])?;
        let id = transaction.last_insert_rowid();
        for difference in &sample.differences {
            let seen = params![sample.route, difference.signature, id];
            transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO sightings (route, signature, sample) VALUES (?, ?, ?)",
                )?
                .execute(seen)?;
            for id in thin_out(&transaction, &sample.route, &difference.signature, bounds)? {
                delete_unsighted(&transaction, id)?;
            }
        }
        if is_too_much(&transaction, sample, bounds)? {
            // Rolled back.
            return Ok(Outcome::Full);
        }
        transaction.commit()?;
        Ok(Outcome::Kept)
    }

    /// Whether there are bytes left for another sample.
    pub(super) fn has_room(&self) -> Result<bool, StoreError> {
        Ok(self.pages_used()? < i64::from(self.bounds.pages_of_samples))
    }

    fn pages_used(&self) -> Result<i64, StoreError> {
        Ok(self.number("PRAGMA page_count")? - self.number("PRAGMA freelist_count")?)
    }

    /// Samples of all routes.
    pub(super) fn samples(&self) -> Result<u64, StoreError> {
        Ok(self.number("SELECT count(*) FROM samples")?.unsigned_abs())
    }

    /// Ids by signature, oldest first.
    pub(super) fn ids(&self, route: &str) -> Result<BTreeMap<String, Vec<u64>>, StoreError> {
        let mut asked = self.db.prepare_cached(
            "SELECT signature, sample FROM sightings WHERE route = ? ORDER BY signature, sample",
        )?;
        let rows = asked.query_map([route], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut ids: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for row in rows {
            let (signature, id): (String, i64) = row?;
            ids.entry(signature).or_default().push(id.unsigned_abs());
        }
        Ok(ids)
    }

    /// One sample, if it is there and of this route.
    pub(super) fn sample(&self, route: &str, id: u64) -> Result<Option<Sample>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT text FROM samples WHERE id = ? AND route = ?")?;
        let text: Option<String> =
            asked.query_row(params![signed(id), route], |row| row.get(0)).optional()?;
        let sample: Option<Sample> = text.map(|text| parsed(&text)).transpose()?;
        Ok(sample.map(|sample| Sample { id, ..sample }))
    }

    /// Puts samples into another store, within its bounds.
    pub(super) fn copy_to(&self, other: &mut Self) -> Result<(), StoreError> {
        let mut asked = self.db.prepare_cached("SELECT text, kept_ms FROM samples ORDER BY id")?;
        let mut rows = asked.query([])?;
        while let Some(row) = rows.next()? {
            let (text, kept_ms): (String, i64) = (row.get(0)?, row.get(1)?);
            other.keep(&parsed(&text)?, kept_ms.unsigned_abs())?;
        }
        Ok(())
    }

    /// What was asked in all samples of a route, oldest first.
    pub(super) fn requests(&self, route: &str) -> Result<Vec<SampleRequest>, StoreError> {
        let mut asked = self.db.prepare_cached("SELECT text FROM samples WHERE route = ? ORDER BY id")?;
        let texts = asked.query_map([route], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        texts.iter().map(|text| parsed::<Sample>(text).map(|sample| sample.request)).collect()
    }

    /// Deletes everything of a route, and says how many samples there were.
    pub(super) fn forget(&mut self, route: &str) -> Result<u64, StoreError> {
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM counts WHERE route = ?", [route])?;
        transaction.execute("DELETE FROM sightings WHERE route = ?", [route])?;
        let deleted = transaction.execute("DELETE FROM samples WHERE route = ?", [route])?;
        transaction.commit()?;
        Ok(deleted as u64)
    }

    /// Deletes samples of a route that were kept before.
    pub(super) fn forget_before(&mut self, route: &str, before_ms: u64) -> Result<(), StoreError> {
        let transaction = self.db.transaction()?;
        let before = params![route, signed(before_ms)];
        transaction.execute("DELETE FROM samples WHERE route = ? AND kept_ms < ?", before)?;
        delete_unfounded(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Deletes samples that were kept before.
    pub(super) fn expire(&mut self, before_ms: u64) -> Result<(), StoreError> {
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM samples WHERE kept_ms < ?", [signed(before_ms)])?;
        delete_unfounded(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// The journal into the file.
    #[cfg(test)]
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn number(&self, asked: &str) -> Result<i64, StoreError> {
        Ok(self.db.prepare_cached(asked)?.query_row([], |row| row.get(0))?)
    }
}

/// Of one signature, the oldest and the newest few stay. Gives the samples it needs no more.
fn thin_out(db: &Connection, route: &str, signature: &str, bounds: Bounds) -> Result<Vec<i64>, StoreError> {
    let mut middle = db.prepare_cached(
        "DELETE FROM sightings WHERE route = ?1 AND signature = ?2 AND sample NOT IN (
             SELECT * FROM (SELECT sample FROM sightings WHERE route = ?1 AND signature = ?2
                            ORDER BY sample LIMIT ?3)
             UNION
             SELECT * FROM (SELECT sample FROM sightings WHERE route = ?1 AND signature = ?2
                            ORDER BY sample DESC LIMIT ?4))
         RETURNING sample",
    )?;
    let of = params![route, signature, bounds.oldest, bounds.newest];
    Ok(middle.query_map(of, |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Unless another signature needs it.
fn delete_unsighted(db: &Connection, id: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM samples WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM sightings WHERE sample = ?1)",
    )?
    .execute([id])?;
    Ok(())
}

/// Whether there are more samples than there may be. Noise leaves room for mismatches.
fn is_too_much(db: &Connection, sample: &Sample, bounds: Bounds) -> Result<bool, StoreError> {
    let of_route_max = if sample.verdict == "noise" { bounds.of_route / 2 } else { bounds.of_route };
    let mut of_route = db.prepare_cached("SELECT count(*) FROM samples WHERE route = ?")?;
    let of_route: i64 = of_route.query_row([&sample.route], |row| row.get(0))?;
    let all: i64 = db.prepare_cached("SELECT count(*) FROM samples")?.query_row([], |row| row.get(0))?;
    Ok(of_route > i64::from(of_route_max) || all > i64::from(bounds.samples))
}

/// A sighting whose sample has gone.
fn delete_unfounded(db: &Connection) -> Result<(), StoreError> {
    db.execute("DELETE FROM sightings WHERE NOT EXISTS (SELECT 1 FROM samples WHERE id = sample)", [])?;
    Ok(())
}

/// Moves a file that cannot be used out of the way, in place of the one that was moved before.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let aside = beside(".damaged");
    fs::rename(path, &aside)?;
    for ending in ["-wal", "-shm"] {
        // Without its file it says nothing, and beside a new one it would be in the way.
        let _ = fs::remove_file(beside(ending));
    }
    Ok(aside)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(format!("a sample: {error}")))
}

/// `SQLite` has no unsigned numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
