//! One accepted stream: hyper's HTTP/1 server on it, with deadlines, drain and lingering close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::connections::Counted;
use crate::forwarding::Peer;
use crate::gateway::Shared;
use crate::lingering::Lingering;
use crate::serve;

/// Longest wait for the whole head of a request, also the first byte of the next one on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection is held open after the stop for a request that is on its way.
const LATECOMER: Duration = Duration::from_secs(1);

/// What every request of one connection shares.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) worker: usize,
    /// True from the stop on.
    draining: watch::Receiver<bool>,
    /// Set when the stream carries something else than HTTP.
    pub(crate) upgraded: Arc<AtomicBool>,
    _counted: Counted,
}

impl Connection {
    fn open(shared: Arc<Shared>, peer: SocketAddr, worker: usize) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let counted = shared.connections.enter();
        let peer = Peer::new(peer);
        let draining = shared.workers.draining(worker);
        Arc::new(Self { peer, worker, shared, draining, upgraded: Arc::default(), _counted: counted })
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
    let connection = Connection::open(shared, peer, worker);
    let drain_timeout = connection.shared.settings.drain_timeout;
    let served_by = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&served_by);
        async move {
            let mut response = serve::answer(Arc::clone(&connection), request).await;
            if *connection.draining.borrow() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(Lingering::new(stream, Arc::clone(&connection.upgraded))), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let mut ended = tokio::select! {
        biased;
        ended = served.as_mut() => Some(ended),
        () = stop(connection.draining.clone()) => None,
    };
    if ended.is_none() {
        // A next request may be on its way, written before its client can know of the stop. It is answered, and
        // the answer ends the connection.
        ended = tokio::select! {
            biased;
            ended = served.as_mut() => Some(ended),
            () = sleep(LATECOMER.min(drain_timeout / 2)) => None,
        };
    }
    let ended = if let Some(ended) = ended {
        ended
    } else {
        served.as_mut().graceful_shutdown();
        served.await
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "connection ended");
    }
}

/// Ends when the drain begins.
async fn stop(mut draining: watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return;
        }
    }
}
