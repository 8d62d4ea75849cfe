//! The open store, whatever becomes of its disk: trouble is told once, counted, and gone on from.

use std::path::{Path, PathBuf};

use super::bounds::Bounds;
use super::store::{Store, StoreError, set_aside};

/// Where counts and samples are.
#[derive(Debug)]
pub(super) struct Shelf {
    /// None once it was closed, or where not even memory could be had.
    store: Option<Store>,
    /// Where it is, or should be.
    path: Option<PathBuf>,
    is_on_disk: bool,
    problem: Option<String>,
}

impl Shelf {
    /// The file of a state directory, or memory without one. A file that cannot be read is set aside; where there can be
    /// none, memory serves.
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let Some(path) = path else { return Self::in_memory(None, None) };
        match opened(&path) {
            Ok(store) => Self::on_disk(store, path),
            Err(error) => Self::in_place_of(path, &error),
        }
    }

    fn on_disk(store: Store, path: PathBuf) -> Self {
        Self { store: Some(store), path: Some(path), is_on_disk: true, problem: None }
    }

    /// Memory, until the file can be used.
    fn in_place_of(path: PathBuf, error: &StoreError) -> Self {
        let problem = format!("cannot use {}: {error}", path.display());
        tracing::warn!("{problem}; what comparisons find stays in memory, and it is tried again");
        Self::in_memory(Some(path), Some(problem))
    }

    fn in_memory(path: Option<PathBuf>, problem: Option<String>) -> Self {
        let store = Store::in_memory(Bounds::MEMORY)
            .inspect_err(|error| tracing::error!("no samples will be kept: {error}"))
            .ok();
        Self { store, path, is_on_disk: false, problem }
    }

    /// Whether memory serves in place of a file.
    fn is_makeshift(&self) -> bool {
        self.path.is_some() && !self.is_on_disk
    }

    /// Uses the file after all, such as when the process before has let go of it. Samples move there. False where nothing
    /// changes.
    pub(super) fn back_to_disk(&mut self) -> bool {
        let Some(path) = self.path.clone().filter(|_| self.is_makeshift()) else { return false };
        let Ok(mut store) = opened(&path) else { return false };
        let moved = self.store.as_ref().map_or(Ok(()), |memory| memory.copy_to(&mut store));
        if let Err(error) = moved {
            tracing::warn!("not every sample could be moved to {}: {error}", path.display());
        }
        tracing::info!("what comparisons find is on disk, in {}", path.display());
        *self = Self::on_disk(store, path);
        true
    }

    /// Nothing is kept from here on; another process may open the file.
    pub(super) fn close(&mut self) {
        self.store = None;
    }

    /// Whether what is kept survives a restart.
    pub(super) fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }

    /// What is the matter, if anything is.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Reads. None, where that could not be done: it was told why.
    pub(super) fn read<T>(&mut self, read: impl FnOnce(&Store) -> Result<T, StoreError>) -> Option<T> {
        read(self.store.as_ref()?).inspect_err(|error| self.failed(error)).ok()
    }

    /// Writes. None, where that could not be done: it was told why.
    pub(super) fn write<T>(&mut self, write: impl FnOnce(&mut Store) -> Result<T, StoreError>) -> Option<T> {
        let written = write(self.store.as_mut()?).inspect_err(|error| self.failed(error)).ok();
        if written.is_some() && self.is_on_disk() && self.problem.take().is_some() {
            tracing::info!("what comparisons find is on disk again");
        }
        written
    }

    /// Deletes everything of a route, and says how many samples there were, or what is the matter.
    pub(super) fn forget(&mut self, route: &str) -> Result<u64, String> {
        // There may be more of it in the file.
        let forgotten = if self.is_makeshift() { None } else { self.write(|store| store.forget(route)) };
        forgotten.ok_or_else(|| {
            let problem = self.problem.clone();
            problem.unwrap_or_else(|| "what comparisons find is kept no more; the log says why".to_owned())
        })
    }

    fn failed(&mut self, error: &StoreError) {
        let path = self.path.clone().filter(|_| self.is_on_disk);
        if let (StoreError::Damaged(found), Some(path)) = (error, path) {
            // Closed before it is moved.
            self.store = None;
            match anew(&path, found) {
                Ok(store) => self.store = Some(store),
                Err(error) => *self = Self::in_place_of(path, &error),
            }
        } else if self.problem.is_none() {
            let problem = format!("cannot keep what comparisons find: {error}");
            tracing::warn!("{problem}; it is counted, and tried again");
            self.problem = Some(problem);
        }
    }
}

fn opened(path: &Path) -> Result<Store, StoreError> {
    Store::open(path, Bounds::DISK).or_else(|error| match error {
        StoreError::Damaged(found) => anew(path, &found),
        error => Err(error),
    })
}

/// A new file in place of a damaged one.
fn anew(path: &Path, found: &str) -> Result<Store, StoreError> {
    match set_aside(path) {
        Ok(aside) => {
            tracing::error!("{} is damaged: {found}; moved to {}", path.display(), aside.display());
            Store::open(path, Bounds::DISK)
        }
        Err(error) => Err(StoreError::Unusable(format!("{found}; it cannot be moved aside: {error}"))),
    }
}
