//! One accepted stream: TLS if the listener asks for it, then hyper's server for the version the client speaks, with
//! deadlines, drain and lingering close.
//!
//! - `admission`: who may come in, and who it is.

mod admission;

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::access_log::Entry;
use crate::body::ResponseBody;
use crate::connections::Counted;
use crate::forwarding::{Peer, Scheme};
use crate::gateway::Shared;
use crate::guard::RefusedReason;
use crate::lazy_sleep::LazySleep;
use crate::limits::Limits;
use crate::lingering::{Lingering, StreamState};
use crate::metrics::DEFAULT_ROUTE;
use crate::serve;
use admission::Admitted;

/// Longest wait for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

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
/// Most fields of one HTTP/1 request for which hyper needs no memory but its stack.
const FIELDS_ON_STACK: usize = 100;

/// To a client that takes too long over its head (RFC 9110 15.5.9).
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    Banyan-Reason: head-timeout\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 34\r\n\
    Connection: close\r\n\r\n\
    408 Request Timeout: head-timeout\n";

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
    /// When the first bytes of a head were seen, likewise; 0 while there are none.
    head_since_ms: AtomicU64,
    requests: AtomicU64,
    /// No further requests: of HTTP/2 only, where no answer can say so.
    is_used_up: AtomicBool,
    spare_timer: Mutex<Option<LazySleep>>,
    _counted: Counted,
}

/// One request of a connection is being answered, until this is dropped.
pub(crate) struct Turn(Arc<Connection>);

