//! Lingering close (RFC 9112 9.6) on the stream to the client.
//!
//! Closing a socket that still has unread bytes makes the kernel send a reset, and the reset can overtake
//! an answer the client has not read yet. So the write side is closed first, and what the client still
//! sends is read and thrown away, until it closes too or the time is over.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::proxy_protocol::{self, Malformed};
use crate::reset;

/// Longest time spent on a client that keeps sending.
const LINGER: Duration = Duration::from_secs(2);

/// Longest time a client may take nothing of what is sent to it (nginx's `send_timeout` has the same default).
const STALL: Duration = Duration::from_mins(1);

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Room for the first read: the head of a usual request.
const FIRST_READ: usize = 2048;

pub(crate) struct Lingering<S> {
    stream: S,
    /// Read already, and not yet given to anybody.
    ahead: BytesMut,
    client_is_done: bool,
    shared: Arc<StreamState>,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    state: Closing,
}

/// What others know or say of the stream.
#[derive(Default)]
pub(crate) struct StreamState {
    is_upgraded: AtomicBool,
    is_stalled: AtomicBool,
    has_moved: AtomicBool,
    has_read: AtomicBool,
    ends_with_close: AtomicBool,
    is_cut: AtomicBool,
    is_closing: AtomicBool,
    /// The client's socket, while the stream lives.
    socket: Option<RawFd>,
}

impl StreamState {
    pub(crate) fn of(socket: Option<RawFd>) -> Self {
        Self { socket, ..Self::default() }
    }

    /// The client speaks HTTP/1.0: the end of an answer without a length is the end of the connection.
    pub(crate) fn ends_with_close(&self) {
        self.ends_with_close.store(true, Ordering::Release);
    }

    /// An answer on its way broke off: the client must see that.
    pub(crate) fn is_now_cut(&self) {
        self.is_cut.store(true, Ordering::Release);
    }

    /// The last answer is on its way, and what the client still sends is thrown away.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// The stream carries something else than HTTP: its two sides close it, and what the client still sends is meant
    /// for the upstream.
    pub(crate) fn is_now_upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Release);
    }

    /// Whether the client has taken anything since this was last asked, or has something to take still.
    pub(crate) fn is_taking(&self) -> bool {
        self.has_moved.swap(false, Ordering::Relaxed) || self.is_stalled()
    }

    /// Whether anything was read since [`Self::is_read_up`].
    pub(crate) fn has_read(&self) -> bool {
        self.has_read.load(Ordering::Relaxed)
    }

    /// What was read until now is done with.
    pub(crate) fn is_read_up(&self) {
        self.has_read.store(false, Ordering::Relaxed);
    }

    /// Bytes wait for the client to take them.
    pub(crate) fn is_stalled(&self) -> bool {
        self.is_stalled.load(Ordering::Relaxed)
    }
}

enum Closing {
    Open,
    Draining(Pin<Box<Sleep>>),
    Closed,
}

impl<S> Lingering<S> {
    pub(crate) fn new(stream: S, shared: Arc<StreamState>) -> Self {
        Self {
            stream,
            ahead: BytesMut::new(),
            client_is_done: false,
            shared,
            stalled: None,
            state: Closing::Open,
        }
    }

    /// An error when the client has taken nothing for too long: it would hold its upstream connection for ever.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            if self.stalled.take().is_some() {
                self.shared.is_stalled.store(false, Ordering::Relaxed);
            }
            self.shared.has_moved.store(true, Ordering::Relaxed);
            return outcome;
        }
        self.shared.is_stalled.store(true, Ordering::Relaxed);
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
    }
}

/// Half an answer must not look whole.
impl<S> Drop for Lingering<S> {
    fn drop(&mut self) {
        let shared = &self.shared;
        if !shared.is_cut.load(Ordering::Acquire) || !shared.ends_with_close.load(Ordering::Acquire) {
            return;
        }
        if let Some(Err(error)) = shared.socket.map(reset::on_close) {
            tracing::warn!(%error, "cannot reset a connection: an HTTP/1.0 client may take half an answer for a whole one");
        }
    }
}

impl<S: AsyncRead + Unpin> Lingering<S> {
    /// Whether the client begins with the preface of HTTP/2 (RFC 9113 3.4). Reads as much as it takes to know; what
    /// was read comes again with the next read.
    pub(crate) async fn begins_with_http2(&mut self) -> io::Result<bool> {
        self.ahead.reserve(FIRST_READ);
        loop {
            let known = self.ahead.len().min(HTTP2_PREFACE.len());
            if self.ahead[..known] != HTTP2_PREFACE[..known] {
                return Ok(false);
            }
            if known == HTTP2_PREFACE.len() {
                return Ok(true);
            }
            if self.stream.read_buf(&mut self.ahead).await? == 0 {
                self.client_is_done = true;
                return Ok(false);
            }
        }
    }

    /// Takes the PROXY header from the beginning of the stream: whom the peer speaks for, if it says so. What was read
    /// behind it comes again with the next read.
    pub(crate) async fn proxy_header(&mut self) -> io::Result<Option<SocketAddr>> {
        self.ahead.reserve(FIRST_READ);
        loop {
            match proxy_protocol::parse(&self.ahead) {
                Ok(Some(header)) => {
                    self.ahead.advance(header.length);
                    return Ok(header.client);
                }
                Err(malformed) => return Err(io::Error::new(io::ErrorKind::InvalidData, malformed)),
                Ok(None) if self.stream.read_buf(&mut self.ahead).await? > 0 => {}
                // Who only looks whether the port is open has done nothing wrong.
                Ok(None) if self.ahead.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(None) => return Err(io::Error::new(io::ErrorKind::InvalidData, Malformed)),
            }
        }
    }

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
        if !self.ahead.is_empty() {
            let given = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead.split_to(given));
            self.shared.has_read.store(true, Ordering::Relaxed);
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        let is_empty = buf.filled().len() == before;
        if !is_empty {
            self.shared.has_read.store(true, Ordering::Relaxed);
        }
        self.client_is_done = outcome.is_err() || (is_empty && buf.capacity() > before);
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
                    this.shared.is_closing.store(true, Ordering::Relaxed);
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    if this.shared.is_upgraded.load(Ordering::Acquire) {
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
