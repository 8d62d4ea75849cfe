//! Where lines go, and what happens when they cannot.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::gateway::AccessLogTarget;

/// Bytes gathered before they are written although more lines wait.
const FULL: usize = 64 * 1024;

/// A file that fails is opened anew at most this often: the disk may be another one by now.
const REOPEN_EVERY: Duration = Duration::from_secs(1);

/// A file or standard output, with the lines not yet written.
pub(super) struct Output {
    file: File,
    path: Option<PathBuf>,
    buffer: Vec<u8>,
    /// The target holds the begin of a line whose end was lost.
    is_torn: bool,
    failing_since: Option<Instant>,
    reopened: Option<Instant>,
}

impl Output {
    pub(super) fn open(target: &AccessLogTarget) -> io::Result<Self> {
        Ok(match target {
            AccessLogTarget::Stdout => Self::new(standard_output()?, None),
            AccessLogTarget::File(path) => Self::new(open(path)?, Some(path.clone())),
        })
    }

    pub(super) fn new(file: File, path: Option<PathBuf>) -> Self {
        let buffer = Vec::with_capacity(FULL);
        Self { file, path, buffer, is_torn: false, failing_since: None, reopened: None }
    }

    /// Where whole lines are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Opens a file anew under its name. On failure the open one stays.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match open(path) {
            Ok(file) => {
                self.file = file;
                self.is_torn = false;
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "access log not reopened, the old file stays in use");
            }
        }
    }

    #[cfg(test)]
    pub(super) fn mark_torn(&mut self) {
        self.is_torn = true;
    }

    /// Writes what was gathered. Returns how many lines were lost, which are gone for good: to keep them would only
    /// lose later ones.
    pub(super) fn flush(&mut self, now: Instant) -> u64 {
        if self.buffer.is_empty() {
            return 0;
        }
        self.try_another_file(now);
        if self.is_torn {
            self.buffer.insert(0, b'\n');
        }
        let (written, failure) = write_out(&mut self.file, &self.buffer);
        let ended_well = written == 0 || self.buffer[written - 1] == b'\n';
        self.is_torn = if written == 0 { self.is_torn } else { !ended_well };
        let lost = lines_in(&self.buffer[written..]) - u64::from(written == 0 && self.buffer[0] == b'\n');
        self.buffer.clear();
        self.note(failure, now);
        lost
    }

    fn try_another_file(&mut self, now: Instant) {
        let is_due = |last: Instant| now.duration_since(last) >= REOPEN_EVERY;
        if self.path.is_some() && self.failing_since.is_some() && self.reopened.is_none_or(is_due) {
            self.reopened = Some(now);
            let torn = self.is_torn;
            self.reopen();
            // The same file, most likely: a line end too many does no harm, one too few does.
            self.is_torn = torn;
        }
    }

    /// Says once that writing fails, and once that it works again.
    fn note(&mut self, failure: Option<io::Error>, now: Instant) {
        match (failure, self.failing_since) {
            (Some(error), None) => {
                tracing::warn!(%error, "access log cannot be written, lines are dropped and counted");
                self.failing_since = Some(now);
            }
            (None, Some(since)) => {
                let seconds = now.duration_since(since).as_secs();
                tracing::warn!(seconds, "access log is written again");
                self.failing_since = None;
                self.reopened = None;
            }
            _ => {}
        }
    }
}

/// Bytes written, and why no more.
fn write_out(file: &mut File, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Some(ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (written, Some(error)),
        }
    }
    (written, None)
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

/// Readable by owner and group only: the log holds addresses of people.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

/// Without the buffer and the lock of `std::io::stdout`: this thread writes whole lines.
#[cfg(unix)]
fn standard_output() -> io::Result<File> {
    use std::os::fd::AsFd as _;
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;
    Ok(io::stdout().as_handle().try_clone_to_owned()?.into())
}
