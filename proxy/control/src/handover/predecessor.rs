//! The side of the new process.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recv, recvmsg, send,
};

use super::{FORM, HELLO_BYTES_MAX, Hello, LENT_MAX, Lent, READY, VARIABLE, YOURS};

/// The old process says what it lends right after it has started this one.
const GREETED_WITHIN: Duration = Duration::from_secs(30);

/// Why a process that was started to take over does not.
#[derive(Debug)]
pub enum HandoverError {
    /// Standard input is not the socket of a running proxy.
    NoPredecessor(io::Error),
    /// The running proxy speaks a form that this build does not know.
    Form,
    /// The running proxy ended, or gave up, before it had handed over.
    Alone,
}

impl fmt::Display for HandoverError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPredecessor(error) => {
                write!(out, "{VARIABLE} is set, and standard input leads to no running banyan: {error}")?;
                write!(out, "\nhint: unset {VARIABLE}; only `banyan upgrade` sets it")
            }
            Self::Form => {
                write!(out, "the running banyan hands over in a form that this one does not know")?;
                write!(out, "\nhint: stop it, then start this one")
            }
            Self::Alone => write!(out, "the running banyan gave up before it had handed over"),
        }
    }
}

impl std::error::Error for HandoverError {}

/// The running process, which goes on until it is told that this one serves.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: OwnedFd,
    process: u32,
}

/// The process that started this one to take over, and what it lends; `None` for an ordinary start.
pub(crate) fn predecessor() -> Result<Option<(Predecessor, Lent)>, HandoverError> {
    if std::env::var_os(VARIABLE).is_none_or(|value| value.is_empty()) {
        return Ok(None);
    }
    let channel = io::stdin().as_fd().try_clone_to_owned().map_err(HandoverError::NoPredecessor)?;
    Predecessor::greeted_by(channel).map(Some)
}

impl Predecessor {
    /// Reads the first message.
    pub(super) fn greeted_by(channel: OwnedFd) -> Result<(Self, Lent), HandoverError> {
        let lost = |error: rustix::io::Errno| HandoverError::NoPredecessor(error.into());
        set_socket_timeout(&channel, Timeout::Recv, Some(GREETED_WITHIN)).map_err(lost)?;
        let mut text = vec![0; HELLO_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LENT_MAX))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            recvmsg(&channel, &mut [IoSliceMut::new(&mut text)], &mut beside, RecvFlags::CMSG_CLOEXEC)
        });
        let received = received.map_err(lost)?;
        if received.bytes == 0 {
            return Err(HandoverError::Alone);
        }
        let descriptors: Vec<OwnedFd> = beside.drain().flat_map(rights).collect();
        let hello: Hello =
            serde_json::from_slice(&text[..received.bytes]).map_err(|_| HandoverError::Form)?;
        let is_whole = !received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
            && descriptors.len() == hello.names.len();
        if hello.form != FORM || !is_whole {
            return Err(HandoverError::Form);
        }
        Ok((Self { channel, process: hello.process }, Lent::from_named(&hello.names, descriptors)))
    }

    /// Its id.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Says that this process serves, and waits until the other has ended what only one may do.
    pub(crate) fn take_over(self) -> Result<(), HandoverError> {
        send(&self.channel, READY, SendFlags::NOSIGNAL).map_err(|_| HandoverError::Alone)?;
        // As long as it takes: the other end is closed when the other process ends.
        set_socket_timeout(&self.channel, Timeout::Recv, None).map_err(|_| HandoverError::Alone)?;
        let mut answer = [0; YOURS.len()];
        match retry_on_intr(|| recv(&self.channel, &mut answer, RecvFlags::empty())) {
            Ok((_, YOURS_LENGTH)) if answer == YOURS => Ok(()),
            _ => Err(HandoverError::Alone),
        }
    }
}

const YOURS_LENGTH: usize = YOURS.len();

fn rights(message: RecvAncillaryMessage<'_>) -> Vec<OwnedFd> {
    match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    }
}
