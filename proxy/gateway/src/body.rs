//! Bodies on their way through: streamed frame by frame, never collected.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};

use crate::connection::{Connection, Turn};
use crate::exchange::Exchange;
use crate::expect::Gate;
use crate::guard::RefusedReason;
use crate::http1::{Incoming, StreamError};
use crate::pool::Lease;
use crate::relay::Relay;
use crate::shadow::{Capture, Captured};

/// Why a body on its way through ended before its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The sender broke off or sent nonsense.
    Sender(StreamError),
    /// Nothing moved for the idle time.
    Idle,
    /// More than the route takes.
    TooLong,
}

impl fmt::Display for BodyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sender(error) => write!(out, "the sender broke off: {error}"),
            Self::Idle => write!(out, "nothing moved for too long"),
            Self::TooLong => write!(out, "it is too long"),
        }
    }
}

impl std::error::Error for BodyError {
    /// By which hyper finds the reason of a stream that was reset, and passes it on.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Sender(error) => error.cause(),
            Self::Idle | Self::TooLong => None,
        }
    }
}

/// What the upstream is sent: the client's body as it comes in, or nothing.
pub(crate) enum RequestBody {
    Empty,
    Client(Box<Upload>),
    /// One that was kept, for a copy.
    Kept(Option<Bytes>),
}

/// A client's body on its way.
pub(crate) struct Upload {
    /// The connection is not idle while it goes on, be the answer complete or not.
    turn: Turn,
    incoming: Incoming,
    progress: Arc<Progress>,
    gate: Option<Gate>,
    silence: Silence,
    /// Most bytes that the route takes.
    most: u64,
}

/// A timer that exists only while nothing moves: most bodies never need one.
struct Silence {
    limit: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    fn new(limit: Duration) -> Self {
        Self { limit, deadline: None }
    }

    fn broken(&mut self) {
        self.deadline = None;
    }

    /// Ready when nothing has moved for the limit.
    fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let deadline =
            self.deadline.get_or_insert_with(|| Box::pin(sleep_until((Instant::now() + limit).into())));
        deadline.as_mut().poll(cx)
    }
}

/// How far an upload has come: written by the body, read by whoever waits for the answer.
pub(crate) struct Progress {
    started: Instant,
    bytes: AtomicU64,
    last_moved_ms: AtomicU64,
    ended: AtomicBool,
    end: Notify,
    /// Kept for a copy. Nobody else wants the lock while the body goes on.
    capture: Option<Box<Mutex<Option<Capture>>>>,
}

impl RequestBody {
    pub(crate) fn client(
        turn: Turn,
        incoming: Incoming,
        progress: Arc<Progress>,
        gate: Option<Gate>,
        idle: Duration,
        most: Option<u64>,
    ) -> Self {
        let (silence, most) = (Silence::new(idle), most.unwrap_or(u64::MAX));
        Self::Client(Box::new(Upload { turn, incoming, progress, gate, silence, most }))
    }
}

