//! Replacing the program while it serves: the running process starts the new one and lends it what it listens on.
//!
//! 1. The running process makes a pair of sockets and starts its program file anew with the same arguments; one end is
//!    the standard input of the new process. It sends the listening sockets and the lock of the state directory over it.
//! 2. The new process reads its configuration, serves beside the old one, and says that it is ready.
//! 3. The old one ends its admin listener and its reload thread, says that they are the other's now, and drains.
//! 4. The new one answers on the admin address.
//!
//! What goes wrong before the third step ends the new process and changes nothing for the old one. A listening socket
//! is one queue however many processes hold it, and a lock is held until the last who holds it lets go, so at no time
//! is a connection without a taker, or the state directory without an owner. There is no path that somebody
//! else could connect to.
//!
//! - `successor`: the running process's side. `predecessor`: the new one's.

mod predecessor;
mod successor;

use std::fs::File;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};

pub use predecessor::HandoverError;
pub(crate) use predecessor::{Predecessor, predecessor};
pub(crate) use successor::{Program, Successor, UpgradeError};

/// Set for a process that was started to take over.
const VARIABLE: &str = "BANYAN_TAKES_OVER";

/// Form of what is sent. A build that knows another one refuses, and the old process goes on.
const FORM: u32 = 1;

/// Most sockets lent: the system takes 253 descriptors at a time (`SCM_MAX_FD`).
const LENT_MAX: usize = 200;

/// Longest first message.
const HELLO_BYTES_MAX: usize = 16 * 1024;

/// Second message, from the new process: it serves.
const READY: &[u8] = b"ready";

/// Third and last, from the old one: admin address and state directory are free.
const YOURS: &[u8] = b"yours";

/// What one process lends another.
#[derive(Debug, Default)]
pub(crate) struct Lent {
    /// What clients connect to.
    pub(crate) listen: Vec<TcpListener>,
    /// What operators connect to.
    pub(crate) admin: Option<TcpListener>,
    /// The held lock of the state directory.
    pub(crate) lock: Option<File>,
}

/// The first message. The descriptors travel beside it, in the order of their names.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    form: u32,
    /// The old process.
    process: u32,
    names: Vec<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Name {
    Listen,
    Admin,
    Lock,
}

impl Lent {
    fn named(&self) -> (Vec<Name>, Vec<BorrowedFd<'_>>) {
        let listen = self.listen.iter().map(|socket| (Name::Listen, socket.as_fd()));
        let admin = self.admin.iter().map(|socket| (Name::Admin, socket.as_fd()));
        let lock = self.lock.iter().map(|file| (Name::Lock, file.as_fd()));
        listen.chain(admin).chain(lock).unzip()
    }

    fn from_named(names: &[Name], descriptors: Vec<OwnedFd>) -> Self {
        let mut lent = Self::default();
        for (name, descriptor) in names.iter().zip(descriptors) {
            match name {
                Name::Listen => lent.listen.push(descriptor.into()),
                Name::Admin => lent.admin = Some(descriptor.into()),
                Name::Lock => lent.lock = Some(descriptor.into()),
            }
        }
        lent
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use std::mem::MaybeUninit;
    use std::net::TcpStream;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn what_is_lent_arrives_under_its_name() {
        let (ours, theirs) = pair();
        let lent = Lent {
            listen: vec![listener(), listener()],
            admin: Some(listener()),
            lock: tempfile::tempfile().ok(),
        };
        successor::lend(&ours, &lent).unwrap();
        let addresses: Vec<_> = lent.listen.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let admin = lent.admin.as_ref().map(|socket| socket.local_addr().unwrap());
        drop(lent);
        let (predecessor, got) = Predecessor::greeted_by(theirs).unwrap();
        assert_eq!(predecessor.process(), std::process::id());
        assert_eq!(got.listen.iter().map(|s| s.local_addr().unwrap()).collect::<Vec<_>>(), addresses);
        assert_eq!(got.admin.map(|socket| socket.local_addr().unwrap()), admin);
        assert!(got.lock.is_some());
        // The lender has let go, and still somebody listens.
        assert!(TcpStream::connect(addresses[1]).is_ok());
    }

    #[test]
    fn a_form_of_another_build_is_refused() {
        let (ours, theirs) = pair();
        let mut space: [MaybeUninit<u8>; 0] = [];
        let mut none = rustix::net::SendAncillaryBuffer::new(&mut space);
        let text = br#"{"form":2,"process":1,"names":[],"more":true}"#;
        let sent = rustix::net::sendmsg(
            &ours,
            &[std::io::IoSlice::new(text)],
            &mut none,
            rustix::net::SendFlags::empty(),
        );
        sent.unwrap();
        assert!(matches!(Predecessor::greeted_by(theirs), Err(HandoverError::Form)));
    }

    #[test]
    fn whoever_is_left_alone_does_not_go_on() {
        let (ours, theirs) = pair();
        successor::lend(&ours, &Lent::default()).unwrap();
        let (predecessor, _) = Predecessor::greeted_by(theirs).unwrap();
        drop(ours);
        assert!(matches!(predecessor.take_over(), Err(HandoverError::Alone)));
    }
}
