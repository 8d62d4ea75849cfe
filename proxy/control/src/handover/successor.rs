//! The side of the running process.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, send, sendmsg, socketpair,
};

use super::{FORM, Hello, LENT_MAX, Lent, READY, VARIABLE, YOURS};

/// Reading the configuration and opening the state directory take well under a second.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Why the new process does not take over. The running one goes on as if nothing had been asked.
#[derive(Debug)]
pub(crate) enum UpgradeError {
    /// The program file cannot be started.
    Start {
        /// Which.
        program: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The sockets cannot be lent.
    Lend(io::Error),
    /// More listening sockets than can be lent at a time.
    TooMany,
    /// The new process ended.
    Ended(ExitStatus),
    /// The new process says nothing in time, and was ended.
    Silent,
    /// A rollback was ordered meanwhile, and is held in memory.
    Floor,
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, error } => write!(out, "cannot start {}: {error}", program.display()),
            Self::Lend(error) => write!(out, "cannot lend the sockets: {error}"),
            Self::TooMany => write!(out, "cannot lend more than {LENT_MAX} sockets"),
            Self::Ended(status) => write!(out, "the new process ended ({status}), the log says why"),
            Self::Silent => {
                write!(out, "the new process was not ready within {} s and was ended", READY_WITHIN.as_secs())
            }
            Self::Floor => {
                write!(
                    out,
                    "a rollback was ordered meanwhile and is held in memory, the new process was ended"
                )
            }
        }
    }
}

impl std::error::Error for UpgradeError {}

/// What this process was started as: by name, so that what is installed there later is what an upgrade starts.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Of this process. Asked at the start, while the working folder and the file are those of the start.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = arguments.next().map(PathBuf::from).unwrap_or_default();
        let path = if name.components().count() > 1 {
            path::absolute(&name)?
        } else {
            in_search_path(&name).map_or_else(std::env::current_exe, Ok)?
        };
        Ok(Self { path, arguments: arguments.collect() })
    }
}

fn in_search_path(name: &Path) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())?;
    path::absolute(found).ok()
}

/// A new process that was lent the sockets. Ended when dropped, unless it has taken over.
#[derive(Debug)]
pub(crate) struct Successor {
    child: Child,
    channel: OwnedFd,
    has_taken_over: bool,
}

impl Successor {
    /// Starts it. Waits for it in [`Successor::wait_until_ready`].
    pub(crate) fn start(program: &Program, lent: &Lent) -> Result<Self, UpgradeError> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (channel, theirs) = pair.map_err(|error| UpgradeError::Lend(error.into()))?;
        let started = Command::new(&program.path)
            .args(&program.arguments)
            .env(VARIABLE, "1")
            .stdin(Stdio::from(theirs))
            .spawn();
        let child = started.map_err(|error| UpgradeError::Start { program: program.path.clone(), error })?;
        let mut successor = Self { child, channel, has_taken_over: false };
        match lend(&successor.channel, lent) {
            Ok(()) => Ok(successor),
            // A process that ended at once is the better explanation.
            Err(error) => Err(successor.exit_status().map_or(error, UpgradeError::Ended)),
        }
    }

    /// Its id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Blocks until it serves, but not for ever.
    pub(crate) fn wait_until_ready(&mut self) -> Result<(), UpgradeError> {
        let limited = set_socket_timeout(&self.channel, Timeout::Recv, Some(READY_WITHIN));
        limited.map_err(|error| UpgradeError::Lend(error.into()))?;
        let mut said = [0; READY.len()];
        match retry_on_intr(|| recv(&self.channel, &mut said, RecvFlags::empty())) {
            Ok((_, length)) if length > 0 && said == READY => Ok(()),
            Err(error) if error == rustix::io::Errno::AGAIN => Err(UpgradeError::Silent),
            _ => {
                // It has closed its end, so it ends.
                self.child.wait().map_or(Err(UpgradeError::Silent), |status| Err(UpgradeError::Ended(status)))
            }
        }
    }

    /// Tells it that what only one process may do is its own now. From here on this process only drains.
    pub(crate) fn hand_over(mut self) -> io::Result<()> {
        self.has_taken_over = true;
        send(&self.channel, YOURS, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if !self.has_taken_over {
            // It may have ended by itself.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Sends the first message.
pub(super) fn lend(channel: &OwnedFd, lent: &Lent) -> Result<(), UpgradeError> {
    let (names, descriptors) = lent.named();
    if descriptors.len() > LENT_MAX {
        return Err(UpgradeError::TooMany);
    }
    let hello = Hello { form: FORM, process: std::process::id(), names };
    let text = serde_json::to_vec(&hello).map_err(|error| UpgradeError::Lend(error.into()))?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LENT_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let sent = sendmsg(channel, &[IoSlice::new(&text)], &mut beside, SendFlags::NOSIGNAL);
    sent.map(drop).map_err(|error| UpgradeError::Lend(error.into()))
}
