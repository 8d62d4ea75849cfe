//! What a worker keeps of a request and its answer while both pass.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use banyan_compare::{Answer, Body};
use banyan_routes::{Arm, Decision, RouteIndex};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Extensions, StatusCode, Version};
use http_body::Body as _;

use super::bounds::Portion;
use super::capture::{Capture, Captured, Pieces};
use super::{LiveShadow, Shadows, is_drawn};
use crate::body::Progress;
use crate::http1::Incoming;
use crate::message::{AnswerHead, Fields, RequestHead};
use crate::metrics::ShadowResult;
use crate::state::State;
use crate::worker::InForce;

/// What one field takes where it is compared, beside its text.
const FIELD: u64 = 128;

/// A request that is going to be copied.
pub(crate) struct Witness {
    route: RouteIndex,
    shown: Arm,
    at: SystemTime,
    head: RequestHead,
    has_body: bool,
    answer: Option<(StatusCode, Fields)>,
    body: AnswerBody,
    /// Attempt to head, or end of the request to head.
    elapsed: Duration,
    held: Portion,
    has_memory: bool,
}

enum AnswerBody {
    Kept(Capture),
    Left(Body),
}

/// A request with its answer, on its way to the other arm.
pub(super) struct Shadowed {
    pub(super) state: Arc<InForce>,
    pub(super) route: RouteIndex,
    /// Whose answer the client got.
    pub(super) shown: Arm,
    pub(super) at: SystemTime,
    /// Ready to go out but for what depends on the arm; the target as the client wrote it.
    pub(super) head: RequestHead,
    /// None until [`Self::join`].
    pub(super) body: Option<Bytes>,
    /// Fields of the request as they are compared and kept: none until [`Self::join`].
    pub(super) headers: HeaderMap,
    /// Without fields, and without a body that was kept, until [`Self::join`].
    pub(super) answer: Answer,
    answer_fields: Fields,
    body_pieces: Option<Pieces>,
    answer_pieces: Option<Pieces>,
    /// A place in the queue, until it begins.
    pub(super) place: Option<Portion>,
    pub(super) queued: Instant,
    /// Memory.
    pub(super) held: Vec<Portion>,
}

impl Witness {
    /// `None` when this request is not copied. `head` is ready to go out, but not rewritten for an arm.
    pub(crate) fn begin(
        shadow: &LiveShadow,
        worker: usize,
        decision: &Decision,
        head: &RequestHead,
        incoming: &Incoming,
        is_upgrade: bool,
    ) -> Option<Box<Self>> {
        let route = decision.route?;
        if !shadow.may_copy(&head.method, &head.fields, decision.arm) || !is_drawn(shadow.settings.share) {
            return None;
        }
        let refused = |result| {
            shadow.metrics.result(worker, result);
            None
        };
        if is_upgrade || is_stream(&head.fields) {
            return refused(ShadowResult::Stream);
        }
        let has_body = !incoming.is_end_stream();
        if has_body
            && (shadow.settings.max_body == 0 || incoming.size_hint().lower() > shadow.settings.max_body)
        {
            return refused(ShadowResult::BodyTooLarge);
        }
        if !shadow.bounds.queue.has_room(1) {
            return refused(ShadowResult::QueueFull);
        }
        let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        let size = head_size(&head.fields) + target as u64;
        let Some(memory) = shadow.bounds.bytes.take(size) else { return refused(ShadowResult::Memory) };
        Some(Box::new(Self {
            route,
            shown: decision.arm,
            at: SystemTime::now(),
            head: copied(head),
            has_body,
            answer: None,
            body: AnswerBody::Left(Body::HeadOnly),
            elapsed: Duration::ZERO,
            has_memory: true,
            held: memory,
        }))
    }

    /// For the body of the request, if it has one.
    pub(crate) fn capture(&self, state: &State) -> Option<Capture> {
        let shadow = state.route(Some(self.route)).shadow.as_ref().filter(|_| self.has_body)?;
        Capture::begin(shadow.settings.max_body, &shadow.bounds.bytes)
    }

    pub(crate) fn took(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
    }

    /// The head of the answer, before anything of it is changed. True when nothing more is waited for.
    pub(crate) fn sees_head(&mut self, shadow: &LiveShadow, head: &AnswerHead) -> bool {
        let most = shadow.settings.max_body;
        self.has_memory = self.held.grow(head_size(&head.fields));
        if !self.has_memory {
            self.body = AnswerBody::Left(Body::TooLarge);
            return true;
        }
        self.answer = Some((head.status, head.fields.clone()));
        self.body = if is_event_stream(&head.fields) {
            AnswerBody::Left(Body::Streaming)
        } else if most == 0 {
            AnswerBody::Left(Body::HeadOnly)
        } else {
            let capture = Capture::begin(most, &shadow.bounds.bytes);
            capture.map_or(AnswerBody::Left(Body::TooLarge), AnswerBody::Kept)
        };
        matches!(self.body, AnswerBody::Left(Body::Streaming))
    }

