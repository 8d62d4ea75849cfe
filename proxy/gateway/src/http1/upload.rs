//! The body of a client's request, for whoever reads it.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use super::Error;
use super::chunks::Decoded;
use super::framing::Decoder;
use super::server::{BodyState, Client, Wire};

/// The body of a request.
pub(crate) struct ClientBody {
    client: Client,
    /// Until its end.
    decoder: Option<Decoder>,
}

impl ClientBody {
    pub(super) fn new(client: Client, decoder: Decoder) -> Self {
        Self { client, decoder: Some(decoder) }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.decoder.is_none()
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.decoder.as_ref().map_or(Some(0), Decoder::left)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(decoder) = &mut self.decoder else { return Poll::Ready(None) };
        let mut wire = self.client.lock();
        let frame = ready!(wire.poll_decoded(decoder, cx));
        let has_ended = decoder.has_ended() || !matches!(frame, Ok(Decoded::Data(_) | Decoded::Need));
        if has_ended {
            // What is behind nonsense cannot be read either.
            let state = if frame.is_ok() { BodyState::Ended } else { BodyState::Left(Decoder::UntilClose) };
            self.decoder = None;
            wire.body_is(state);
        }
        Poll::Ready(match frame {
            Ok(Decoded::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Decoded::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Decoded::Need | Decoded::End) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl Wire {
    fn poll_decoded(&mut self, decoder: &mut Decoder, cx: &mut Context<'_>) -> Poll<Result<Decoded, Error>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Err(Error::Cut)) };
        if std::mem::take(&mut self.owes_continue) {
            self.output.text().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            // What is not taken now goes out before the answer.
            if let Poll::Ready(Err(error)) = self.output.poll_flush(&mut **stream, cx) {
                return Poll::Ready(Err(error.into()));
            }
        }
        loop {
            match decoder.decode(&mut self.input.bytes, false)? {
                Decoded::Need => {}
                other => return Poll::Ready(Ok(other)),
            }
            if ready!(self.input.poll_fill(&mut **stream, cx))? == 0 {
                return Poll::Ready(Err(Error::Cut));
            }
        }
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Some(decoder) = self.decoder.take() {
            self.client.lock().body_is(BodyState::Left(decoder));
        }
    }
}
