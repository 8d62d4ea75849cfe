//! Sees that the files changed, and hands them on once they have come to rest.
//!
//! Three things wake it: an event in a folder on the way to one of the files, a look every two seconds for
//! what no event told, and a request (SIGHUP, `POST /api/v1/reload`). Text that was already tried is not
//! tried again. All of it happens on one thread of its own, far from requests. `watch` is what an event is.

mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use banyan_routes::FileSet;
use tokio::sync::oneshot;

use crate::absence::Absence;
use crate::api::{EndRollback, Reload, Rollback, RolledBack};
use crate::files::{self, ReadError};
use crate::places::places;
use crate::swap::{NoSuchRoute, Swap};
use watch::{Noticed, Watch};

/// The safety net under the events.
const POLL: Duration = Duration::from_secs(2);

/// Readings until two in a row agree.
const READINGS_MAX: usize = 5;

/// While a file is gone, and how soon that is called a failure.
const MISSING_RETRY: Duration = Duration::from_millis(50);
const MISSING_SAID_AFTER: Duration = Duration::from_secs(1);

/// Requests waiting for the reload thread.
const WAITING_MAX: usize = 64;

/// The reload thread; ends when dropped.
pub(crate) struct Reloader {
    handle: ReloadHandle,
    thread: Option<JoinHandle<()>>,
}

/// Asks the reload thread for something. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ReloadHandle {
    sender: SyncSender<Message>,
}

/// The reload thread has too much to do, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

enum Message {
    /// Something happened in a watched folder.
    Changed,
    /// Load now, even what was already tried.
    Reload(oneshot::Sender<Reload>),
    /// Shares to 0, in memory.
    Rollback(Rollback, oneshot::Sender<Result<RolledBack, NoSuchRoute>>),
    /// What the files mean is in force again.
    EndRollback(EndRollback, oneshot::Sender<RolledBack>),
    /// End.
    Stop,
}

impl Reloader {
    /// Starts the thread. Without a main file it only answers requests.
    pub(crate) fn start(main: Option<PathBuf>, swap: Swap) -> std::io::Result<Self> {
        let (sender, inbox) = sync_channel(WAITING_MAX);
        let noticed = Arc::new(Noticed::new(sender.clone()));
        let watch = main.as_ref().and_then(|_| Watch::new(Arc::clone(&noticed)));
        let tried = swap.files().map(|files| Tried::Text(files::text_hash(files)));
        let mut worker = Worker {
            main,
            swap,
            inbox,
            noticed,
            watch,
            tried,
            missing: None,
            absence: Absence::default(),
            last_read: None,
        };
        // Before the first edit can come: from here on nothing is missed.
        worker.watch_places();
        let thread = thread::Builder::new().name("reload".to_owned()).spawn(move || worker.run())?;
        Ok(Self { handle: ReloadHandle { sender }, thread: Some(thread) })
    }

    /// Ends without waiting for a slow disk: the process is about to go.
    pub(crate) fn abandon(mut self) {
        self.thread = None;
    }

    /// A handle to ask with.
    pub(crate) fn handle(&self) -> ReloadHandle {
        self.handle.clone()
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        // A full inbox is worked off, so this waits no longer than one reload; a dead thread is an error here.
        if let Some(thread) = self.thread.take() {
            let _ = self.handle.sender.send(Message::Stop);
            let _ = thread.join();
        }
    }
}

impl ReloadHandle {
    /// Loads the files now; the answer comes when it is done.
    pub(crate) fn reload(&self) -> Result<oneshot::Receiver<Reload>, Busy> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Message::Reload(answer)).map(|()| receiver)
    }

    /// Puts the floor in force.
    pub(crate) fn rollback(
        &self,
        order: Rollback,
    ) -> Result<oneshot::Receiver<Result<RolledBack, NoSuchRoute>>, Busy> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Message::Rollback(order, answer)).map(|()| receiver)
    }

    /// Ends the floor.
    pub(crate) fn end_rollback(&self, order: EndRollback) -> Result<oneshot::Receiver<RolledBack>, Busy> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Message::EndRollback(order, answer)).map(|()| receiver)
    }

    fn ask(&self, message: Message) -> Result<(), Busy> {
        self.sender.try_send(message).map_err(|_| Busy)
    }
}

/// What was last tried, to know it again.
#[derive(PartialEq, Eq)]
enum Tried {
    Text(String),
    /// Content that cannot be read, or files missing for too long.
    Failed(String),
}

struct Worker {
    main: Option<PathBuf>,
    swap: Swap,
    inbox: Receiver<Message>,
    noticed: Arc<Noticed>,
    watch: Option<Watch>,
    tried: Option<Tried>,
    /// Since when a file has been missing.
    missing: Option<Instant>,
    absence: Absence,
    /// As last read, good or bad: a refused set is mended in its own folders.
    last_read: Option<FileSet>,
}

/// A file set with its hash, or why there is none.
type Reading = Result<(FileSet, String), ReadError>;

