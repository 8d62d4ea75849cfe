//! One accepted stream: TLS if the listener asks for it, then hyper's server for the version the client speaks, with
//! deadlines, drain and lingering close.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::body::ResponseBody;
use crate::connections::Counted;
use crate::forwarding::{Peer, Scheme};
use crate::gateway::Shared;
use crate::lazy_sleep::LazySleep;
use crate::lingering::{Lingering, StreamState};
use crate::serve;

/// Longest wait for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for the whole head of a request, also the first byte of the next one on an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a connection is held open after the stop for a request that is on its way.
const LATECOMER: Duration = Duration::from_secs(1);

/// How many times [`LATECOMER`] an HTTP/2 client may rest before its connection is closed in a drain: what it has not
/// opened a window for waits unseen.
const HTTP2_QUIET: u32 = 5;

/// Most HTTP/2 requests at a time on one connection.
const MAX_STREAMS: u32 = 100;
/// Most bytes of one HTTP/2 request that may wait to be forwarded.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same for all requests of a connection: uploads that wait must not hold up the others.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// Most bytes of one HTTP/2 answer that may wait for the client.
const SEND_BUFFER: usize = 64 << 10;
/// Longest list of fields of one HTTP/2 request (RFC 9113 6.5.2).
const MAX_FIELDS: u32 = 64 << 10;

/// What every request of one connection shares.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) scheme: Scheme,
    pub(crate) worker: usize,
    pub(crate) stream: Arc<StreamState>,
    /// True from the stop on.
    draining: watch::Receiver<bool>,
    opened: Instant,
    /// Requests being answered: with HTTP/2 there can be many.
    turns: AtomicU64,
    /// End of the last turn, in milliseconds since `opened`.
    idle_since_ms: AtomicU64,
    spare_timer: Mutex<Option<LazySleep>>,
    _counted: Counted,
}

/// One request of a connection is being answered, until this is dropped.
pub(crate) struct Turn(Arc<Connection>);

impl Connection {
    fn open(
        shared: Arc<Shared>,
        peer: SocketAddr,
        scheme: Scheme,
        socket: RawFd,
        worker: usize,
    ) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let counted = shared.connections.enter();
        let draining = shared.workers.draining(worker);
        Arc::new(Self {
            peer: Peer::new(peer),
            scheme,
            worker,
            shared,
            stream: Arc::new(StreamState::of(Some(socket))),
            draining,
            opened: Instant::now(),
            turns: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(0),
            spare_timer: Mutex::default(),
            _counted: counted,
        })
    }

    /// The timer of the request before, if no other request has it.
    pub(crate) fn timer(&self, deadline: Instant) -> LazySleep {
        let spare = self.spare_timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        spare.unwrap_or_else(|| LazySleep::new(deadline))
    }

    pub(crate) fn give_back(&self, timer: LazySleep) {
        *self.spare_timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(timer);
    }

    /// How long this connection waits for a request that may be on its way when the drain begins.
    fn latecomer(&self) -> Duration {
        LATECOMER.min(self.shared.settings.drain_timeout / 2)
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// When the next head comes too late; `None` while a request is being answered.
    fn head_deadline(&self) -> Option<Instant> {
        if self.turns.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        Some(self.opened + since + HEAD_TIMEOUT)
    }

    fn is_idle_since(&self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.opened).as_millis();
        self.idle_since_ms.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.connection_closed(self.worker);
    }
}

impl Turn {
    pub(crate) fn begin(connection: &Arc<Connection>) -> Self {
        connection.turns.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_idle_since(Instant::now());
        self.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one client until either side closes or the drain begins and the requests in flight have ended. `socket` is what
/// `stream` reads and writes.
pub(crate) async fn serve_stream<S>(
    shared: Arc<Shared>,
    stream: S,
    peer: SocketAddr,
    scheme: Scheme,
    socket: RawFd,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let worker = shared.workers.here();
    let connection = Connection::open(shared, peer, scheme, socket, worker);
    let mut stream = Lingering::new(stream, Arc::clone(&connection.stream));
    let ended = match &connection.shared.tls {
        Some(tls) if scheme == Scheme::Https => {
            // On the heap, so that connections without TLS do not carry the room for it.
            Box::pin(async {
                let handshake = tls.acceptor.accept(stream);
                let stream = begun(&connection, HANDSHAKE_TIMEOUT, handshake).await?;
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => serve_http2(&connection, stream).await,
                    _ => serve_http1(&connection, stream).await,
                }
            })
            .await
        }
        _ if connection.shared.settings.h2c => {
            match begun(&connection, HEAD_TIMEOUT, stream.begins_with_http2()).await {
                Ok(true) => Box::pin(serve_http2(&connection, stream)).await,
                Ok(false) => serve_http1(&connection, stream).await,
                Err(error) => Err(error),
            }
        }
        _ => serve_http1(&connection, stream).await,
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, error = &*error, "connection ended");
    }
}

