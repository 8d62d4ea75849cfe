//! What waits to be written: heads, small pieces of bodies, and one large piece that is not copied.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

use super::buffers;
use super::framing::{Encoder, write_trailers};

/// Pieces up to here are copied behind the head: one more slice would cost more.
const COPIED: usize = 4 << 10;
/// With more than this waiting, nothing is added.
const ENOUGH: usize = 16 << 10;

#[derive(Default)]
pub(super) struct Output {
    text: Vec<u8>,
    /// Of `text`.
    written: usize,
    piece: Bytes,
    /// Behind the piece.
    tail: &'static [u8],
    is_flushed: bool,
}

/// The body ended before its length.
#[derive(Debug)]
pub(super) struct TooShort;

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.piece.is_empty() && self.tail.is_empty()
    }

    /// Something may be added.
    pub(super) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.tail.is_empty() && self.text.len() < ENOUGH
    }

    /// For a head, where there is room.
    pub(super) fn text(&mut self) -> &mut Vec<u8> {
        debug_assert!(
            self.piece.is_empty() && self.tail.is_empty(),
            "behind a piece there is no place for text"
        );
        if self.text.capacity() == 0 {
            self.text = buffers::take_out();
        }
        &mut self.text
    }

    /// A piece of the body, where there is room.
    pub(super) fn data(&mut self, encoder: &mut Encoder, mut data: Bytes) {
        match encoder {
            Encoder::Length(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                self.write(data, b"");
            }
            // An empty chunk would be the last one.
            Encoder::Chunked(_) if data.is_empty() => {}
            Encoder::Chunked(_) => {
                write!(self.text(), "{:X}\r\n", data.len()).expect("memory takes all that is written");
                self.write(data, b"\r\n");
            }
            Encoder::UntilClose => self.write(data, b""),
        }
    }

    /// The end of the body, where there is room.
    pub(super) fn end(&mut self, encoder: &Encoder, trailers: Option<&HeaderMap>) -> Result<(), TooShort> {
        match encoder {
            Encoder::Length(0) | Encoder::UntilClose => Ok(()),
            Encoder::Length(_) => Err(TooShort),
            Encoder::Chunked(allowed) => {
                let text = self.text();
                text.extend_from_slice(b"0\r\n");
                if let (Some(trailers), Some(allowed)) = (trailers, allowed) {
                    write_trailers(trailers, allowed, text);
                }
                text.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }

    fn write(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() > COPIED {
            (self.piece, self.tail) = (data, tail);
        } else {
            let text = self.text();
            text.extend_from_slice(&data);
            text.extend_from_slice(tail);
        }
    }

    /// Ready when all of it is written.
    pub(super) fn poll_flush<S>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: AsyncWrite + Unpin + ?Sized,
    {
        while !self.is_empty() {
            self.is_flushed = false;
            let text = &self.text[self.written..];
            let polled = if !self.piece.is_empty() && stream.is_write_vectored() {
                let slices = [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
                Pin::new(&mut *stream).poll_write_vectored(cx, &slices)
            } else {
                let parts = [text, &self.piece, self.tail];
                let first = parts.into_iter().find(|part| !part.is_empty()).unwrap_or_default();
                Pin::new(&mut *stream).poll_write(cx, first)
            };
            match ready!(polled)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.advance(count),
            }
        }
        if !self.is_flushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, count: usize) {
        let of_text = count.min(self.text.len() - self.written);
        self.written += of_text;
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
        let of_piece = (count - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
        self.tail = &self.tail[count - of_text - of_piece..];
    }

    /// Gives its memory back if it holds nothing.
    pub(super) fn rest(&mut self) {
        if self.is_empty() && self.text.capacity() > 0 {
            buffers::give_out(std::mem::take(&mut self.text));
        }
    }
}