impl Worker {
    fn run(mut self) {
        let mut poll_at = Instant::now() + POLL;
        // The files may have changed between their first reading and the first watch.
        let _ = self.guarded(Self::look);
        loop {
            let retry_at = self.is_newly_missing().then(|| Instant::now() + MISSING_RETRY);
            let wake_at = retry_at.map_or(poll_at, |retry_at| retry_at.min(poll_at));
            let message = self.inbox.recv_timeout(wake_at.saturating_duration_since(Instant::now()));
            match message {
                // In a folder that is never quiet this also bounds how often we look.
                Ok(Message::Changed) => self.noticed.wait_for_quiet(),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Reload(answer)) => {
                    // Whoever asked may have gone away.
                    if let Some(done) = self.guarded(Self::reload_now) {
                        let _ = answer.send(done);
                    }
                }
                Ok(Message::Rollback(order, answer)) => {
                    // Without an answer, whoever asked hears that the thread is busy.
                    if let Some(done) = self.guarded(|worker| worker.rollback(order)) {
                        let _ = answer.send(done);
                    }
                }
                Ok(Message::EndRollback(order, answer)) => {
                    if let Some(done) = self.guarded(|worker| worker.swap.end_rollback(order)) {
                        let _ = answer.send(done);
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= poll_at {
                poll_at = Instant::now() + POLL;
                self.absence.tick();
            }
            let _ = self.guarded(Self::look);
        }
    }

    /// A panic must not end reloading: it is refused like a bad file, once until something else comes.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        // A swap ends with one assignment each of table and files: half of one is a good state to go on from.
        let done = catch_unwind(AssertUnwindSafe(|| act(self))).ok();
        if done.is_none() {
            let panicked = Some(Tried::Failed("panicked".to_owned()));
            if self.tried != panicked {
                self.tried = panicked;
                let main = self.main.clone().unwrap_or_default();
                self.swap.panicked(&main);
            }
        }
        done
    }

    /// The floor at once; then what was saved before it, which does not lift it. Answered after that, so that
    /// whatever is saved after the answer does.
    fn rollback(&mut self, order: Rollback) -> Result<RolledBack, NoSuchRoute> {
        let answer = self.swap.rollback(order.clone())?;
        self.swap.hold(order);
        // A panic in there must not leave the hold behind.
        let _ = self.guarded(Self::look);
        Ok(self.swap.release(answer))
    }

    /// Reads and tries what is new. A folder that came into view meanwhile may have changed before its watch
    /// began, hence the second look.
    fn look(&mut self) {
        self.look_once();
        if self.watch_places() {
            self.look_once();
        }
    }

    fn look_once(&mut self) {
        let Some(main) = self.main.clone() else { return };
        self.noticed.listen_again();
        let first = self.read(&main);
        if self.is_known(&first) {
            self.missing = None;
            return;
        }
        match self.come_to_rest(&main, first) {
            Ok(read) => self.try_text(read),
            Err(error) if error.is_content() => self.try_failed(&main, &error),
            Err(error) => self.still_missing(&main, &error),
        }
    }

    fn try_text(&mut self, (files, hash): (FileSet, String)) {
        self.missing = None;
        if self.tried.as_ref() != Some(&Tried::Text(hash.clone())) {
            self.tried = Some(Tried::Text(hash.clone()));
            self.swap.attempt(files, hash);
        }
    }

    fn try_failed(&mut self, main: &Path, error: &ReadError) {
        let failed = Some(Tried::Failed(error.to_string()));
        if self.tried != failed {
            self.tried = failed;
            self.swap.unreadable(main, error);
        }
    }

    /// A file that is gone is about to come back: only after a while is it called a failure.
    fn still_missing(&mut self, main: &Path, error: &ReadError) {
        let since = *self.missing.get_or_insert_with(Instant::now);
        if since.elapsed() >= MISSING_SAID_AFTER {
            self.try_failed(main, error);
        }
    }

    fn is_newly_missing(&self) -> bool {
        self.missing.is_some_and(|since| since.elapsed() < MISSING_SAID_AFTER + MISSING_RETRY)
    }

    /// Asked for by somebody: tried even if it was tried before, and answered.
    fn reload_now(&mut self) -> Reload {
        let Some(main) = self.main.clone() else { return self.swap.no_file() };
        self.noticed.listen_again();
        let first = self.read(&main);
        match self.come_to_rest(&main, first) {
            Ok((files, hash)) => {
                self.missing = None;
                self.tried = Some(Tried::Text(hash.clone()));
                self.swap.attempt(files, hash)
            }
            Err(error) => {
                self.tried = Some(Tried::Failed(error.to_string()));
                self.swap.unreadable(&main, &error)
            }
        }
    }

    fn is_known(&self, reading: &Reading) -> bool {
        match (reading, &self.tried) {
            (Ok((_, hash)), Some(Tried::Text(tried))) => hash == tried,
            _ => false,
        }
    }

    /// Reads until nobody writes any more and two readings in a row agree.
    fn come_to_rest(&mut self, main: &Path, mut last: Reading) -> Reading {
        for _ in 0..READINGS_MAX {
            self.noticed.wait_for_quiet();
            let next = self.read(main);
            if same(&last, &next) {
                return next;
            }
            last = next;
        }
        last
    }

    fn read(&mut self, main: &Path) -> Reading {
        let mut files = files::read(main, self.swap.variables())?;
        let mut hash = files::text_hash(&files);
        // A command that removes a file says so: there is nothing to wait for.
        if !self.swap.is_announced(&hash) {
            files = self.absence.fill(files, self.swap.files(), self.swap.variables());
            hash = files::text_hash(&files);
        }
        self.last_read = Some(files.clone());
        Ok((files, hash))
    }

    /// Watches the folders that matter now; true when one is new.
    fn watch_places(&mut self) -> bool {
        let Some(main) = &self.main else { return false };
        let sets = [self.swap.files(), self.last_read.as_ref()];
        let found = places(main, sets.into_iter().flatten(), self.swap.variables());
        self.noticed.set_files(&found.files);
        self.watch.as_mut().is_some_and(|watch| watch.set(found.folders))
    }
}

fn same(one: &Reading, two: &Reading) -> bool {
    match (one, two) {
        (Ok((_, one)), Ok((_, two))) => one == two,
        (Err(one), Err(two)) => one.to_string() == two.to_string(),
        _ => false,
    }
}
