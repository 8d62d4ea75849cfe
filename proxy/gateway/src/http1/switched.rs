//! A stream that carries something else than HTTP from here on (RFC 9110 7.8).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use super::Duplex;

/// The stream, with what was read of it already.
pub(crate) struct Switched {
    stream: Box<dyn Duplex>,
    ahead: BytesMut,
}

/// A client's side of it, which comes when the 101 has been written. In the extensions of a request that asks for it.
#[derive(Clone)]
pub(crate) struct Switch(Arc<Mutex<Option<oneshot::Receiver<Switched>>>>);

impl Switch {
    pub(super) fn new() -> (oneshot::Sender<Switched>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    /// Taken once.
    pub(crate) fn take(&self) -> Option<oneshot::Receiver<Switched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Switched {
    pub(super) fn new(stream: Box<dyn Duplex>, ahead: BytesMut) -> Self {
        // One that is empty would keep its memory for as long as the stream lives.
        let ahead = if ahead.is_empty() { BytesMut::new() } else { ahead };
        Self { stream, ahead }
    }
}

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let given = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead[..given]);
        self.ahead.advance(given);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Switched {
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
