//! Closing a client's connection so that it looks like the failure that it is.
//!
//! An answer without a length towards HTTP/1.0 ends where the connection does. When its sender breaks off, an orderly
//! close would make half an answer look whole; a reset does not.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// From now on, closing this socket resets its connection, and what is still unsent is lost (`SO_LINGER` of zero).
///
/// `socket` must be open and stay so until this returns. The listener's streams give no more than the number, and a
/// number cannot be borrowed safely: so the kernel is asked for a twin of it (Linux 5.6), on which the option is set for
/// both. Fails where a sandbox forbids that.
pub(crate) fn on_close(socket: RawFd) -> io::Result<()> {
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let twin = pidfd_getfd(&process, socket, PidfdGetfdFlags::empty())?;
    Ok(set_socket_linger(&twin, Some(Duration::ZERO))?)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn the_other_side_sees_a_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        for is_reset in [false, true] {
            let mut client = TcpStream::connect(address).expect("connected");
            let (server, _) = listener.accept().expect("accepted");
            if is_reset {
                super::on_close(server.as_raw_fd()).expect("allowed here");
            }
            drop(server);
            let read = client.read(&mut [0; 8]).map_err(|error| error.kind());
            assert_eq!(read, if is_reset { Err(ErrorKind::ConnectionReset) } else { Ok(0) });
        }
    }
}
