//! A client's connection: one request after the other, each answered before the next is read (RFC 9112 9.3).
//!
//! - Requests that are sent ahead wait in the buffer, and behind it in the socket.
//! - While an answer is waited for, or comes, a client that closes is noticed; what it has sent is given up.
//! - `100 Continue` goes out when somebody asks for the body (RFC 9110 10.1.1).
//! - An answer before the end of its request is sent at once. What is left of the request is read on if somebody reads it, and
//!   passed over if it is there; else the connection ends behind the answer (RFC 9112 9.3).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body::{Body as _, Frame};
use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::chunks::Decoded;
use super::framing::{Decoder, Encoder};
use super::head::{self, Asked, Bounds, Refused, Search};
use super::input::Input;
use super::output::Output;
use super::upload::ClientBody;
use super::writing::Exchange;
use super::{Duplex, Error, Incoming, Switch, Switched};
use crate::body::ResponseBody;
use crate::message::{Answer, RequestHead};

/// Reads of a body that nobody wants, for the sake of the connection.
const MAX_PASSED: usize = 8;

/// A client's connection, for who serves it and for the body that is being read of it.
#[derive(Clone)]
pub(crate) struct Client(Arc<Mutex<Wire>>);

pub(super) struct Wire {
    pub(super) stream: Option<Box<dyn Duplex>>,
    pub(super) input: Input,
    search: Search,
    pub(super) output: Output,
    /// The request's body.
    body: BodyState,
    /// Whoever waits for the end of the body.
    waits: Option<Waker>,
    /// The client waits for permission to send its body.
    pub(super) owes_continue: bool,
    /// It was answered without: it may send its next request in place of the body.
    was_not_asked: bool,
    /// No further request is read.
    ends: bool,
}

#[derive(Debug)]
pub(super) enum BodyState {
    Ended,
    /// Somebody has it.
    Held,
    /// Nobody has it any more, and this is left of it.
    Left(Decoder),
}

/// How long heads may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) fields_bytes: usize,
    pub(crate) target_bytes: usize,
    pub(crate) fields: usize,
}

/// A head that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    Malformed,
    TooLong,
    TargetTooLong,
}

/// What comes of a connection behind an answer.
enum Next {
    Request,
    Close,
    Switched,
}

impl Client {
    pub(crate) fn new(stream: Box<dyn Duplex>) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            stream: Some(stream),
            input: Input::default(),
            search: Search::default(),
            output: Output::default(),
            body: BodyState::Ended,
            waits: None,
            owes_continue: false,
            was_not_asked: false,
            ends: false,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After the request under way there is no other. The task that serves must be polled afterwards.
    pub(crate) fn end_gracefully(&self) {
        self.lock().ends = true;
    }

    /// Serves until either side ends. `refuse` answers for a head that could not be read.
    pub(crate) async fn serve<A, F, R>(&self, limits: HeadLimits, answer: A, refuse: R) -> Result<(), Error>
    where
        A: Fn(Box<RequestHead>, Incoming) -> F,
        F: Future<Output = Answer> + Send,
        R: Fn(Unread) -> Answer,
    {
        let bounds = Bounds {
            bytes: limits.fields_bytes + limits.target_bytes,
            fields: limits.fields,
            target: limits.target_bytes,
        };
        loop {
            let asked = match poll_fn(|cx| self.lock().poll_request(&bounds, cx)).await? {
                Head::Asked(asked) => asked,
                Head::Refused(unread) => {
                    self.give(Exchange::refused(), refuse(unread)).await?;
                    break;
                }
                Head::None => break,
            };
            let (exchange, head, body) = self.begin(asked);
            // On the heap: a connection that rests has no room for it.
            let answer = self.answered(Box::pin(answer(head, body))).await?;
            let next = self.give(exchange, answer).await?;
            match next {
                Next::Request => {}
                Next::Close => break,
                Next::Switched => return Ok(()),
            }
        }
        self.close().await
    }

