//! What was in force when, who changed it, and the file sets to go back to.
//!
//! The proxy alone writes here, from its reload thread; the admin API reads. What was recorded can be read at once,
//! from memory: a thread of its own takes it to the disk, and nobody waits for that but the end of the process, which
//! does so for two seconds. Without a state directory, or when it cannot be written, the history of this process stays in
//! memory (with its last few file sets, so that undo works) and the problem is shown.
//!
//! - `writer`: that thread.

mod writer;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_routes::{FileSet, SourceFile};

use crate::api::{API_VERSION, HistoryEntry, KeptFile, KeptSet};
use crate::files;
use crate::metrics::Metrics;
use crate::state_dir::{self, Folder, StateDir, StateDirError};
use writer::{Behind, Job, Writer};

/// Most entries kept in memory and given out; the file holds more.
pub(crate) const ENTRIES_MAX: usize = 1_000;

/// Most file sets kept in memory, when they are not on disk. Each may be as long as all files together.
const SETS_IN_MEMORY_MAX: usize = 20;

/// Where the history will be read and kept, once no other process writes there.
#[derive(Debug)]
pub(crate) enum Place {
    /// In memory, as was asked for.
    Memory,
    /// In this folder, which is locked.
    Disk(Folder),
    /// In memory, because of a problem with this folder.
    Unusable(PathBuf, StateDirError),
}

/// The writing end, held by the reload thread.
#[derive(Debug)]
pub(crate) struct History {
    writer: Option<Writer>,
    metrics: Metrics,
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
    /// What is not on disk, or not yet; used longest ago first.
    sets: VecDeque<Arc<KeptSet>>,
    problem: Option<String>,
}

impl Place {
    /// Locks the folder. `lent` is its lock, when it comes from the process before.
    ///
    /// A folder that another proxy holds is an error. One that cannot be written is not: traffic matters
    /// more than its history.
    pub(crate) fn hold(state_dir: Option<&Path>, lent: Option<File>) -> Result<Self, StateDirError> {
        let Some(path) = state_dir else { return Ok(Self::Memory) };
        match Folder::hold(path, lent) {
            Ok(folder) => Ok(Self::Disk(folder)),
            Err(error @ StateDirError::InUse { .. }) => Err(error),
            Err(error) => Ok(Self::Unusable(path.to_owned(), error)),
        }
    }

    /// The folder, if it can be used.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Disk(folder) => Some(folder.path()),
            Self::Memory | Self::Unusable(..) => None,
        }
    }

    /// The held lock of the folder once more.
    pub(crate) fn lock(&self) -> Option<File> {
        match self {
            Self::Disk(folder) => folder.lock().ok(),
            Self::Memory | Self::Unusable(..) => None,
        }
    }
}

impl History {
    /// Reads what is there.
    pub(crate) fn open(place: Place, metrics: &Metrics) -> Self {
        let without = |view| Self { writer: None, metrics: metrics.clone(), view };
        let folder = match place {
            Place::Memory => return without(HistoryView::default()),
            Place::Unusable(path, error) => return without(in_memory(&path, &error.to_string())),
            Place::Disk(folder) => folder,
        };
        let path = folder.path().to_owned();
        let disk = match StateDir::open(folder) {
            Ok(disk) => disk,
            Err(error) => return without(in_memory(&path, &error.to_string())),
        };
        let view = HistoryView { shared: Arc::default(), state_dir: Some(disk.path().into()) };
        match disk.entries() {
            Ok((entries, skipped)) => view.fill(entries, skipped),
            Err(error) => view.set_problem(Some(format!("cannot read the history: {error}"))),
        }
        match Writer::start(disk, view.clone()) {
            Ok(writer) => Self { writer: Some(writer), ..without(view) },
            Err(error) => without(in_memory(&path, &format!("cannot start the history thread: {error}"))),
        }
    }

    /// The reading end.
    pub(crate) fn view(&self) -> HistoryView {
        self.view.clone()
    }

    /// The newest entry.
    pub(crate) fn last(&self) -> Option<HistoryEntry> {
        self.view.shared().entries.back().cloned()
    }

    /// Notes what happened: the files now accepted, and the swap if there was one. Does not wait for the disk.
    ///
    /// What the disk refuses, or is too slow for, stays in memory, with the problem shown until the next record
    /// succeeds.
    pub(crate) fn record(&mut self, files: Option<(&FileSet, &str)>, swap: Option<HistoryEntry>) {
        let set = files.map(|(files, text_hash)| Arc::new(kept_set(files, text_hash)));
        if let Some(set) = &set {
            self.view.keep(Arc::clone(set));
        }
        if let Some(swap) = &swap {
            self.view.push(swap.clone());
        }
        let Some(writer) = &self.writer else { return };
        if let Err(Behind) = writer.write(Job { set, entry: swap }) {
            self.metrics.history_dropped();
            let problem = "the disk of the state directory is too slow".to_owned();
            tracing::warn!("{problem}; this change stays in memory");
            self.view.set_problem(Some(problem));
        }
    }
}

fn in_memory(path: &Path, problem: &str) -> HistoryView {
    tracing::warn!(state_dir = %path.display(), "{problem}; history of this process stays in memory");
    let view = HistoryView::default();
    view.set_problem(Some(problem.to_owned()));
    view
}

impl HistoryView {
    /// Newest first, at most `count`.
    pub(crate) fn newest(&self, count: usize) -> Vec<HistoryEntry> {
        self.shared().entries.iter().rev().take(count).cloned().collect()
    }

    /// Shows every entry, newest first, until told to stop.
    pub(crate) fn look(&self, goes_on: impl FnMut(&HistoryEntry) -> bool) {
        let shared = self.shared();
        let _ = shared.entries.iter().rev().all(goes_on);
    }

    /// A kept set by the hash of its text. Reads the disk.
    pub(crate) fn set(&self, text_hash: &str) -> io::Result<Option<KeptSet>> {
        let in_memory = self.shared().sets.iter().find(|set| set.text_hash == text_hash).cloned();
        match &self.state_dir {
            Some(folder) if in_memory.is_none() => state_dir::kept(folder, text_hash),
            _ => Ok(in_memory.map(Arc::unwrap_or_clone)),
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

    fn keep(&self, set: Arc<KeptSet>) {
        let mut shared = self.shared();
        shared.sets.retain(|known| known.text_hash != set.text_hash);
        if shared.sets.len() == SETS_IN_MEMORY_MAX {
            shared.sets.pop_front();
        }
        shared.sets.push_back(set);
    }

    /// It need not be kept here any more, unless it has come again since.
    fn is_on_disk(&self, set: &Arc<KeptSet>) {
        self.shared().sets.retain(|known| !Arc::ptr_eq(known, set));
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
