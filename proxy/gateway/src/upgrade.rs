//! Both sides of a 101 joined: bytes pass either way until both directions have ended.
//!
//! A joined stream follows the arm it began on, whatever the table says later.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};
use tokio::time::sleep;

/// Joins both sides until both have ended, or nothing moved for `idle`. Returns the bytes to upstream and to client.
pub(crate) async fn join(client: OnUpgrade, upstream: OnUpgrade, idle: Duration) -> io::Result<(u64, u64)> {
    let (client, upstream) = tokio::try_join!(client, upstream).map_err(io::Error::other)?;
    let clock = Arc::new(Clock::start());
    let mut client = Watched { stream: TokioIo::new(client), clock: Arc::clone(&clock) };
    let mut upstream = Watched { stream: TokioIo::new(upstream), clock: Arc::clone(&clock) };
    tokio::select! {
        copied = copy_bidirectional(&mut client, &mut upstream) => copied,
        () = clock.silence(idle) => Err(io::Error::new(io::ErrorKind::TimedOut, "nothing moved for too long")),
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
    stream: TokioIo<Upgraded>,
    clock: Arc<Clock>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.clock.moved();
        Poll::Ready(outcome)
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