    async fn close(&self) -> Result<(), Error> {
        poll_fn(|cx| {
            let mut wire = self.lock();
            // What is thrown away from here on must be missed by whoever still reads a body.
            wire.input.has_ended = true;
            wire.input.bytes.clear();
            wire.input.rest();
            wire.output.rest();
            match &mut wire.stream {
                Some(stream) => Pin::new(stream).poll_shutdown(cx).map_err(Error::Io),
                None => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Takes the stream from a connection that is served no more.
    pub(crate) async fn say_and_close(&self, text: &[u8]) -> Result<(), Error> {
        let Some(mut stream) = self.lock().stream.take() else { return Ok(()) };
        stream.write_all(text).await?;
        Ok(stream.shutdown().await?)
    }

    fn begin(&self, asked: Asked) -> (Exchange, Box<RequestHead>, Incoming) {
        let Asked { mut head, body: decoder, expects_continue, keeps_alive, wants_upgrade, takes_trailers } =
            asked;
        let mut exchange = Exchange {
            method: head.method.clone(),
            version: head.version,
            keeps_alive,
            takes_trailers,
            switch: None,
        };
        if wants_upgrade {
            let (sender, switch) = Switch::new();
            head.extensions.insert(switch);
            exchange.switch = Some(sender);
        }
        let mut wire = self.lock();
        let body = if decoder.has_ended() {
            wire.body = BodyState::Ended;
            Incoming::Empty
        } else {
            wire.body = BodyState::Held;
            wire.owes_continue = expects_continue && exchange.version == Version::HTTP_11;
            Incoming::Client(ClientBody::new(self.clone(), decoder))
        };
        (exchange, head, body)
    }

    async fn answered<F>(&self, mut answering: Pin<Box<F>>) -> Result<Answer, Error>
    where
        F: Future<Output = Answer>,
    {
        poll_fn(|cx| match answering.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => self.lock().poll_gone(cx).map(Err),
        })
        .await
    }

    /// Writes an answer, and sees to what is left of its request.
    async fn give(&self, mut exchange: Exchange, answer: Answer) -> Result<Next, Error> {
        let Answer { head, mut body } = answer;
        let is_switch = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let mut encoder = {
            let mut wire = self.lock();
            wire.was_not_asked = std::mem::take(&mut wire.owes_continue);
            // What was begun of a `100 Continue` comes first.
            exchange.write_head(&head, &body, wire.output.text())
        };
        drop(head);
        let is_bodiless = is_switch || matches!(encoder, Encoder::Length(0));
        let is_until_close = matches!(encoder, Encoder::UntilClose);
        let mut is_whole = is_bodiless;
        let mut failed = None;
        poll_fn(|cx| {
            if failed.is_none() {
                let takes_trailers = exchange.takes_trailers;
                match ready!(self.poll_body(&mut body, &mut encoder, &mut is_whole, takes_trailers, cx)) {
                    Ok(()) => return Poll::Ready(Ok(())),
                    Err(error) => failed = Some(error),
                }
            }
            // What came before the failure still belongs to the client.
            let flushed = self.lock().poll_flush(cx)?;
            flushed.map(|()| failed.take().map_or(Ok(()), Err))
        })
        .await?;
        drop(body);
        if is_switch {
            return Ok(self.switch(exchange.switch.take()));
        }
        let may_go_on = exchange.keeps_alive && !is_until_close;
        poll_fn(|cx| self.lock().poll_rest(may_go_on, cx)).await
    }

    /// Ready when the whole answer has been written.
    fn poll_body(
        &self,
        body: &mut ResponseBody,
        encoder: &mut Encoder,
        is_whole: &mut bool,
        takes_trailers: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            let mut is_waiting = false;
            while !*is_whole && !is_waiting && self.lock().output.has_room() {
                // Not under the lock: the body may read of this connection.
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Pending => is_waiting = true,
                    Poll::Ready(frame) => {
                        let frame = frame.transpose().map_err(|error| Error::Upload(Box::new(error)))?;
                        *is_whole = self.lock().add(frame, body, encoder, takes_trailers)?;
                    }
                }
            }
            let mut wire = self.lock();
            if wire.poll_flush(cx)?.is_pending() {
                let gone = wire.poll_gone(cx);
                drop(wire);
                body.keep_moving(cx);
                return gone.map(Err);
            }
            if *is_whole {
                return Poll::Ready(Ok(()));
            }
            if is_waiting {
                return wire.poll_gone(cx).map(Err);
            }
        }
    }

    fn switch(&self, to: Option<oneshot::Sender<Switched>>) -> Next {
        let mut wire = self.lock();
        let ahead = std::mem::take(&mut wire.input.bytes);
        if let (Some(stream), Some(to)) = (wire.stream.take(), to) {
            // Who does not want it any more closes it.
            let _ = to.send(Switched::new(stream, ahead));
        }
        Next::Switched
    }
}

enum Head {
    Asked(Asked),
    Refused(Unread),
    /// The client is done, or we are.
    None,
}

impl Wire {
    fn poll_request(&mut self, bounds: &Bounds, cx: &mut Context<'_>) -> Poll<Result<Head, Error>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(Head::None)) };
        self.output.rest();
        loop {
            if !self.input.bytes.is_empty() {
                match head::request(&mut self.input.bytes, &mut self.search, bounds) {
                    Ok(None) => {}
                    Ok(Some(asked)) => return Poll::Ready(Ok(Head::Asked(asked))),
                    Err(refused) => {
                        return Poll::Ready(Ok(Head::Refused(match refused {
                            Refused::Malformed(what) => {
                                tracing::debug!(what, "a head that cannot be read");
                                Unread::Malformed
                            }
                            Refused::TooLong => Unread::TooLong,
                            Refused::TargetTooLong => Unread::TargetTooLong,
                        })));
                    }
                }
            }
            if self.ends && self.input.bytes.is_empty() {
                return Poll::Ready(Ok(Head::None));
            }
            if ready!(self.input.poll_begin(&mut **stream, cx))? == 0 {
                let is_clean = self.input.bytes.is_empty();
                return Poll::Ready(if is_clean { Ok(Head::None) } else { Err(Error::Cut) });
            }
        }
    }