    /// A piece of the answer.
    pub(crate) fn sees(&mut self, piece: &Bytes) {
        if let AnswerBody::Kept(capture) = &mut self.body {
            capture.keep(piece);
        }
    }

    /// The answer has ended: the copy goes its way. `upload` is the body of the request.
    pub(crate) fn hand_over(
        self: Box<Self>,
        state: &Arc<InForce>,
        upload: Option<&Progress>,
        shadows: &Shadows,
        worker: usize,
    ) {
        let Some(shadow) = &state.route(Some(self.route)).shadow else { return };
        let handed = self.into_job(shadow, state, upload).and_then(|job| shadows.hand_over(job));
        if let Err(result) = handed {
            shadow.metrics.result(worker, result);
        }
    }

    fn into_job(
        self,
        shadow: &LiveShadow,
        state: &Arc<InForce>,
        upload: Option<&Progress>,
    ) -> Result<Box<Shadowed>, ShadowResult> {
        if !self.has_memory {
            return Err(ShadowResult::Memory);
        }
        let mut held = vec![self.held];
        let request = if self.has_body { upload.and_then(Progress::captured) } else { None };
        let body_pieces = match request {
            None if self.has_body => return Err(ShadowResult::Aborted),
            None => None,
            Some(Captured::Complete(pieces, memory)) => {
                held.push(memory);
                Some(pieces)
            }
            Some(Captured::TooLarge) => return Err(ShadowResult::BodyTooLarge),
            Some(Captured::NoMemory) => return Err(ShadowResult::Memory),
            Some(Captured::Broken) => return Err(ShadowResult::Aborted),
        };
        let (status, fields) = self.answer.ok_or(ShadowResult::NoAnswer)?;
        let mut answer_pieces = None;
        let body = match self.body {
            AnswerBody::Left(body) => body,
            AnswerBody::Kept(mut capture) => {
                capture.complete();
                match capture.finish() {
                    Captured::NoMemory => return Err(ShadowResult::Memory),
                    Captured::TooLarge => Body::TooLarge,
                    Captured::Broken => Body::Broken,
                    Captured::Complete(pieces, memory) => {
                        held.push(memory);
                        answer_pieces = Some(pieces);
                        Body::Complete(Bytes::new())
                    }
                }
            }
        };
        let place = shadow.bounds.queue.take(1).ok_or(ShadowResult::QueueFull)?;
        let answer = Answer { status, headers: HeaderMap::new(), body, elapsed: self.elapsed };
        Ok(Box::new(Shadowed {
            state: Arc::clone(state),
            route: self.route,
            shown: self.shown,
            at: self.at,
            head: self.head,
            body: None,
            headers: HeaderMap::new(),
            answer,
            answer_fields: fields,
            body_pieces,
            answer_pieces,
            place: Some(place),
            queued: Instant::now(),
            held,
        }))
    }

    /// There will be no copy.
    pub(crate) fn dropped(self: Box<Self>, state: &InForce, worker: usize, why: ShadowResult) {
        if let Some(shadow) = &state.route(Some(self.route)).shadow {
            shadow.metrics.result(worker, why);
        }
    }
}

/// Without the client's side of an upgrade.
fn copied(head: &RequestHead) -> RequestHead {
    RequestHead {
        method: head.method.clone(),
        uri: head.uri.clone(),
        version: Version::HTTP_11,
        fields: head.fields.clone(),
        extensions: Extensions::new(),
    }
}

impl Shadowed {
    /// Makes one of the pieces of each body, and of fields what is compared. Not before its turn: a client may be waiting for
    /// the thread that kept them.
    pub(super) fn join(&mut self) {
        self.headers = HeaderMap::from(&self.head.fields);
        self.answer.headers = HeaderMap::from(&std::mem::take(&mut self.answer_fields));
        if let Some(pieces) = self.body_pieces.take() {
            self.body = Some(pieces.join());
        }
        if let Some(pieces) = self.answer_pieces.take() {
            self.answer.body = Body::Complete(pieces.join());
        }
    }

    /// There always is one: only requests of a route that shadows are handed over.
    pub(super) fn shadow(&self) -> Option<&LiveShadow> {
        self.state.route(Some(self.route)).shadow.as_ref()
    }

    pub(super) fn is_safe(&self) -> bool {
        self.shadow().is_some_and(|shadow| shadow.is_safe(&self.head.method, &self.head.fields))
    }
}

/// The memory of a head, as it passed and as it is compared.
pub(super) fn head_size(fields: &Fields) -> u64 {
    2 * fields.memory() + fields.len() as u64 * FIELD
}

/// Messages of either side go on for as long as the call does.
fn is_stream(fields: &Fields) -> bool {
    media(fields).is_some_and(|media| begins(media, b"application/grpc"))
}

pub(super) fn is_event_stream(fields: &Fields) -> bool {
    media(fields).is_some_and(|media| begins(media, b"text/event-stream"))
}

fn media(fields: &Fields) -> Option<&[u8]> {
    fields.get(&CONTENT_TYPE)
}

fn begins(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
}