/// Why a connection ended otherwise than the client wished.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// What comes before the first request: within a time, and not long after the drain has begun.
async fn begun<T>(
    connection: &Connection,
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Broken> {
    let gone = async {
        stop(connection.draining.clone()).await;
        sleep(connection.latecomer()).await;
    };
    tokio::select! {
        biased;
        done = work => Ok(done?),
        () = gone => Err("stopped before the first request".into()),
        () = sleep(limit) => Err("nothing in time".into()),
    }
}

async fn serve_http1<S>(connection: &Arc<Connection>, stream: S) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served_by = Arc::clone(connection);
    let service = service_fn(move |request| answer(&served_by, request));
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    match until_draining(connection, served.as_mut()).await {
        Stage::Ended(ended) => return Ok(ended?),
        Stage::HeadTooLate => return Err("no request in time".into()),
        Stage::Draining => {}
    }
    // A next request may be on its way, written before its client can know of the stop. It is answered, and the
    // answer ends the connection.
    tokio::select! {
        biased;
        ended = served.as_mut() => return Ok(ended?),
        () = sleep(connection.latecomer()) => {}
    }
    served.as_mut().graceful_shutdown();
    until_done(connection, served, 1).await
}

/// RFC 9113. Requests of one connection are answered side by side, on the thread of their connection.
async fn serve_http2<S>(connection: &Arc<Connection>, stream: S) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served_by = Arc::clone(connection);
    let service = service_fn(move |request| answer(&served_by, request));
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(MAX_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let stage = until_draining(connection, served.as_mut()).await;
    if let Stage::Ended(ended) = stage {
        return Ok(ended?);
    }
    // GOAWAY: streams that are open end, no new ones begin.
    served.as_mut().graceful_shutdown();
    until_done(connection, served, HTTP2_QUIET).await?;
    if matches!(stage, Stage::HeadTooLate) { Err("no request in time".into()) } else { Ok(()) }
}

/// The last requests of a connection. When for some time there is none, and the client has taken all there was, one that
/// does not close is not waited for.
async fn until_done<C>(connection: &Connection, mut served: Pin<&mut C>, quiet: u32) -> Result<(), Broken>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut quiet_for = 0;
    while quiet_for < quiet {
        tokio::select! {
            biased;
            ended = served.as_mut() => return Ok(ended?),
            () = sleep(connection.latecomer()) => {}
        }
        let is_busy = connection.turns.load(Ordering::Relaxed) > 0 || connection.stream.is_taking();
        quiet_for = if is_busy { 0 } else { quiet_for + 1 };
    }
    Ok(())
}

/// Answers one request of a connection.
fn answer(
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> + Send + use<> {
    let connection = Arc::clone(connection);
    let is_http1 = request.version() < Version::HTTP_2;
    let is_head = request.method() == Method::HEAD;
    let answer = serve::answer(&connection, request);
    async move {
        let mut response = answer.await;
        if !is_http1 {
            response = for_http2(response, is_head);
        }
        if is_http1 && connection.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// What hyper's HTTP/1 server sees to and its HTTP/2 server does not: no body for HEAD, no waiting for a client that takes
/// nothing.
fn for_http2(mut response: Response<ResponseBody>, is_head: bool) -> Response<ResponseBody> {
    if is_head && let Some(length) = response.body_mut().leave_out() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(ResponseBody::relayed)
}

/// How the first part of a connection ended.
enum Stage {
    Ended(hyper::Result<()>),
    Draining,
    HeadTooLate,
}

/// Serves until the connection ends, the drain begins, or the client owes a request for too long.
async fn until_draining<C>(connection: &Connection, mut served: Pin<&mut C>) -> Stage
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut stop = std::pin::pin!(stop(connection.draining.clone()));
    let mut head = LazySleep::new(connection.opened + HEAD_TIMEOUT);
    let mut knows_waker = false;
    poll_fn(|cx| {
        // Asked once, it wakes this task; asking it at every turn would cost more than the rest of this. It is asked
        // before the stream may have used up what this task may do at a time.
        if !knows_waker || connection.draining.has_changed().unwrap_or(true) {
            knows_waker = true;
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stage::Draining);
            }
        }
        if let Poll::Ready(ended) = served.as_mut().poll(cx) {
            return Poll::Ready(Stage::Ended(ended));
        }
        poll_head(connection, &mut head, cx)
    })
    .await
}

/// Ready when the client has owed the head of a request for too long.
fn poll_head(connection: &Connection, timer: &mut LazySleep, cx: &mut Context<'_>) -> Poll<Stage> {
    let Some(deadline) = connection.head_deadline() else { return Poll::Pending };
    if timer.poll_until(cx, deadline).is_pending() {
        return Poll::Pending;
    }
    // A client that still takes the last answer, however slowly, owes nothing yet.
    if !connection.stream.is_stalled() {
        return Poll::Ready(Stage::HeadTooLate);
    }
    let now = Instant::now();
    connection.is_idle_since(now);
    timer.poll_until(cx, now + HEAD_TIMEOUT).map(|()| Stage::HeadTooLate)
}

/// Ends when the drain begins.
async fn stop(mut draining: watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return;
        }
    }
}
