//! The stream to an upstream, in two layers: below TLS it is forgiving about writes, above it what is read is counted,
//! with a limit to what may come before the head of an answer.
//!
//! A server that refuses an upload (413, 401) answers and closes while the body is still on its way. The
//! write then fails before the answer is read, and the answer would be lost. So a failed write is
//! swallowed, and the read side decides: either the answer is there, or the connection ended without one.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::pool::Slot;

/// Too much came before the head of an answer.
#[derive(Debug)]
struct Endless;

impl fmt::Display for Endless {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no head of an answer in all that came")
    }
}

impl std::error::Error for Endless {}

/// Whether that is why reading failed.
pub(crate) fn is_endless(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    error.is_some_and(<dyn std::error::Error + Send + Sync>::is::<Endless>)
}

/// What is read of answers. Above TLS, whose tickets and alerts are no answers.
pub(crate) struct Heard<S> {
    stream: S,
    slot: Arc<Slot>,
}

impl<S> Heard<S> {
    pub(crate) fn new(stream: S, slot: &Arc<Slot>) -> Self {
        Self { stream, slot: Arc::clone(slot) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let is_too_much = !self.slot.may_have_read(buf.filled().len() - before);
        Poll::Ready(if is_too_much { Err(io::Error::other(Endless)) } else { Ok(()) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Forgiving about writes.
pub(crate) struct UpstreamIo {
    stream: TcpStream,
    slot: Arc<Slot>,
    write_failed: bool,
}

impl UpstreamIo {
    pub(crate) fn new(stream: TcpStream, slot: Arc<Slot>) -> Self {
        Self { stream, slot, write_failed: false }
    }

    fn forgive(&mut self, outcome: io::Result<usize>, length: usize) -> io::Result<usize> {
        match outcome {
            // After an upgrade there is no answer left to wait for.
            Err(error) if is_disconnect(&error) && !self.slot.is_upgraded() => {
                self.write_failed = true;
                Ok(length)
            }
            other => other,
        }
    }
}

fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset | ConnectionAborted)
}

impl AsyncRead for UpstreamIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for UpstreamIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.forgive(outcome, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if self.write_failed {
            return Poll::Ready(Ok(length));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.forgive(outcome, length))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
