//! What was read of a stream and not yet used.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::buffers::{self, Room};

/// Below this much room another buffer is begun.
const LEAST: usize = 2 << 10;
/// Room for the pieces of a body of which there is more.
const MOST: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Input {
    pub(super) bytes: BytesMut,
    /// The stream has ended.
    pub(super) has_ended: bool,
    room: Room,
    /// What the last read took, if it was all the room there was.
    filled: usize,
    /// The buffer is no longer one of the thread's.
    is_own: bool,
}

impl Input {
    pub(super) fn with_room(room: Room) -> Self {
        Self { room, ..Self::default() }
    }

    /// Reads once; the number of bytes is 0 at the end of the stream. While it waits with nothing in hand it holds no
    /// memory.
    pub(super) fn poll_fill<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + Unpin + ?Sized,
    {
        if self.has_ended {
            return Poll::Ready(Ok(0));
        }
        self.make_room();
        let room = self.bytes.capacity() - self.bytes.len();
        let polled = pin!(stream.read_buf(&mut self.bytes)).poll(cx);
        let Poll::Ready(read) = polled else {
            return Poll::Pending;
        };
        let read = read?;
        self.filled = if read == room { read } else { 0 };
        self.has_ended = read == 0;
        Poll::Ready(Ok(read))
    }

    fn make_room(&mut self) {
        let room = self.bytes.capacity() - self.bytes.len();
        if self.filled > 0 && self.bytes.is_empty() {
            // There is more of it, and what was read may be in other hands, capacity and all.
            self.bytes.reserve((2 * self.filled).clamp(LEAST, MOST));
            self.is_own = true;
        } else if self.bytes.capacity() == 0 {
            self.bytes = buffers::take(self.room);
        } else if room < LEAST {
            self.bytes.reserve(self.bytes.len().clamp(8 << 10, MOST));
            self.is_own = true;
        }
    }

    /// Gives its memory back if it holds nothing.
    pub(super) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.filled = 0;
            let buffer = std::mem::take(&mut self.bytes);
            if !std::mem::take(&mut self.is_own) {
                buffers::give(buffer, self.room);
            }
        }
    }

    /// Reads for somebody who waits with nothing in hand, and holds no memory meanwhile.
    pub(super) fn poll_begin<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<usize>>
    where
        S: AsyncRead + Unpin + ?Sized,
    {
        let polled = self.poll_fill(stream, cx);
        if polled.is_pending() {
            self.rest();
        }
        Poll::Ready(ready!(polled))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use bytes::Buf as _;
    use tokio::io::AsyncWriteExt as _;

    use super::{Input, MOST};

    #[test]
    fn who_waits_with_nothing_in_hand_holds_no_memory() {
        let (mut stream, mut other) = tokio::io::duplex(64);
        let (mut input, mut turn) = (Input::default(), Context::from_waker(Waker::noop()));
        assert!(input.poll_begin(&mut stream, &mut turn).is_pending());
        assert_eq!(input.bytes.capacity(), 0);
        assert!(pin!(other.write_all(b"GET")).poll(&mut turn).is_ready());
        assert!(matches!(input.poll_begin(&mut stream, &mut turn), Poll::Ready(Ok(3))));
        input.bytes.advance(3);
        assert!(input.poll_begin(&mut stream, &mut turn).is_pending());
        assert_eq!(input.bytes.capacity(), 0, "though it held something before");
    }

    /// A body whose pieces go elsewhere, capacity and all, was read 8 KiB at a time.
    #[test]
    fn what_is_there_is_read_in_large_pieces() {
        let body = vec![7; 1 << 20];
        let (mut stream, mut input, mut reads) = (&body[..], Input::default(), 0);
        let mut turn = Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(1..)) = input.poll_fill(&mut stream, &mut turn) {
            drop(input.bytes.split().freeze());
            reads += 1;
        }
        assert!(input.has_ended);
        assert!(reads <= body.len() / MOST + 4, "{reads} reads");
    }
}
