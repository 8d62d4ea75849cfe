//! What was in force when, who changed it, and the file sets to go back to.
//!
//! The proxy alone writes here, from its reload thread; the admin API reads. Without a state directory, or
//! when it cannot be written, the history of this process stays in memory (with its last few file sets, so that
//! undo works) and the problem is shown.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_routes::{FileSet, SourceFile};

use crate::api::{API_VERSION, HistoryEntry, KeptFile, KeptSet};
use crate::files;
use crate::state_dir::{self, StateDir, StateDirError};

/// Most entries kept in memory and given out; the file holds more.
pub(crate) const ENTRIES_MAX: usize = 1_000;

/// Most file sets kept in memory, when they are not on disk. Each may be as long as all files together.
const SETS_IN_MEMORY_MAX: usize = 20;

/// The writing end, held by the reload thread.
#[derive(Debug)]
pub(crate) struct History {
    disk: Option<StateDir>,
    view: HistoryView,
}

/// The reading end.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistoryView {
    shared: Arc<Mutex<Shared>>,
    state_dir: Option<Arc<Path>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Oldest first.
    entries: VecDeque<HistoryEntry>,
    /// What is not on disk, used longest ago first.
    sets: VecDeque<KeptSet>,
    problem: Option<String>,
}

impl History {
    /// Opens the folder and reads what is there.
    ///
    /// A folder that another proxy holds is an error. One that cannot be written is not: traffic matters
    /// more than its history.
    pub(crate) fn open(state_dir: Option<&Path>) -> Result<Self, StateDirError> {
        let Some(path) = state_dir else {
            return Ok(Self { disk: None, view: HistoryView::default() });
        };
        let disk = match StateDir::open(path) {
            Ok(disk) => disk,
            Err(error @ StateDirError::InUse { .. }) => return Err(error),
            Err(error) => return Ok(Self::without_disk(path, &error.to_string())),
        };
        let view = HistoryView { shared: Arc::default(), state_dir: Some(disk.path().into()) };
        match disk.entries() {
            Ok((entries, skipped)) => view.fill(entries, skipped),
            Err(error) => view.set_problem(Some(format!("cannot read the history: {error}"))),
        }
        Ok(Self { disk: Some(disk), view })
    }

    /// The reading end.
    pub(crate) fn view(&self) -> HistoryView {
        self.view.clone()
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<HistoryEntry> {
        self.view.shared().entries.back().cloned()
    }

    /// Notes what happened: the files now accepted, and the swap if there was one.
    ///
    /// What the disk refuses stays in memory, with the problem shown until the next record succeeds.
    pub(crate) fn record(&mut self, files: Option<(&FileSet, &str)>, swap: Option<HistoryEntry>) {
        let mut on_disk = false;
        if let Some(disk) = &mut self.disk {
            let problem = write(disk, files, swap.as_ref())
                .err()
                .map(|error| format!("cannot write to state directory {}: {error}", disk.path().display()));
            if let Some(problem) = &problem {
                tracing::warn!("{problem}; the history stays in memory");
            }
            on_disk = problem.is_none();
            self.view.set_problem(problem);
        }
        if let Some((files, text_hash)) = files.filter(|_| !on_disk) {
            self.view.keep(kept_set(files, text_hash));
        }
        if let Some(swap) = swap {
            self.view.push(swap);
        }
    }

    fn without_disk(path: &Path, problem: &str) -> Self {
        tracing::warn!(state_dir = %path.display(), "{problem}; history of this process stays in memory");
        let view = HistoryView { shared: Arc::default(), state_dir: None };
        view.set_problem(Some(problem.to_owned()));
        Self { disk: None, view }
    }
}

/// The files first: an entry on disk speaks of files that are there. A failure of one does not keep the other.
fn write(
    disk: &mut StateDir,
    files: Option<(&FileSet, &str)>,
    swap: Option<&HistoryEntry>,
) -> io::Result<()> {
    let kept = files.map_or(Ok(()), |(files, text_hash)| disk.keep(&kept_set(files, text_hash)));
    let appended = swap.map_or(Ok(()), |swap| disk.append(swap));
    kept.and(appended)
}

impl HistoryView {
    /// Newest first, at most `count`.
    pub(crate) fn newest(&self, count: usize) -> Vec<HistoryEntry> {
        self.shared().entries.iter().rev().take(count).cloned().collect()
    }

    /// A kept set by the hash of its text. Reads the disk.
    pub(crate) fn set(&self, text_hash: &str) -> io::Result<Option<KeptSet>> {
        let in_memory = self.shared().sets.iter().find(|set| set.text_hash == text_hash).cloned();
        match &self.state_dir {
            Some(folder) if in_memory.is_none() => state_dir::kept(folder, text_hash),
            _ => Ok(in_memory),
        }
    }

    /// Where it is kept.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        self.state_dir.as_deref().map(Path::to_owned)
    }

    /// Why it is not being written.
    pub(crate) fn problem(&self) -> Option<String> {
        self.shared().problem.clone()
    }

    fn fill(&self, entries: Vec<HistoryEntry>, skipped: usize) {
        if skipped > 0 {
            tracing::warn!(lines = skipped, "skipped history lines that cannot be read, torn by a crash?");
        }
        for entry in entries {
            self.push(entry);
        }
    }

    fn push(&self, entry: HistoryEntry) {
        let mut shared = self.shared();
        if shared.entries.len() == ENTRIES_MAX {
            shared.entries.pop_front();
        }
        shared.entries.push_back(entry);
    }

    fn keep(&self, set: KeptSet) {
        let mut shared = self.shared();
        shared.sets.retain(|known| known.text_hash != set.text_hash);
        if shared.sets.len() == SETS_IN_MEMORY_MAX {
            shared.sets.pop_front();
        }
        shared.sets.push_back(set);
    }

    fn set_problem(&self, problem: Option<String>) {
        self.shared().problem = problem;
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change under the lock is a single step, so a panic elsewhere leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file set in the form in which it is kept and given out, names as seen from the main file's folder.
pub fn kept_set(files: &FileSet, text_hash: &str) -> KeptSet {
    let main_name = Path::new(&files.main.name).file_name().unwrap_or_default();
    let included = files.included.iter();
    KeptSet {
        version: API_VERSION,
        text_hash: text_hash.to_owned(),
        main: KeptFile { name: main_name.to_string_lossy().into_owned(), text: files.main.text.clone() },
        included: included
            .map(|file| KeptFile { name: files::relative_name(files, file), text: file.text.clone() })
            .collect(),
    }
}

/// A kept set as the parser takes it.
pub fn file_set(kept: &KeptSet) -> FileSet {
    let source = |file: &KeptFile| SourceFile { name: file.name.clone(), text: file.text.clone() };
    FileSet { main: source(&kept.main), included: kept.included.iter().map(source).collect() }
}
