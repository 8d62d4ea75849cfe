//! A connection to a server: one request after the other, driven by the task of the request.
//!
//! While it is idle nobody waits for it. Whether it is still there is asked when it is taken: readiness that the runtime has
//! noted costs no system call. It may be asked and used from another thread than opened it; what wakes the task then is the
//! driver of the thread that did.
//!
//! A connection serves another request only when both messages came to their end, and nothing came behind the answer
//! (RFC 9112 9.3, 9.6).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{Method, StatusCode};
use http_body::{Body, Frame};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::buffers::Room;
use super::chunks::Decoded;
use super::framing::{self, Decoder, Encoder};
use super::head::{self, Search};
use super::input::Input;
use super::output::Output;
use super::{Duplex, Error, Incoming, Switched};
use crate::body::{BodyError, RequestBody};
use crate::forwarding::Added;
use crate::message::{AnswerHead, RequestHead, is_name};
use crate::tls::SecureStream;
use crate::upstream_io::UpstreamIo;

/// Longest head of an answer.
const MAX_HEAD: usize = 408 << 10;
/// Most bytes of an answer before the end of its head. Beyond the longest head these are interim answers, and an upstream
/// that sends them without end would keep a worker busy with nothing else.
const MAX_BEFORE_HEAD: usize = 512 << 10;
/// Pieces of an upload that are passed on before the answer is looked for again.
const PIECES: usize = 16;

/// What an interim answer is told to.
pub(crate) type Interim<'i> = &'i mut (dyn FnMut(StatusCode) + Send);

/// One connection, for whoever has a request on it, and for the body of its answer.
#[derive(Clone)]
pub(crate) struct Connection(Arc<Mutex<Wire>>);

enum Stream {
    Plain(UpstreamIo),
    Tls(Box<SecureStream>),
    /// Switched to another protocol, or closed.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A request is being sent, or its answer read.
    Busy,
    /// The answer has ended, and the request may not have.
    Answered,
    /// Of no use any more.
    Closed,
}

struct Wire {
    stream: Stream,
    state: State,
    input: Input,
    search: Search,
    output: Output,
    upload: Option<Upload>,
    method: Method,
    /// Bytes read since the request.
    heard: usize,
}

/// The head of an answer, where its body ends, and whether the connection goes on behind it.
type Answered = (AnswerHead, Decoder, bool);

struct Upload {
    /// Of no type: what a connection may carry must not become a part of every type that holds one.
    body: Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>,
    encoder: Encoder,
}

impl Connection {
    pub(crate) fn plain(stream: UpstreamIo) -> Self {
        Self::new(Stream::Plain(stream))
    }

    pub(crate) fn tls(stream: SecureStream) -> Self {
        Self::new(Stream::Tls(Box::new(stream)))
    }

    fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Wire {
            stream,
            state: State::Idle,
            input: Input::with_room(Room::Large),
            search: Search::default(),
            output: Output::default(),
            upload: None,
            method: Method::GET,
            heard: 0,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        // A panic in a body is the end of its request, and what it leaves is dropped as busy.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It can take a request now: nothing is under way, and the other side has sent nothing, not even the end.
    pub(crate) fn is_ready(&self) -> bool {
        self.lock().is_ready()
    }

    /// The answer has ended, and its request goes on.
    pub(crate) fn is_sending(&self) -> bool {
        self.lock().state == State::Answered
    }

    /// Waits for the end of the request under way, whose answer has ended. False when it is closed.
    pub(crate) async fn ready(&self) -> bool {
        poll_fn(|cx| self.lock().poll_idle(cx)).await && self.is_ready()
    }

    /// Sends a request, and waits for the head of its answer. The body of the answer goes on with both. An error says whether
    /// the request is still there unsent; else its body has gone.
    pub(crate) async fn send(
        &self,
        head: &RequestHead,
        body: &mut RequestBody,
        added: Option<&Added>,
        interim: Interim<'_>,
    ) -> Result<(AnswerHead, Incoming), (Error, bool)> {
        {
            let mut wire = self.lock();
            if !wire.is_ready() {
                return Err((Error::Cut, true));
            }
            wire.begin(head, std::mem::replace(body, RequestBody::Empty), added);
        }
        let answered = poll_fn(|cx| self.lock().poll_head(cx, interim)).await;
        let (head, decoder, keeps_alive) = answered.map_err(|error| (error, false))?;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // What is behind the head is no HTTP.
            return Ok((head, Incoming::Empty));
        }
        let mut body = AnswerBody { connection: Some(self.clone()), decoder, keeps_alive };
        if body.decoder.has_ended() {
            body.finish();
        }
        let body = if body.has_ended() { Incoming::Empty } else { Incoming::Answer(body) };
        Ok((head, body))
    }

    /// A byte of an answer has come since the last request.
    pub(crate) fn has_heard(&self) -> bool {
        self.lock().heard > 0
    }

