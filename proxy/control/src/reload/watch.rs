//! The folders watched, and what happened in them. The only file that names `notify`.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Message, POLL};

/// The folders are quiet when nothing happened in them for this long.
const QUIET: Duration = Duration::from_millis(20);

/// Longest wait for quiet: a log file in the same folder may never give any.
const QUIET_WAIT_MAX: Duration = Duration::from_millis(200);

/// Events between two looks at the clock, and the least time that they may take. Every file that is opened in the folder makes
/// one, and `notify` cannot be told to leave those out: an application whose files lie there would keep a thread busy. What
/// is not fetched in time is lost, and that is told as an event of its own, which is a reason to look.
const BURST: u32 = 64;
const BURST_TIME: Duration = Duration::from_millis(10);

/// Longest wait for a writer to close one of the files.
const WRITER_WAIT_MAX: Duration = Duration::from_millis(500);

/// What the watcher's thread has seen.
pub(super) struct Noticed {
    state: Mutex<NoticedState>,
    sender: SyncSender<Message>,
}

struct NoticedState {
    /// The reload thread knows that there is something to look at.
    told: bool,
    last: Instant,
    /// Files of the set, without links.
    files: BTreeSet<PathBuf>,
    /// Of these, written to and not closed since.
    being_written: HashSet<PathBuf>,
}

impl NoticedState {
    fn new() -> Self {
        Self { told: false, last: Instant::now(), files: BTreeSet::new(), being_written: HashSet::new() }
    }
}

impl Noticed {
    /// Nothing yet; `sender` wakes the reload thread.
    pub(super) fn new(sender: SyncSender<Message>) -> Self {
        Self { state: Mutex::new(NoticedState::new()), sender }
    }

    /// Whose writers are waited for.
    pub(super) fn set_files(&self, files: &BTreeSet<PathBuf>) {
        self.state().files.clone_from(files);
    }

    fn take_in(&self, event: &Event) {
        // Reading a file gives events too: acting on them would go round for ever.
        let closed = event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && !closed {
            return;
        }
        let mut state = self.state();
        state.last = Instant::now();
        for path in &event.paths {
            if closed {
                state.being_written.remove(path);
            } else if matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)))
                && state.files.contains(path)
            {
                state.being_written.insert(path.clone());
            }
        }
        self.tell(state);
    }

    /// Wakes the reload thread, once for all events until it looks.
    fn tell(&self, mut state: MutexGuard<'_, NoticedState>) {
        if !state.told {
            // A full inbox has the thread awake; it would miss this one only until the next poll.
            state.told = !matches!(self.sender.try_send(Message::Changed), Err(TrySendError::Full(_)));
        }
    }

    /// The next event wakes the thread again. Called before reading, so that nothing after it is missed.
    pub(super) fn listen_again(&self) {
        self.state().told = false;
    }

    /// Returns when nothing has happened for a moment and nobody has one of the files open for writing.
    pub(super) fn wait_for_quiet(&self) {
        let start = Instant::now();
        loop {
            let (quiet_at, written) = {
                let state = self.state();
                (state.last + QUIET, !state.being_written.is_empty())
            };
            let limit = start + if written { WRITER_WAIT_MAX } else { QUIET_WAIT_MAX };
            let now = Instant::now();
            if now >= limit || (now >= quiet_at && !written && now >= start + QUIET) {
                // Whoever still writes has had its time.
                self.state().being_written.clear();
                return;
            }
            thread::sleep(QUIET / 4);
        }
    }

    fn state(&self) -> MutexGuard<'_, NoticedState> {
        // The state is only a hint when to look; any of its values is a good one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How fast events are fetched.
#[derive(Default)]
struct Pace {
    events: u32,
    since: Option<Instant>,
}

impl Pace {
    /// Called after each event: waits when there are too many of them.
    fn keep(&mut self) {
        self.events += 1;
        if self.events < BURST {
            return;
        }
        let now = Instant::now();
        if let Some(early) = self.since.and_then(|since| BURST_TIME.checked_sub(now - since)) {
            thread::sleep(early);
        }
        *self = Self { events: 0, since: Some(now) };
    }
}

/// The folders watched now.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    refused: HashSet<PathBuf>,
}

impl Watch {
    /// `None`, with a warning, when the system gives no watcher: the poll remains.
    pub(super) fn new(noticed: Arc<Noticed>) -> Option<Self> {
        let mut pace = Pace::default();
        let handler = move |event: notify::Result<Event>| {
            match event {
                Ok(event) => noticed.take_in(&event),
                // Events were lost: look.
                Err(_) => noticed.tell(noticed.state()),
            }
            pace.keep();
        };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => Some(Self { watcher, folders: BTreeSet::new(), refused: HashSet::new() }),
            Err(error) => {
                tracing::warn!(
                    "cannot watch for changes, looking every {} s instead: {error}",
                    POLL.as_secs()
                );
                None
            }
        }
    }

    /// Watches exactly these folders; true when one is new.
    ///
    /// The known ones are asked for again: a folder that was removed and made anew under the same name needs a
    /// new watch, and asking twice for the same costs one system call.
    pub(super) fn set(&mut self, folders: BTreeSet<PathBuf>) -> bool {
        let gone: Vec<_> = self.folders.difference(&folders).cloned().collect();
        for folder in gone {
            // Fails when the folder itself is gone, and then there is nothing left to end.
            let _ = self.watcher.unwatch(&folder);
            self.folders.remove(&folder);
        }
        let mut any_new = false;
        for folder in folders {
            if self.watch(&folder) {
                any_new |= self.folders.insert(folder);
            }
        }
        any_new
    }

    fn watch(&mut self, folder: &Path) -> bool {
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.refused.remove(folder);
                true
            }
            Err(error) => {
                if self.refused.insert(folder.to_owned()) {
                    let folder = folder.display();
                    tracing::warn!(
                        "cannot watch {folder}, looking every {} s instead: {error}",
                        POLL.as_secs()
                    );
                }
                self.folders.remove(folder);
                false
            }
        }
    }
}