impl Progress {
    pub(crate) fn begin(capture: Option<Capture>) -> Arc<Self> {
        Arc::new(Self {
            capture: capture.map(|capture| Box::new(Mutex::new(Some(capture)))),
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            last_moved_ms: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            end: Notify::new(),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits for the end. For one caller.
    pub(crate) async fn until_ended(&self) {
        if !self.has_ended() {
            self.end.notified().await;
        }
    }

    /// When something last moved.
    pub(crate) fn last_moved(&self) -> Instant {
        self.started + Duration::from_millis(self.last_moved_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn moved(&self, bytes: usize) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_moved_ms.store(elapsed, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// What was kept of the body; taken once.
    pub(crate) fn captured(&self) -> Option<Captured> {
        self.capture(Option::take).flatten().map(Capture::finish)
    }

    fn capture<T>(&self, with: impl FnOnce(&mut Option<Capture>) -> T) -> Option<T> {
        let capture = self.capture.as_ref()?;
        Some(with(&mut capture.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn keep(&self, frame: Option<&Result<Frame<Bytes>, StreamError>>, is_last: bool) {
        self.capture(|capture| {
            let Some(capture) = capture else { return };
            match frame {
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref() {
                        capture.keep(piece);
                    }
                }
                Some(Err(_)) => return capture.broken(),
                None => {}
            }
            if is_last {
                capture.complete();
            }
        });
    }

    fn end(&self) {
        self.moved(0);
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.end.notify_one();
        }
    }
}

impl Upload {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(gate) = &mut self.gate {
            ready!(Pin::new(gate).poll_open(cx));
            self.gate = None;
        }
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.silence.poll_too_long(cx).map(|()| Some(Err(BodyError::Idle)));
        };
        self.silence.broken();
        if self.progress.capture.is_some() {
            self.progress.keep(frame.as_ref(), frame.is_none() || self.incoming.is_end_stream());
        }
        match &frame {
            Some(Ok(frame)) if frame.is_data() => {
                self.progress.moved(frame.data_ref().map_or(0, Bytes::len));
                if self.progress.bytes() > self.most {
                    let connection = self.turn.connection();
                    connection.shared.metrics.refused(connection.worker, RefusedReason::BodyTooLong);
                    return Poll::Ready(Some(Err(BodyError::TooLong)));
                }
            }
            // Trailers are the end, too.
            Some(_) | None => self.progress.end(),
        }
        if self.incoming.is_end_stream() {
            self.progress.end();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Sender)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client(upload) => upload.poll_frame(cx),
            Self::Kept(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(upload) => upload.incoming.is_end_stream(),
            Self::Kept(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(upload) => upload.incoming.size_hint(),
            Self::Kept(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

/// What the client is sent: the upstream's body as it comes in, or a few words of our own.
pub(crate) enum ResponseBody {
    Own(Option<Bytes>),
    /// On the heap: an answer is handed from one future to the next.
    Upstream(Box<Download>),
    /// To an HTTP/2 client.
    Relayed(Relay),
}

/// An upstream's body on its way.
pub(crate) struct Download {
    incoming: Incoming,
    lease: Option<Lease>,
    exchange: Exchange,
    silence: Silence,
}

impl ResponseBody {
    pub(crate) fn own(text: Bytes) -> Self {
        Self::Own((!text.is_empty()).then_some(text))
    }

    pub(crate) fn upstream(incoming: Incoming, lease: Lease, exchange: Exchange, idle: Duration) -> Self {
        let silence = Silence::new(idle);
        let mut download = Box::new(Download { incoming, lease: Some(lease), exchange, silence });
        if download.incoming.is_end_stream() {
            download.finish();
        }
        Self::Upstream(download)
    }

    /// For an HTTP/2 client.
    pub(crate) fn relayed(self) -> Self {
        match self {
            Self::Upstream(download) if !download.incoming.is_end_stream() => {
                Self::Relayed(Relay::begin(*download))
            }
            other => other,
        }
    }

    /// What is being sent to the upstream meanwhile goes on, though the client takes nothing.
    pub(crate) fn keep_moving(&mut self, cx: &mut Context<'_>) {
        if let Self::Upstream(download) = self {
            download.keep_moving(cx);
        }
    }

    /// To HEAD. Gives the length of what would have been the body; with HTTP/1 that is left to the server.
    pub(crate) fn leave_out(&mut self) -> Option<usize> {
        let Self::Own(text) = self else { return None };
        text.take().map(|text| text.len())
    }
}

impl Download {
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.poll_deadline(cx).map(|()| Some(Err(BodyError::Idle)));
        };
        self.silence.broken();
        match frame {
            Some(Ok(frame)) => {
                self.exchange.passes(frame.data_ref());
                // After trailers nobody asks for the end.
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.exchange.upstream_broke_off("upstream-reset");
                self.lease = None;
                Poll::Ready(Some(Err(BodyError::Sender(error))))
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    pub(crate) fn keep_moving(&mut self, cx: &mut Context<'_>) {
        self.incoming.keep_moving(cx);
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.exchange.connection()
    }

    /// The client takes nothing: the upstream's connection is let go.
    pub(crate) fn stalled(mut self) {
        self.exchange.broken_off("client-stalled");
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.silence.poll_too_long(cx));
        self.exchange.upstream_broke_off("idle-timeout");
        self.lease = None;
        Poll::Ready(())
    }

    fn finish(&mut self) {
        self.exchange.finish();
        // Before the client gets the last bytes: its next request finds this connection idle.
        if let Some(lease) = self.lease.take() {
            self.exchange.give_back(lease);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Upstream(download) => download.poll_frame(cx),
            Self::Relayed(relay) => relay.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.is_none(),
            Self::Upstream(download) => download.incoming.is_end_stream(),
            Self::Relayed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Upstream(download) => download.size_hint(),
            Self::Relayed(relay) => relay.size_hint(),
        }
    }
}