impl Connection {
    fn open(
        shared: Arc<Shared>,
        admitted: Admitted,
        scheme: Scheme,
        stream: Arc<StreamState>,
        worker: usize,
    ) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let draining = shared.workers.draining(worker);
        Arc::new(Self {
            peer: Peer::new(admitted.client),
            scheme,
            worker,
            shared,
            stream,
            draining,
            opened: Instant::now(),
            turns: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            is_used_up: AtomicBool::new(false),
            spare_timer: Mutex::default(),
            _counted: admitted.counted,
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

    fn latecomer(&self) -> Duration {
        latecomer(&self.shared)
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    async fn begun<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Broken> {
        begun(&self.shared, &self.draining, limit, work).await
    }

    fn limits(&self) -> &Limits {
        &self.shared.settings.limits
    }

    /// When the client has rested too long; `None` while a request is being answered.
    fn rest_deadline(&self) -> Option<Instant> {
        let rests = self.turns.load(Ordering::Relaxed) == 0;
        rests.then(|| self.at(&self.idle_since_ms) + self.limits().keep_alive)
    }

    /// The same with HTTP/1, where what is read while nothing is answered is a head, which has a deadline of its own.
    fn head_deadline(&self) -> Option<Instant> {
        // Closing has a time of its own.
        let rest = self.rest_deadline().filter(|_| !self.stream.is_closing())?;
        if !self.stream.has_read() {
            return Some(rest);
        }
        if !self.head_has_begun() {
            self.set(&self.head_since_ms, Instant::now());
        }
        Some(self.at(&self.head_since_ms) + self.limits().head_timeout)
    }

    fn head_has_begun(&self) -> bool {
        self.head_since_ms.load(Ordering::Relaxed) > 0
    }

    fn is_idle_since(&self, now: Instant) {
        self.set(&self.idle_since_ms, now);
        self.head_since_ms.store(0, Ordering::Relaxed);
        self.stream.is_read_up();
    }

    fn at(&self, ms: &AtomicU64) -> Instant {
        self.opened + Duration::from_millis(ms.load(Ordering::Relaxed))
    }

    /// Never to 0, which stands for never.
    fn set(&self, ms: &AtomicU64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.opened).as_millis();
        ms.store(u64::try_from(elapsed).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// Counts one more request. True from the last one on that the connection may carry.
    fn has_its_last(&self) -> bool {
        let Some(most) = self.limits().requests_per_connection else { return false };
        self.requests.fetch_add(1, Ordering::Relaxed) + 1 >= most
    }

    /// Counts a request that hyper refused, and answered itself.
    fn note(&self, ended: hyper::Result<()>) -> Result<(), Broken> {
        if let Err(error) = &ended
            && error.is_parse()
        {
            let long = (RefusedReason::HeadTooLong, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            let malformed = (RefusedReason::MalformedHead, StatusCode::BAD_REQUEST);
            let (reason, status) = if error.is_parse_too_large() { long } else { malformed };
            self.refused_unread(reason, status);
        }
        Ok(ended?)
    }

    /// Counts and logs a request whose head could not be read.
    fn refused_unread(&self, reason: RefusedReason, status: StatusCode) {
        self.shared.metrics.refused(self.worker, reason);
        let Some(log) = &self.shared.access_log else { return };
        let mut entry = Entry::unread(self.peer.address, DEFAULT_ROUTE.into());
        entry.status = status.as_u16();
        entry.banyan_reason = Some(reason.as_str());
        log.write(entry);
    }
}

/// How long a connection waits for a request that may be on its way when the drain begins.
fn latecomer(shared: &Shared) -> Duration {
    LATECOMER.min(shared.settings.drain_timeout / 2)
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
    let state = Arc::new(StreamState::of(Some(socket)));
    let mut stream = Lingering::new(stream, Arc::clone(&state));
    let admitted = match admission::admit(&shared, worker, &mut stream, peer).await {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::debug!(client = %peer, error = &*error, "connection refused");
            return;
        }
    };
    let peer = admitted.client;
    let connection = Connection::open(shared, admitted, scheme, state, worker);
    let ended = match &connection.shared.tls {
        Some(tls) if scheme == Scheme::Https => {
            // On the heap, so that connections without TLS do not carry the room for it.
            Box::pin(async {
                let handshake = tls.accept(stream);
                let stream = connection.begun(HANDSHAKE_TIMEOUT, handshake).await?;
                // That was no head.
                connection.stream.is_read_up();
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => serve_http2(&connection, stream).await,
                    _ => serve_http1(&connection, stream).await,
                }
            })
            .await
        }
        _ if connection.shared.settings.h2c => {
            match connection.begun(connection.limits().keep_alive, stream.begins_with_http2()).await {
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
    shared: &Shared,
    draining: &watch::Receiver<bool>,
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Broken> {
    let gone = async {
        stop(draining.clone()).await;
        sleep(latecomer(shared)).await;
    };
    tokio::select! {
        biased;
        done = work => Ok(done?),
        () = gone => Err("stopped before the first request".into()),
        () = sleep(limit) => Err(Late.into()),
    }
}

/// Nothing came in time.
#[derive(Debug)]
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "nothing in time")
    }
}

impl std::error::Error for Late {}

async fn serve_http1<S>(connection: &Arc<Connection>, stream: S) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served_by = Arc::clone(connection);
    let service = service_fn(move |request| answer(&served_by, request));
    let limits = connection.limits();
    let mut builder = http1::Builder::new();
    builder.preserve_header_case(true).max_header_size(limits.head_bytes + limits.target_bytes);
    if limits.fields != FIELDS_ON_STACK {
        builder.max_headers(limits.fields);
    }
    let mut served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    match until_draining(connection, Pin::new(&mut served), Connection::head_deadline).await {
        Stage::Ended(ended) => return connection.note(ended),
        Stage::HeadTooLate => return too_late(connection, served.into_parts().map(|parts| parts.io)).await,
        Stage::Draining | Stage::UsedUp => {}
    }
    // A next request may be on its way, written before its client can know of the stop. It is answered, and the
    // answer ends the connection.
    tokio::select! {
        biased;
        ended = &mut served => return connection.note(ended),
        () = sleep(connection.latecomer()) => {}
    }
    Pin::new(&mut served).graceful_shutdown();
    until_done(connection, Pin::new(&mut served), 1).await
}

/// Who has begun a head is told that it was not waited for; who only rested is not.
async fn too_late<S>(connection: &Connection, stream: Option<TokioIo<S>>) -> Result<(), Broken>
where
    S: AsyncWrite + Unpin,
{
    if connection.head_has_begun()
        && let Some(stream) = stream
    {
        connection.refused_unread(RefusedReason::HeadTimeout, StatusCode::REQUEST_TIMEOUT);
        let mut stream = stream.into_inner();
        stream.write_all(TOO_LATE).await?;
        stream.shutdown().await?;
    }
    Err("no request in time".into())
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
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(connection.limits().head_bytes).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let stage = until_draining(connection, served.as_mut(), Connection::rest_deadline).await;
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
    let is_last = connection.has_its_last();
    if is_last && !is_http1 {
        connection.is_used_up.store(true, Ordering::Relaxed);
    }
    let is_grpc = !is_http1 && is_grpc(request.headers());
    let answer = serve::answer(&connection, request);
    async move {
        let mut response = answer.await;
        if !is_http1 {
            response = for_http2(response, is_head, is_grpc);
        }
        let ends = is_http1 && (is_last || connection.is_draining());
        if ends && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

/// A call whose client reads a body as messages.
fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"application/grpc"))
}

/// What hyper's HTTP/1 server sees to and its HTTP/2 server does not: no body for HEAD, no waiting for a client that takes
/// nothing. Nor do clients of gRPC get words of our own, for they go by the status.
fn for_http2(mut response: Response<ResponseBody>, is_head: bool, is_grpc: bool) -> Response<ResponseBody> {
    if is_grpc && !is_head {
        response.body_mut().leave_out();
    }
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
    /// It has carried as many requests as it may.
    UsedUp,
}

/// Serves until the connection ends, the drain begins, it has carried enough, or the client owes a request for too long.
async fn until_draining<C>(connection: &Connection, mut served: Pin<&mut C>, deadline: Deadline) -> Stage
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut stop = std::pin::pin!(stop(connection.draining.clone()));
    let mut head = LazySleep::new(connection.opened + connection.limits().head_timeout);
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
        if connection.is_used_up.load(Ordering::Relaxed) {
            return Poll::Ready(Stage::UsedUp);
        }
        poll_head(connection, &mut head, deadline, cx)
    })
    .await
}

/// When a connection has waited too long for a request; `None` while it has one.
type Deadline = fn(&Connection) -> Option<Instant>;

/// Ready when the client has owed the head of a request for too long.
fn poll_head(
    connection: &Connection,
    timer: &mut LazySleep,
    deadline: Deadline,
    cx: &mut Context<'_>,
) -> Poll<Stage> {
    let Some(until) = deadline(connection) else { return Poll::Pending };
    if timer.poll_until(cx, until).is_pending() {
        return Poll::Pending;
    }
    // A client that still takes the last answer, however slowly, owes nothing yet.
    if !connection.stream.is_stalled() {
        return Poll::Ready(Stage::HeadTooLate);
    }
    let now = Instant::now();
    connection.is_idle_since(now);
    timer.poll_until(cx, now + connection.limits().keep_alive).map(|()| Stage::HeadTooLate)
}

/// Ends when the drain begins.
async fn stop(mut draining: watch::Receiver<bool>) {
    while !*draining.borrow_and_update() {
        if draining.changed().await.is_err() {
            return;
        }
    }
}
