//! Bodies as they come in, of this engine or of hyper's HTTP/2.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Error;
use super::upload::ClientBody;
use super::upstream::AnswerBody;

/// A body on its way in.
pub(crate) enum Incoming {
    Empty,
    Client(ClientBody),
    Answer(AnswerBody),
    Http2(hyper::body::Incoming),
}

/// Why a message could not be read or written to its end, in either version.
#[derive(Debug)]
pub(crate) enum StreamError {
    Http1(Error),
    Http2(hyper::Error),
}

impl fmt::Display for StreamError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http1(error) => error.fmt(out),
            Self::Http2(error) => error.fmt(out),
        }
    }
}

impl StreamError {
    /// What came was no HTTP.
    pub(crate) fn is_malformed(&self) -> bool {
        match self {
            Self::Http1(error) => matches!(error, Error::Malformed(_)),
            Self::Http2(error) => error.is_parse(),
        }
    }

    /// The cause, where hyper looks for the reason of a stream that was reset.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Http1(_) => None,
            Self::Http2(error) => Some(error),
        }
    }
}

impl From<Error> for StreamError {
    fn from(error: Error) -> Self {
        Self::Http1(error)
    }
}

impl From<hyper::Error> for StreamError {
    fn from(error: hyper::Error) -> Self {
        Self::Http2(error)
    }
}

impl Incoming {
    /// What is being sent on the same connection meanwhile goes on, though nobody takes of this.
    pub(crate) fn keep_moving(&mut self, cx: &mut Context<'_>) {
        if let Self::Answer(body) = self {
            body.keep_moving(cx);
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client(body) => body.poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?))),
            Self::Answer(body) => body.poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?))),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| Ok(frame?))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) => body.has_ended(),
            Self::Answer(body) => body.has_ended(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let known = |left: Option<u64>| left.map_or_else(SizeHint::default, SizeHint::with_exact);
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) => known(body.left()),
            Self::Answer(body) => known(body.left()),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
