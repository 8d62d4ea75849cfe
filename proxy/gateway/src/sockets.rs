//! The listening sockets: bound here or handed over by the process before, and lent to the process after.
//!
//! A listening socket is one queue of connections, however many processes hold it: what waits in it while one process
//! stops accepting is accepted by the other. So no connection is lost between them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::gateway::StartError;

/// Connections that may wait to be accepted; the system allows as many as `net.core.somaxconn` says.
const BACKLOG: i32 = 65_535;

/// Sockets that listen from the start to the stop.
pub(crate) struct Sockets(Mutex<Vec<TcpListener>>);

impl Sockets {
    /// One for each address, in their order: one of those handed over if it has this address, else bound now.
    /// Port 0 takes any that was handed over for the same interface, else a free port.
    pub(crate) fn open(wanted: &[SocketAddr], handed: &mut Vec<TcpListener>) -> Result<Self, StartError> {
        let open = |address: &SocketAddr| {
            let socket = match handed_over(*address, handed) {
                Some(socket) => Ok(socket),
                None => TcpListener::bind(address),
            };
            // Nobody must ever wait in it, and more may wait for it than the 128 that the standard library asks for.
            let ready = socket.and_then(|socket| {
                rustix::net::listen(&socket, BACKLOG)?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            });
            ready.map_err(|error| StartError::Bind { address: *address, error })
        };
        let sockets = wanted.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Mutex::new(sockets)))
    }

    /// Where they listen, in order.
    pub(crate) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.held().iter().map(TcpListener::local_addr).collect()
    }

    /// The same sockets once more: for the accept loops, or for another process.
    pub(crate) fn duplicates(&self) -> io::Result<Vec<TcpListener>> {
        self.held().iter().map(TcpListener::try_clone).collect()
    }

    /// Lets go of them: who holds none of the duplicates either, gets no connection any more.
    pub(crate) fn close(&self) {
        self.held().clear();
    }

    fn held(&self) -> MutexGuard<'_, Vec<TcpListener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn handed_over(wanted: SocketAddr, handed: &mut Vec<TcpListener>) -> Option<TcpListener> {
    let fits = |socket: &TcpListener| {
        socket.local_addr().is_ok_and(|at| at == wanted || (wanted.port() == 0 && at.ip() == wanted.ip()))
    };
    handed.iter().position(fits).map(|place| handed.remove(place))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn what_was_handed_over_is_used_by_address_and_the_rest_is_bound() {
        let (one, other) = (TcpListener::bind(loopback()).unwrap(), TcpListener::bind(loopback()).unwrap());
        let (at_one, at_other) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut handed = vec![one, other];
        let sockets = Sockets::open(&[at_other, loopback(), loopback()], &mut handed).unwrap();
        let addresses = sockets.addresses().unwrap();
        assert_eq!(addresses[..2], [at_other, at_one]);
        assert!(handed.is_empty() && addresses[2] != at_one, "{addresses:?}");
    }

    #[test]
    fn many_connections_may_wait_to_be_accepted() {
        let sockets = Sockets::open(&[loopback()], &mut Vec::new()).unwrap();
        let address = sockets.addresses().unwrap()[0];
        // Each of them is answered by the kernel, or waits for a second for it to try again.
        let wait = std::time::Duration::from_millis(500);
        let waiting: Result<Vec<_>, _> =
            (0..300).map(|_| std::net::TcpStream::connect_timeout(&address, wait)).collect();
        assert_eq!(waiting.map(|waiting| waiting.len()).map_err(|error| error.kind()), Ok(300));
    }

    #[test]
    fn an_address_taken_by_somebody_else_is_an_error() {
        let taken = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
        let _held = TcpListener::bind(taken).unwrap();
        assert!(matches!(
            Sockets::open(&[taken], &mut Vec::new()),
            Err(StartError::Bind { address, .. }) if address == taken
        ));
    }
}
