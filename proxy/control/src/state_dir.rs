//! The folder of `--state-dir`: the history as JSON lines, and the file sets it speaks of.
//!
//! ```text
//! lock               held by the proxy that writes here
//! history.jsonl      one line per swap, appended; history.1.jsonl holds the lines before
//! progress.jsonl     how far the migration was when (`crate::timeline`); progress.1.jsonl holds the lines before
//! evidence.sqlite    what comparisons found (`crate::evidence`), with its journal beside it while it is open
//! sets/HASH.json     a file set as it was applied, by the hash of its text
//! ```

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::api::{HistoryEntry, KeptSet};

/// Most file sets kept.
pub(crate) const SETS_MAX: usize = 200;

/// A history file longer than this is put aside, and replaces the one put aside before.
const HISTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why the folder cannot be used.
#[derive(Debug)]
pub enum StateDirError {
    /// Another proxy writes here.
    InUse {
        /// The folder.
        path: PathBuf,
        /// Process id of the holder, if it could be read.
        holder: Option<String>,
    },
    /// It cannot be made, locked or written.
    Unusable {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for StateDirError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { path, holder } => {
                let holder = holder.as_deref().unwrap_or("unknown");
                write!(
                    out,
                    "state directory in use by another banyan (process {holder}): {}",
                    path.display()
                )?;
                write!(out, "\nhint: give each proxy its own `--state-dir`")
            }
            Self::Unusable { path, error } => {
                write!(out, "cannot use state directory {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for StateDirError {}

/// The folder, locked for this process, and not read yet: a process that lends its lock still writes here.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held open: when the last process that holds it closes it, the lock is free.
    lock: File,
}

/// The folder, and the history open for appending. One process at a time.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    history: File,
    /// The last write failed and may have left half a line.
    torn: bool,
    _lock: File,
}

impl Folder {
    /// Makes the folder where needed, and locks it. `lent` is the lock that another process holds and lends to this one.
    pub(crate) fn hold(path: &Path, lent: Option<File>) -> Result<Self, StateDirError> {
        let unusable = |at: &Path, error| StateDirError::Unusable { path: at.to_owned(), error };
        let sets = path.join("sets");
        // Files may hold addresses and names that are nobody else's business.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&sets);
        made.map_err(|error| unusable(path, error))?;
        let lent = lent.filter(|lock| is_lock_of(path, lock));
        let is_shared = lent.is_some();
        let lock = lent.map_or_else(|| take_lock(path), Ok)?;
        if !is_shared {
            remove_unfinished(&sets);
        }
        Ok(Self { path: path.to_owned(), lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lock once more, to lend it or to sign it.
    pub(crate) fn lock(&self) -> io::Result<File> {
        self.lock.try_clone()
    }
}

impl StateDir {
    /// Opens the history, and ends a last line torn by a crash. No other process writes here any more.
    pub(crate) fn open(folder: Folder) -> Result<Self, StateDirError> {
        let Folder { path, lock } = folder;
        let name = path.join("history.jsonl");
        let history = open_history(&name).map_err(|error| StateDirError::Unusable { path: name, error })?;
        Ok(Self { path, history, torn: false, _lock: lock })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Entries on disk, oldest first, and how many lines could not be read.
    pub(crate) fn entries(&self) -> io::Result<(Vec<HistoryEntry>, usize)> {
        let mut entries = Vec::new();
        let mut skipped = 0;
        for name in ["history.1.jsonl", "history.jsonl"] {
            let bytes = match fs::read(self.path.join(name)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                match serde_json::from_slice(line) {
                    Ok(entry) => entries.push(entry),
                    Err(_) => skipped += 1,
                }
            }
        }
        Ok((entries, skipped))
    }

    /// Appends one line and waits for the disk.
    pub(crate) fn append(&mut self, entry: &HistoryEntry) -> io::Result<()> {
        if self.history.metadata()?.len() > HISTORY_BYTES_MAX {
            let name = self.path.join("history.jsonl");
            fs::rename(&name, self.path.join("history.1.jsonl"))?;
            self.history = open_history(&name)?;
        }
        let mut line = if self.torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        let written = self.history.write_all(&line).and_then(|()| self.history.sync_data());
        self.torn = written.is_err();
        written
    }

    /// Keeps a file set, whole or not at all, and lets go of the ones applied longest ago.
    pub(crate) fn keep(&self, set: &KeptSet) -> io::Result<()> {
        let folder = self.path.join("sets");
        let unfinished = folder.join(format!("{}.new", set.text_hash));
        let mut file = ours().write(true).truncate(true).create(true).open(&unfinished)?;
        file.write_all(&serde_json::to_vec(set)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, set_path(&self.path, &set.text_hash))?;
        File::open(&folder)?.sync_all()?;
        forget_oldest(&folder)
    }
}

/// A kept set by its hash; `None` when it is not kept, or `hash` is no hash.
pub(crate) fn kept(state_dir: &Path, hash: &str) -> io::Result<Option<KeptSet>> {
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_hash {
        return Ok(None);
    }
    match fs::read(set_path(state_dir, hash)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn set_path(state_dir: &Path, hash: &str) -> PathBuf {
    state_dir.join("sets").join(format!("{hash}.json"))
}

/// A file made with these is readable by its owner alone.
fn ours() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

fn take_lock(folder: &Path) -> Result<File, StateDirError> {
    let path = folder.join("lock");
    let unusable = |error| StateDirError::Unusable { path: path.clone(), error };
    let opened = ours().read(true).write(true).create(true).truncate(false).open(&path);
    let lock = opened.map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: without it the message says "unknown".
            let _ = lock.take(20).read_to_string(&mut holder);
            let holder = Some(holder.trim().to_owned()).filter(|text| !text.is_empty());
            return Err(StateDirError::InUse { path: folder.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    sign(&lock).map_err(unusable)?;
    Ok(lock)
}

/// Writes into the lock who holds it: for the message that another process gives.
pub(crate) fn sign(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

/// Whether this is the lock of this very folder: the new process may have been told another one.
fn is_lock_of(folder: &Path, lock: &File) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (ours, lent) = (fs::metadata(folder.join("lock")).map(identity), lock.metadata().map(identity));
    matches!((ours, lent), (Ok(ours), Ok(lent)) if ours == lent)
}

/// Opens for appending. A last line without its end was torn by a crash: it gets one, so that the next line
/// stands alone.
fn open_history(name: &Path) -> io::Result<File> {
    let mut file = ours().read(true).append(true).create(true).open(name)?;
    let length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(io::SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// What a crash left half written. Only the holder of the lock writes here, so nobody needs it any more.
fn remove_unfinished(sets: &Path) {
    let Ok(listing) = fs::read_dir(sets) else { return };
    for path in listing.flatten().map(|item| item.path()).filter(|path| has_extension(path, "new")) {
        // A leftover that stays costs only its space.
        let _ = fs::remove_file(path);
    }
}

/// Applying a set again writes it again, so the time of writing is the time of the last use.
fn forget_oldest(folder: &Path) -> io::Result<()> {
    let mut sets: Vec<(SystemTime, PathBuf)> = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        if has_extension(&item.path(), "json") {
            sets.push((item.metadata()?.modified()?, item.path()));
        }
    }
    sets.sort();
    let surplus = sets.len().saturating_sub(SETS_MAX);
    sets.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use super::*;
    use crate::api::HistoryKind;

    fn entry() -> HistoryEntry {
        HistoryEntry {
            at: String::new(),
            generation: 1,
            before: None,
            after: String::new(),
            text_hash: String::new(),
            text_hash_before: None,
            kind: HistoryKind::Start,
            who: "ann".to_owned(),
            why: None,
            changes: Vec::new(),
            routes: Vec::new(),
        }
    }

    #[test]
    fn half_a_line_does_not_eat_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = StateDir::open(Folder::hold(folder.path(), None).unwrap()).unwrap();
        // As a disk does that is full in the middle of a line.
        disk.history.write_all(b"{\"at\":").unwrap();
        disk.torn = true;
        disk.append(&entry()).unwrap();
        disk.append(&entry()).unwrap();
        let (entries, skipped) = disk.entries().unwrap();
        assert_eq!((entries.len(), skipped), (2, 1));
    }

    /// As from one process to the next: the lock is held all the while, and names its last owner.
    #[test]
    fn a_lent_lock_is_held_by_both() {
        let folder = tempfile::tempdir().unwrap();
        let first = Folder::hold(folder.path(), None).unwrap();
        fs::write(folder.path().join("lock"), "12345678\n").unwrap();
        let second = Folder::hold(folder.path(), first.lock().ok()).unwrap();
        sign(&second.lock().unwrap()).unwrap();
        drop(first);
        let holder = match Folder::hold(folder.path(), None) {
            Err(StateDirError::InUse { holder, .. }) => holder,
            other => panic!("{other:?}"),
        };
        assert_eq!(holder, Some(std::process::id().to_string()));
        drop(second);
        Folder::hold(folder.path(), None).unwrap();
    }

    #[test]
    fn the_lock_of_another_folder_does_not_count() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lent = Folder::hold(one.path(), None).unwrap();
        let _held = Folder::hold(other.path(), None).unwrap();
        let second = Folder::hold(other.path(), lent.lock().ok());
        assert!(matches!(second, Err(StateDirError::InUse { .. })), "{second:?}");
    }

    #[test]
    fn what_is_written_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let disk = StateDir::open(Folder::hold(&state, None).unwrap()).unwrap();
        let file_set = banyan_routes::FileSet {
            main: banyan_routes::SourceFile { name: "routes.toml".to_owned(), text: String::new() },
            included: Vec::new(),
        };
        disk.keep(&crate::history::kept_set(&file_set, "0")).unwrap();
        let mode = |name: &str| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("sets")), (0o700, 0o700));
        assert_eq!((mode("history.jsonl"), mode("lock"), mode("sets/0.json")), (0o600, 0o600, 0o600));
    }
}
