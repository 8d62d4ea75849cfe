//! Lingering close (RFC 9112 9.6) on the stream to the client.
//!
//! Closing a socket that still has unread bytes makes the kernel send a reset, and the reset can overtake
//! an answer the client has not read yet. So the write side is closed first, and what the client still
//! sends is read and thrown away, until it closes too or the time is over.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Longest time spent on a client that keeps sending.
const LINGER: Duration = Duration::from_secs(2);

/// Longest time a client may take nothing of what is sent to it (nginx's `send_timeout` has the same default).
const STALL: Duration = Duration::from_mins(1);

pub(crate) struct Lingering<S> {
    stream: S,
    client_is_done: bool,
    /// An upgraded stream is closed by its two sides, and what the client still sends is meant for the upstream.
    upgraded: Arc<AtomicBool>,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    state: Closing,
}

enum Closing {
    Open,
    Draining(Pin<Box<Sleep>>),
    Closed,
}

impl<S> Lingering<S> {
    pub(crate) fn new(stream: S, upgraded: Arc<AtomicBool>) -> Self {
        Self { stream, client_is_done: false, upgraded, stalled: None, state: Closing::Open }
    }

    /// An error when the client has taken nothing for too long: it would hold its upstream connection for ever.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0_u8; 4096];
        while !self.client_is_done {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                Ok(()) | Err(_) => self.client_is_done = true,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.client_is_done = outcome.is_err() || (buf.filled().len() == before && buf.capacity() > before);
        Poll::Ready(outcome)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                Closing::Open => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    if this.upgraded.load(Ordering::Acquire) {
                        this.state = Closing::Closed;
                        return Poll::Ready(Ok(()));
                    }
                    this.state = Closing::Draining(Box::pin(sleep(LINGER)));
                }
                Closing::Draining(time_over) => {
                    let is_over = time_over.as_mut().poll(cx).is_ready();
                    if !is_over {
                        ready!(this.poll_drain(cx));
                    }
                    this.state = Closing::Closed;
                }
                Closing::Closed => return Poll::Ready(Ok(())),
            }
        }
    }
}