    /// Ready when the client has closed, as far as that can be seen: not behind what waits to be used.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let is_watched = self.input.bytes.is_empty();
        let Some(stream) = self.stream.as_mut().filter(|_| is_watched) else { return Poll::Pending };
        // Most clients send nothing now: it must not cost a buffer to see that.
        match ready!(self.input.poll_begin(&mut **stream, cx)) {
            Ok(0) => Poll::Ready(Error::Cut),
            Ok(_) => {
                if matches!(self.body, BodyState::Held) {
                    // Who reads the body has looked for it before it came.
                    cx.waker().wake_by_ref();
                }
                // The next request waits.
                Poll::Pending
            }
            Err(error) => Poll::Ready(Error::Io(error)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        match &mut self.stream {
            Some(stream) => match self.output.poll_flush(&mut **stream, cx) {
                Poll::Ready(written) => Ok(Poll::Ready(written?)),
                Poll::Pending => Ok(Poll::Pending),
            },
            None => Err(Error::Cut),
        }
    }

    /// A frame of the answer's body. True with the last one.
    fn add(
        &mut self,
        frame: Option<Frame<Bytes>>,
        body: &ResponseBody,
        encoder: &mut Encoder,
        takes_trailers: bool,
    ) -> Result<bool, Error> {
        let trailers = match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.output.data(encoder, data);
                if !(body.is_end_stream() && self.output.has_room()) {
                    return Ok(matches!(encoder, Encoder::Length(0)));
                }
                None
            }
            Some(Err(frame)) => frame.into_trailers().ok().filter(|_| takes_trailers),
            None => None,
        };
        self.output.end(encoder, trailers.as_ref()).map_err(|_| Error::Cut)?;
        Ok(true)
    }

    /// Ready when the request has come to its end, or will not.
    fn poll_rest(&mut self, may_go_on: bool, cx: &mut Context<'_>) -> Poll<Result<Next, Error>> {
        let next = if may_go_on { Next::Request } else { Next::Close };
        let mut passed = 0;
        loop {
            match &mut self.body {
                BodyState::Ended => return Poll::Ready(Ok(next)),
                // It may send its next request in place of the body.
                BodyState::Held if self.was_not_asked => return Poll::Ready(Ok(Next::Close)),
                BodyState::Held => {
                    self.waits = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                BodyState::Left(decoder) => match decoder.decode(&mut self.input.bytes, false) {
                    Ok(Decoded::Data(_)) => {}
                    Ok(Decoded::End | Decoded::Trailers(_)) => self.body = BodyState::Ended,
                    Ok(Decoded::Need) if !self.was_not_asked => {
                        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(Next::Close)) };
                        match self.input.poll_fill(&mut **stream, cx) {
                            Poll::Ready(Ok(1..)) if passed < MAX_PASSED => passed += 1,
                            _ => return Poll::Ready(Ok(Next::Close)),
                        }
                    }
                    Ok(Decoded::Need) | Err(_) => return Poll::Ready(Ok(Next::Close)),
                },
            }
        }
    }

    pub(super) fn body_is(&mut self, state: BodyState) {
        self.body = state;
        if let Some(waker) = self.waits.take() {
            waker.wake();
        }
    }
}
