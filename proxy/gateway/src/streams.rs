//! HTTP/2 connections to an upstream: each carries many requests at a time (RFC 9113).
//!
//! How many an upstream allows is known when its settings have come. Until then what is asked waits in hyper, so that
//! nothing is sent that the upstream would refuse.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use crate::body::RequestBody;
use crate::pool::Slot;

/// Most requests at a time on one connection, if the upstream allows more.
const MAX_STREAMS: usize = 100;
/// Most bytes of one answer that may wait for its client.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same for all answers of a connection: a slow client must not hold up the others.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;
/// Most bytes of one request that may wait for the upstream.
const SEND_BUFFER: usize = 64 << 10;
/// Longest list of fields of one answer (RFC 9113 6.5.2).
const MAX_FIELDS: u32 = 64 << 10;
/// Silence, with requests under way, after which an upstream is asked whether it is there. Servers of gRPC close
/// connections that ask more often than every five minutes.
const PING_AFTER: Duration = Duration::from_secs(330);
/// Longest wait for its answer.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection of HTTP/2. It closes when nobody holds it any more.
pub(crate) struct Shared {
    sender: http2::SendRequest<RequestBody>,
    /// Requests under way.
    open: AtomicUsize,
    /// Most that the upstream allows; 0 while it has not said.
    allowed: Arc<AtomicUsize>,
    is_suspect: AtomicBool,
    opened: Instant,
    /// End of the last request, in milliseconds since `opened`.
    idle_since_ms: AtomicU64,
    task: AbortHandle,
    slot: Arc<Slot>,
}

/// One request on a shared connection.
pub(crate) struct Stream(Arc<Shared>);

impl Shared {
    pub(crate) async fn open<S>(stream: S, slot: Arc<Slot>) -> hyper::Result<Arc<Self>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(0)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MAX_FIELDS)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(stream));
        let (sender, mut connection) = handshake.await?;
        let allowed = Arc::new(AtomicUsize::new(0));
        let told = Arc::clone(&allowed);
        let task = tokio::spawn(async move {
            // How it ended is told to the requests under way.
            let _ = poll_fn(|cx| {
                let polled = Pin::new(&mut connection).poll(cx);
                if polled.is_pending() {
                    told.store(connection.current_max_send_streams(), Ordering::Relaxed);
                }
                polled
            })
            .await;
        });
        Ok(Arc::new(Self {
            sender,
            open: AtomicUsize::new(0),
            allowed,
            is_suspect: AtomicBool::new(false),
            opened: Instant::now(),
            idle_since_ms: AtomicU64::new(0),
            task: task.abort_handle(),
            slot,
        }))
    }

    /// Room for one request more; `None` when there is none, or the connection is closed or suspect.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Stream> {
        if self.is_suspect.load(Ordering::Relaxed) { None } else { self.begin_anyway() }
    }

    /// The same where a suspect connection is better than none.
    pub(crate) fn begin_anyway(self: &Arc<Self>) -> Option<Stream> {
        if self.sender.is_closed() {
            return None;
        }
        let most = self.most();
        let more = |open: usize| (open < most).then(|| open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Stream(Arc::clone(self)))
    }

    fn most(&self) -> usize {
        match self.allowed.load(Ordering::Relaxed) {
            0 => MAX_STREAMS,
            allowed => allowed.min(MAX_STREAMS),
        }
    }

    /// Nothing is under way.
    pub(crate) fn is_resting(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    /// Nobody will ask it again.
    pub(crate) fn is_done(&self) -> bool {
        self.sender.is_closed() || (self.is_suspect.load(Ordering::Relaxed) && self.is_resting())
    }

    pub(crate) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.slot)
    }

    /// Not needed any more, or of no use.
    pub(crate) fn is_stale(&self, keep_alive: Duration, now: Instant) -> bool {
        let since = Duration::from_millis(self.idle_since_ms.load(Ordering::Relaxed));
        let is_over = now.saturating_duration_since(self.opened + since) >= keep_alive;
        self.is_done() || (self.is_resting() && is_over)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A request that waits for settings which never come would keep it open.
        self.task.abort();
    }
}

impl Stream {
    pub(crate) fn sender(&self) -> http2::SendRequest<RequestBody> {
        self.0.sender.clone()
    }

    /// No answer came in time: requests to come go elsewhere, those under way go on.
    pub(crate) fn suspect(&self) {
        self.0.is_suspect.store(true, Ordering::Relaxed);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.0.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.idle_since_ms.store(elapsed, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.slot.has_room();
    }
}