    /// The stream of a connection that has switched protocols, with what came behind the 101.
    pub(crate) fn switched(&self) -> Switched {
        self.lock().switched()
    }
}

impl Wire {
    fn is_ready(&mut self) -> bool {
        if self.state != State::Idle {
            return false;
        }
        if !self.stream.is_silent() {
            self.close();
        }
        self.state == State::Idle
    }

    /// Lets go of the stream.
    fn close(&mut self) {
        self.state = State::Closed;
        self.upload = None;
        self.stream.say_goodbye();
        self.stream = Stream::Gone;
    }

    fn begin(&mut self, head: &RequestHead, body: RequestBody, added: Option<&Added>) {
        let RequestHead { method, uri, fields, .. } = head;
        let text = self.output.text();
        text.extend_from_slice(method.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(uri.path_and_query().map_or("/", PathAndQuery::as_str).as_bytes());
        text.extend_from_slice(b" HTTP/1.1\r\n");
        let is_empty = body.is_end_stream();
        let has_coding = fields.contains(&TRANSFER_ENCODING);
        let is_chunked = !is_empty && has_coding;
        // What frames the message is what is sent.
        let is_of_framing = |name: &[u8], framing: &HeaderName| is_name(name, framing.as_ref());
        fields.write(text, |name| {
            has_coding
                && ((is_empty && is_of_framing(name, &TRANSFER_ENCODING))
                    || (is_chunked && is_of_framing(name, &CONTENT_LENGTH)))
        });
        if let Some(added) = added {
            added.write(text);
        }
        text.extend_from_slice(b"\r\n");
        let length = || fields.get(&CONTENT_LENGTH).and_then(framing::length);
        self.upload = (!is_empty).then(|| Upload {
            body: Box::pin(body),
            encoder: if is_chunked {
                Encoder::chunked(fields)
            } else {
                Encoder::Length(length().unwrap_or(0))
            },
        });
        self.method = method.clone();
        self.state = State::Busy;
        self.heard = 0;
    }

    /// Sends on. Ready when there is nothing more to send.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..PIECES {
            let pieces = self.poll_pieces(cx);
            // Of a body that breaks off, the other side sees what came before.
            let flushed = self.stream.flush(&mut self.output, cx);
            let is_waiting = pieces?.is_pending();
            ready!(flushed)?;
            if self.upload.is_none() {
                self.output.rest();
                return Poll::Ready(Ok(()));
            }
            if is_waiting {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes as much of the body as there is room for. Pending when there is none of it now.
    fn poll_pieces(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Error> {
        while self.output.has_room()
            && let Some(upload) = &mut self.upload
        {
            match upload.body.as_mut().poll_frame(cx) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Some(Ok(frame))) => self.pass_on(frame)?,
                Poll::Ready(None) => self.end_upload(None)?,
                Poll::Ready(Some(Err(error))) => return Err(Error::Upload(Box::new(error))),
            }
        }
        Ok(Poll::Ready(()))
    }

    fn pass_on(&mut self, frame: Frame<Bytes>) -> Result<(), Error> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        match frame.into_data() {
            Ok(data) => {
                self.output.data(&mut upload.encoder, data);
                if upload.body.is_end_stream() && self.output.has_room() {
                    self.end_upload(None)?;
                }
                Ok(())
            }
            Err(frame) => self.end_upload(frame.into_trailers().ok().as_ref()),
        }
    }

    fn end_upload(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), Error> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        self.output.end(&upload.encoder, trailers).map_err(|_| Error::Cut)
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        interim: &mut (dyn FnMut(StatusCode) + Send),
    ) -> Poll<Result<Answered, Error>> {
        if let Poll::Ready(Err(error)) = self.poll_upload(cx) {
            return Poll::Ready(Err(error));
        }
        loop {
            if !self.input.bytes.is_empty()
                && let Some(head::Answered { head, keeps_alive, length }) =
                    head::answer(&mut self.input.bytes, &mut self.search)?
            {
                let status = head.status;
                if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
                    interim(status);
                    // It may have been what the body waited for.
                    if let Poll::Ready(Err(error)) = self.poll_upload(cx) {
                        return Poll::Ready(Err(error));
                    }
                    continue;
                }
                let decoder = framing::of_answer(&self.method, &head, length)?;
                return Poll::Ready(Ok((head, decoder, keeps_alive)));
            }
            if self.input.bytes.len() > MAX_HEAD {
                return Poll::Ready(Err(Error::Malformed("a head that is too long")));
            }
            if self.heard > MAX_BEFORE_HEAD {
                return Poll::Ready(Err(Error::Endless));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(Error::Cut));
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => ready!(self.input.poll_begin(stream, cx)),
            Stream::Tls(stream) => ready!(self.input.poll_begin(&mut **stream, cx)),
            Stream::Gone => Ok(0),
        };
        let read = read?;
        self.heard = self.heard.saturating_add(read);
        Poll::Ready(Ok(read))
    }

    /// The answer has come to its end.
    fn answered(&mut self, keeps_alive: bool) {
        let may_go_on = keeps_alive && self.input.bytes.is_empty() && !self.input.has_ended;
        if !may_go_on || self.stream.has_failed() {
            return self.close();
        }
        self.input.rest();
        let is_sent = self.upload.is_none() && self.output.is_empty();
        self.state = if is_sent { State::Idle } else { State::Answered };
    }

    /// Ready when it is idle or of no use.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.state == State::Answered {
            match ready!(self.poll_upload(cx)) {
                Ok(()) if !self.stream.has_failed() => self.state = State::Idle,
                _ => self.close(),
            }
        }
        Poll::Ready(self.state == State::Idle)
    }

    fn switched(&mut self) -> Switched {
        self.state = State::Closed;
        let ahead = std::mem::take(&mut self.input.bytes);
        let stream: Box<dyn Duplex> = match std::mem::replace(&mut self.stream, Stream::Gone) {
            Stream::Plain(stream) => Box::new(stream),
            Stream::Tls(stream) => stream,
            Stream::Gone => Box::new(tokio::io::empty()),
        };
        Switched::new(stream, ahead)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stream.say_goodbye();
    }
}

