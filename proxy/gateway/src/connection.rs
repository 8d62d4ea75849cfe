//! One accepted stream: hyper's HTTP/1 server on it, with deadlines, drain and lingering close.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::connections::Counted;
use crate::forwarding::Peer;
use crate::gateway::Shared;
use crate::lingering::Lingering;
use crate::serve;

/// Longest wait for the whole head of a request, also the first byte of the next one on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection that has had no request yet is served after the stop.
const LATECOMER: Duration = Duration::from_secs(1);

/// What every request of one connection shares.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) worker: usize,
    pub(crate) first_request: FirstRequest,
    /// Set when the stream carries something else than HTTP.
    pub(crate) upgraded: Arc<AtomicBool>,
    _counted: Counted,
}

/// Whether a connection has had a request yet.
#[derive(Default)]
pub(crate) struct FirstRequest {
    has_come: AtomicBool,
    notify: Notify,
}

impl FirstRequest {
    pub(crate) fn arrived(&self) {
        if !self.has_come.load(Ordering::Relaxed) {
            self.has_come.store(true, Ordering::Release);
            self.notify.notify_one();
        }
    }

    async fn wait(&self) {
        if !self.has_come.load(Ordering::Acquire) {
            self.notify.notified().await;
        }
    }
}

impl Connection {
    fn open(shared: Arc<Shared>, peer: SocketAddr, worker: usize) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let counted = shared.connections.enter();
        let peer = Peer::new(peer);
        let (first_request, upgraded) = (FirstRequest::default(), Arc::default());
        Arc::new(Self { peer, worker, shared, first_request, upgraded, _counted: counted })
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
    let draining = shared.workers.draining(worker);
    let connection = Connection::open(shared, peer, worker);
    let served_by = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&served_by);
        async move { Ok::<_, Infallible>(serve::answer(connection, request).await) }
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
        () = stop(draining) => None,
    };
    if ended.is_none() {
        // Accepted just before the stop: its first request is on its way, and is not to be lost.
        ended = tokio::select! {
            biased;
            () = connection.first_request.wait() => None,
            ended = served.as_mut() => Some(ended),
            () = sleep(LATECOMER) => None,
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
