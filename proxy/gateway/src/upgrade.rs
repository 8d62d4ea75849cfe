//! Both sides of a 101 joined: bytes pass either way until both directions have ended.
//!
//! A joined stream follows the arm it began on, whatever the table says later.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::{Extensions, HeaderValue, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::forwarding;
use crate::http1::{Duplex, Switch, Switched};
use crate::message::{AnswerHead, Fields};
use crate::websocket::Handshake;

/// How often hyper's own task for a stream gets its turn before a stream that ends counts as ended in order.
const TURNS: u8 = 4;

/// What a client asks to change to, and its side of the stream.
pub(crate) struct Wanted {
    protocols: HeaderValue,
    client: Client,
    /// Of an HTTP/2 client, whose stream is one of many on its connection.
    handshake: Option<Handshake>,
}

/// The client's side, which comes when it has the head of the answer.
enum Client {
    Http1(oneshot::Receiver<Switched>),
    Http2(OnUpgrade),
}

impl Client {
    async fn stream(self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Http1(switched) => Box::new(switched.await.map_err(io::Error::other)?),
            Self::Http2(upgraded) => Box::new(TokioIo::new(upgraded.await.map_err(io::Error::other)?)),
        })
    }
}

impl Wanted {
    /// `None` where the client's server sees no upgrade.
    pub(crate) fn of(
        protocols: HeaderValue,
        handshake: Option<Handshake>,
        extensions: &mut Extensions,
    ) -> Option<Self> {
        let switch = extensions.remove::<Switch>().and_then(|switch| switch.take());
        let client = match switch {
            Some(switched) => Client::Http1(switched),
            None => Client::Http2(extensions.remove::<OnUpgrade>()?),
        };
        Some(Self { protocols, client, handshake })
    }

    /// Whether a 101 with these fields is what was asked for.
    pub(crate) fn is_met_by(&self, answer: &Fields) -> bool {
        let is_proven = self.handshake.as_ref().is_none_or(|handshake| handshake.is_met_by(answer));
        is_proven && forwarding::is_wanted_switch(&self.protocols, answer)
    }

    /// Whether the client would take an ordinary answer of this status for a 101 (RFC 8441 5).
    pub(crate) fn would_be_met(&self, status: StatusCode) -> bool {
        self.handshake.is_some() && status.is_success()
    }

    pub(crate) fn takes_the_connection(&self) -> bool {
        self.handshake.is_none()
    }

    /// The 101 as the client reads it.
    pub(crate) fn fit(&self, head: &mut AnswerHead) {
        if self.handshake.is_some() {
            head.status = StatusCode::OK;
            Handshake::end(&mut head.fields);
        }
    }

    /// Joins both sides until both have ended, or nothing moved for `idle`. Returns the bytes to upstream and to client.
    pub(crate) async fn join(self, upstream: Switched, idle: Duration) -> io::Result<(u64, u64)> {
        let client = self.client.stream().await?;
        let clock = Arc::new(Clock::start());
        let turns = if self.handshake.is_some() { TURNS } else { 0 };
        let mut client = Watched::new(client, &clock, turns);
        let mut upstream = Watched::new(Box::new(upstream), &clock, 0);
        tokio::select! {
            copied = copy_bidirectional(&mut client, &mut upstream) => copied,
            () = clock.silence(idle) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "nothing moved for too long"))
            }
        }
    }
}

/// When a byte last moved in either direction.
struct Clock {
    started: Instant,
    last_moved_ms: AtomicU64,
}

impl Clock {
    fn start() -> Self {
        Self { started: Instant::now(), last_moved_ms: AtomicU64::new(0) }
    }

    fn moved(&self) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_moved_ms.store(elapsed, Ordering::Relaxed);
    }

    /// Ends when nothing has moved for this long.
    async fn silence(&self, idle: Duration) {
        loop {
            let last = self.started + Duration::from_millis(self.last_moved_ms.load(Ordering::Relaxed));
            match (last + idle).checked_duration_since(Instant::now()) {
                Some(rest) if !rest.is_zero() => sleep(rest).await,
                _ => return,
            }
        }
    }
}

struct Watched {
    stream: Box<dyn Duplex>,
    clock: Arc<Clock>,
    /// Left of [`TURNS`]; none for a stream that is a connection of its own.
    turns: u8,
    has_ended: bool,
}

impl Watched {
    fn new(stream: Box<dyn Duplex>, clock: &Arc<Clock>, turns: u8) -> Self {
        Self { stream, clock: Arc::clone(clock), turns, has_ended: false }
    }

    /// At the end of what is read. hyper takes a stream that was reset with CANCEL, as a browser does that leaves, for one
    /// that ended in order: only writing fails, once hyper's task for it has heard.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.turns == 0 {
            return Poll::Ready(Ok(()));
        }
        self.turns -= 1;
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_ended {
            return self.poll_end(cx);
        }
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.clock.moved();
        self.has_ended = outcome.is_ok() && buf.filled().len() == before;
        if self.has_ended { self.poll_end(cx) } else { Poll::Ready(outcome) }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