impl Stream {
    fn flush(&mut self, output: &mut Output, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let flushed = match self {
            Self::Plain(stream) => output.poll_flush(stream, cx),
            Self::Tls(stream) => output.poll_flush(&mut **stream, cx),
            Self::Gone => Poll::Ready(Ok(())),
        };
        flushed.map_err(Error::Io)
    }

    fn has_failed(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.has_failed(),
            Self::Tls(stream) => stream.get_ref().0.has_failed(),
            Self::Gone => true,
        }
    }

    /// Nothing has come, nor has the end.
    fn is_silent(&mut self) -> bool {
        match self {
            // As far as the runtime has noted: a system call only where it has noted something.
            Self::Plain(stream) => {
                let read = stream.get_ref().try_read(&mut [0]);
                read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
            }
            // Tickets and the like are no answers.
            Self::Tls(stream) => {
                let mut byte = [0];
                let mut cx = Context::from_waker(Waker::noop());
                let read = poll_fn(|cx| {
                    Poll::Ready(Pin::new(&mut **stream).poll_read(cx, &mut ReadBuf::new(&mut byte)))
                });
                let read = std::pin::pin!(tokio::task::unconstrained(read)).poll(&mut cx);
                matches!(read, Poll::Ready(Poll::Pending))
            }
            Self::Gone => false,
        }
    }

    /// Tells a peer with TLS that this is the end on purpose, if that can be said without waiting.
    fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            let _ = Pin::new(&mut **stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// The body of an answer.
pub(crate) struct AnswerBody {
    /// Until its end.
    connection: Option<Connection>,
    decoder: Decoder,
    keeps_alive: bool,
}

impl AnswerBody {
    pub(super) fn has_ended(&self) -> bool {
        self.connection.is_none()
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.decoder.left()
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(connection) = &self.connection else { return Poll::Ready(None) };
        let mut wire = connection.lock();
        let polled = poll_decoded(&mut wire, &mut self.decoder, cx);
        drop(wire);
        let frame = match ready!(polled) {
            Ok(frame) => frame,
            Err(error) => {
                if let Some(connection) = self.connection.take() {
                    connection.lock().close();
                }
                return Poll::Ready(Some(Err(error)));
            }
        };
        if self.decoder.has_ended() || matches!(frame, Decoded::End | Decoded::Trailers(_)) {
            self.finish();
        }
        Poll::Ready(match frame {
            Decoded::Data(data) => Some(Ok(Frame::data(data))),
            Decoded::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Decoded::Need | Decoded::End => None,
        })
    }

    fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            let keeps_alive = self.keeps_alive && !matches!(self.decoder, Decoder::UntilClose);
            connection.lock().answered(keeps_alive);
        }
    }

    /// The request goes on, though nobody takes of the answer.
    pub(super) fn keep_moving(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &self.connection {
            // What fails is seen by whoever reads on.
            let _ = connection.lock().poll_upload(cx);
        }
    }
}

/// Reads on, and meanwhile sends on.
fn poll_decoded(
    wire: &mut Wire,
    decoder: &mut Decoder,
    cx: &mut Context<'_>,
) -> Poll<Result<Decoded, Error>> {
    if wire.state == State::Busy
        && let Poll::Ready(Err(error)) = wire.poll_upload(cx)
    {
        return Poll::Ready(Err(error));
    }
    loop {
        let Wire { input, .. } = wire;
        match decoder.decode(&mut input.bytes, input.has_ended)? {
            Decoded::Need => {}
            other => return Poll::Ready(Ok(other)),
        }
        if input.has_ended {
            return Poll::Ready(Err(Error::Cut));
        }
        ready!(wire.poll_fill(cx))?;
    }
}
