//! pingora's listeners, threads and shutdown. Apart from the health checks, the only file that names it.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::server::configuration::ServerConf;
use pingora::server::{ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::Service as PingoraService;
use pingora::services::listening::Service;
use tokio::sync::watch;

use crate::connection::serve_stream;
use crate::forwarding::Scheme;
use crate::gateway::Shared;

/// How long pingora sleeps after the stop, whether or not anything is in flight: longer than any drain. The process ends
/// when the last connection has. A process that goes on, as tests do, must not see these threads end: pingora keeps
/// runtimes by thread number, and would put the listeners of a later server on a runtime that is gone.
const AFTERLIFE: Duration = Duration::from_hours(24);

/// Listens and serves on threads of its own until `stop` turns true; then closes the listeners and leaves
/// the connections to the caller, who waits for them. Does not return before the process ends.
pub(crate) fn run(shared: &Arc<Shared>, stop: watch::Receiver<bool>) {
    let conf = ServerConf {
        threads: shared.settings.threads.max(1),
        work_stealing: false,
        grace_period_seconds: Some(AFTERLIFE.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        // Never used, but their defaults lie in a folder anybody may write.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let sockets = match shared.sockets.duplicates() {
        Ok(sockets) => sockets,
        Err(error) => {
            tracing::error!(%error, "cannot use the listening sockets");
            return;
        }
    };
    let mut service = Service::new("banyan".to_owned(), App(Arc::clone(shared)));
    for address in shared.addresses.iter().chain(&shared.tls_addresses) {
        // `http1` and hyper have buffers of their own.
        let listener = ListenerConfig::tcp(address.to_string()).l4_buffer(L4BufferSettings::unbuffered());
        service.add_listener(listener);
    }
    let sockets = sockets.into_iter().map(Some).collect();
    server.add_service(Listening { service, shared: Arc::clone(shared), sockets });
    server.run(RunArgs { shutdown_signal: Box::new(Stop(stop)) });
}

/// pingora's listeners on sockets that are bound already. Left to itself, pingora binds an address that is taken for
/// half a minute and then panics; and its own way of passing sockets goes by a path that anybody may write to, and ends
/// the old process before the new one is known to work.
struct Listening {
    service: Service<App>,
    shared: Arc<Shared>,
    /// In the order of the addresses; taken at the start.
    sockets: Vec<Option<TcpListener>>,
}

#[async_trait]
impl PingoraService for Listening {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, per_socket: usize) {
        if let Some(fds) = &fds {
            let addresses = self.shared.addresses.iter().chain(&self.shared.tls_addresses);
            for (address, socket) in addresses.zip(&mut self.sockets) {
                if let Some(socket) = socket.take() {
                    // From here on it is pingora's, which closes it with its listener.
                    fds.lock().add(address.to_string(), socket.into_raw_fd());
                }
            }
        }
        let stopping = shutdown.clone();
        let mut serving = pin!(PingoraService::start_service(&mut self.service, fds, shutdown, per_socket));
        let mut is_told = false;
        poll_fn(|cx| {
            let polled = serving.as_mut().poll(cx);
            // It waits for its accept loops, so they are there.
            if polled.is_pending() && !std::mem::replace(&mut is_told, true) && !*stopping.borrow() {
                self.shared.accepting.store(true, Ordering::Release);
            }
            polled
        })
        .await;
    }

    fn name(&self) -> &'static str {
        "banyan"
    }
}

struct App(Arc<Shared>);

#[async_trait]
impl ServerApp for App {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        if let Some(peer) = peer_of(&stream) {
            let socket = stream.id();
            if let Some(scheme) = self.scheme_of(&stream) {
                serve_stream(Arc::clone(&self.0), stream, peer, scheme, socket).await;
            } else {
                tracing::warn!(client = %peer, "a connection came in by no listener: closed");
            }
        }
        None
    }
}

impl App {
    /// What the listener speaks that accepted a stream. A listener on this very address counts before one on all.
    fn scheme_of(&self, stream: &Stream) -> Option<Scheme> {
        let Shared { addresses: plain, tls_addresses: tls, .. } = &*self.0;
        if tls.is_empty() {
            return Some(Scheme::Http);
        }
        let digest = stream.get_socket_digest()?;
        let local = digest.local_addr().and_then(PeerAddress::as_inet)?;
        let is_this = |listener: &SocketAddr| listener == local;
        let is_any = |at: &SocketAddr| at.port() == local.port() && at.ip().is_unspecified();
        let has = |list: &[SocketAddr], is_here: &dyn Fn(&SocketAddr) -> bool| list.iter().any(is_here);
        match (has(tls, &is_this), has(plain, &is_this), has(tls, &is_any), has(plain, &is_any)) {
            (true, ..) | (false, false, true, _) => Some(Scheme::Https),
            (false, true, ..) | (false, false, false, true) => Some(Scheme::Http),
            (false, false, false, false) => None,
        }
    }
}

/// `None` when the client has already gone.
fn peer_of(stream: &Stream) -> Option<SocketAddr> {
    match stream.get_socket_digest()?.peer_addr()? {
        PeerAddress::Inet(address) => Some(*address),
        PeerAddress::Unix(_) => None,
    }
}

/// The caller's stop instead of pingora's signal handlers: signals belong to the command.
struct Stop(watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        // A sender that is gone stops, too.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}
