//! The thread that waits for the disk of the history, so that nobody else does.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::HistoryView;
use crate::api::{HistoryEntry, KeptSet};
use crate::state_dir::StateDir;

/// Swaps waiting for the disk. Fewer than file sets kept in memory, where they can be read meanwhile.
const WAITING_MAX: usize = 16;
const _: () = assert!(WAITING_MAX < super::SETS_IN_MEMORY_MAX);

/// Longest wait for the disk at the end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// What is to be written: the files first, because an entry on disk speaks of files that are there.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) set: Option<Arc<KeptSet>>,
    pub(super) entry: Option<HistoryEntry>,
}

/// Hands jobs to the thread. Dropped, it waits until they are written, but not for ever.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Job>>,
    ended: Receiver<()>,
}

/// Too many jobs wait, or the thread has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind;

impl Writer {
    /// Starts the thread, which takes the folder and its lock along.
    pub(super) fn start(disk: StateDir, view: HistoryView) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel(WAITING_MAX);
        let (ending, ended) = sync_channel(0);
        thread::Builder::new().name("history".to_owned()).spawn(move || {
            work(disk, &view, &inbox);
            // Dropped last: whoever waits for the end may open the folder anew.
            drop(ending);
        })?;
        Ok(Self { jobs: Some(jobs), ended })
    }

    /// Takes the job on, or says at once that it cannot.
    pub(super) fn write(&self, job: Job) -> Result<(), Behind> {
        self.jobs.as_ref().ok_or(Behind)?.try_send(job).map_err(|_| Behind)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if self.ended.recv_timeout(END_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk of the history did not take its last lines in time");
        }
    }
}

fn work(mut disk: StateDir, view: &HistoryView, inbox: &Receiver<Job>) {
    for job in inbox {
        let problem = write(&mut disk, &job).err();
        let problem = problem
            .map(|error| format!("cannot write to state directory {}: {error}", disk.path().display()));
        match (&problem, &job.set) {
            (Some(problem), _) => tracing::warn!("{problem}; the history stays in memory"),
            (None, Some(set)) => view.is_on_disk(set),
            (None, None) => {}
        }
        view.set_problem(problem);
    }
}

/// A failure of one does not keep the other.
fn write(disk: &mut StateDir, job: &Job) -> io::Result<()> {
    let kept = job.set.as_ref().map_or(Ok(()), |set| disk.keep(set));
    let appended = job.entry.as_ref().map_or(Ok(()), |entry| disk.append(entry));
    kept.and(appended)
}
