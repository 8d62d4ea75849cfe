//! The burn-down on disk: `progress.jsonl` in the state directory, a line per point. A thread of its own waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::Timeline;
use crate::api::ProgressPoint;

/// A file longer than this is put aside, and replaces the one put aside before: some forty thousand points.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Points waiting for the disk.
const WAITING_MAX: usize = 64;

/// Longest wait for the disk at the end.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Keeps points. Dropped, it waits until they are written, but not for long.
pub(crate) struct Diary {
    lines: Option<SyncSender<ProgressPoint>>,
    ended: Receiver<()>,
}

/// Reads what is there into the timeline, and keeps what comes. Without a folder the burn-down is the process's.
pub(crate) fn open(folder: Option<&Path>, timeline: &Timeline) -> Option<Diary> {
    let Some(folder) = folder else {
        let problem = "without `--state-dir` the burn-down begins with the process".to_owned();
        timeline.remember(Vec::new(), Some(problem));
        return None;
    };
    let failed = |error: io::Error| {
        let problem = format!("the burn-down is not kept in {}: {error}", folder.display());
        tracing::warn!("{problem}");
        problem
    };
    let (points, unread) = read(folder);
    timeline.remember(points, unread.map(failed));
    Diary::start(folder.to_owned(), timeline.clone())
        .map_err(|error| timeline.set_problem(Some(failed(error))))
        .ok()
}

impl Diary {
    fn start(folder: PathBuf, timeline: Timeline) -> io::Result<Self> {
        let (lines, inbox) = sync_channel(WAITING_MAX);
        let (ending, ended) = sync_channel(0);
        thread::Builder::new().name("progress".to_owned()).spawn(move || {
            write_all(&folder, &inbox, &timeline);
            drop(ending);
        })?;
        Ok(Self { lines: Some(lines), ended })
    }

    /// False when the disk is too slow for one more.
    pub(crate) fn keep(&self, point: ProgressPoint) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.try_send(point).is_ok())
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        self.lines = None;
        // An error means that the thread has ended, which is what is waited for.
        let _ = self.ended.recv_timeout(END_WITHIN);
    }
}

fn write_all(folder: &Path, inbox: &Receiver<ProgressPoint>, timeline: &Timeline) {
    let mut is_torn = false;
    for point in inbox {
        let written = append(folder, point, is_torn);
        is_torn = written.is_err();
        timeline.set_problem(written.err().map(|error| {
            let problem = format!("the burn-down is not kept in {}: {error}", folder.display());
            tracing::warn!("{problem}");
            problem
        }));
    }
}

/// One line an hour: the file is opened for each.
fn append(folder: &Path, point: ProgressPoint, is_torn: bool) -> io::Result<()> {
    let name = folder.join("progress.jsonl");
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&name);
    let mut file: File = open()?;
    let length = file.metadata()?.len();
    if length > BYTES_MAX {
        fs::rename(&name, folder.join("progress.1.jsonl"))?;
        file = open()?;
    }
    let mut line = if is_torn { b"\n".to_vec() } else { Vec::new() };
    serde_json::to_writer(&mut line, &point)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Points on disk, oldest first; a line that cannot be read is left out.
fn read(folder: &Path) -> (Vec<ProgressPoint>, Option<io::Error>) {
    let (mut points, mut problem) = (Vec::new(), None);
    for name in ["progress.1.jsonl", "progress.jsonl"] {
        match fs::read(folder.join(name)) {
            Ok(bytes) => {
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                points.extend(lines.filter_map(|line| serde_json::from_slice::<ProgressPoint>(line).ok()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => problem = Some(error),
        }
    }
    (points, problem)
}
