//! pingora's listeners, threads and shutdown. Apart from the health checks, the only file that names it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::Stream;
use pingora::protocols::l4::socket::SocketAddr as PeerAddress;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::listening::Service;
use tokio::sync::watch;

use crate::connection::serve_stream;
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
    let mut service = Service::new("banyan".to_owned(), App(Arc::clone(shared)));
    for address in &shared.addresses {
        // hyper has buffers of its own.
        let listener = ListenerConfig::tcp(address.to_string()).l4_buffer(L4BufferSettings::unbuffered());
        service.add_listener(listener);
    }
    server.add_service(service);
    server.run(RunArgs { shutdown_signal: Box::new(Stop(stop)) });
}

struct App(Arc<Shared>);

#[async_trait]
impl ServerApp for App {
    async fn process_new(self: &Arc<Self>, stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        if let Some(peer) = peer_of(&stream) {
            serve_stream(Arc::clone(&self.0), stream, peer).await;
        }
        None
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
