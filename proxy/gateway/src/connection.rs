//! One accepted stream: hyper's HTTP/1 server on it, with deadlines, drain and lingering close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connections::Counted;
use crate::forwarding::Peer;
use crate::gateway::Shared;
use crate::lingering::Lingering;
use crate::serve;

/// Longest wait for the whole head of a request, also the first byte of the next one on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// What every request of one connection shares.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) worker: usize,
    _counted: Counted,
}

impl Connection {
    fn open(shared: Arc<Shared>, peer: SocketAddr, worker: usize) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let counted = shared.connections.enter();
        Arc::new(Self { peer: Peer::new(peer), worker, shared, _counted: counted })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.connection_closed(self.worker);
    }
}

/// Serves one client until either side closes or the drain begins and the request in flight has ended.
pub(crate) async fn serve_stream<S>(shared: Arc<Shared>, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let worker = shared.workers.here();
    let mut draining = shared.workers.draining(worker);
    let connection = Connection::open(shared, peer, worker);
    let service = service_fn(|request| {
        let connection = Arc::clone(&connection);
        async move { Ok::<_, Infallible>(serve::answer(connection, request).await) }
    });
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Lingering::new(stream)), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        biased;
        ended = served.as_mut() => ended,
        () = async { drop(draining.wait_for(|draining| *draining).await) } => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "connection ended");
    }
}
