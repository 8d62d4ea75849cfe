//! An arm asked on behalf of nobody: once, within a deadline, by what clients leave over.
//!
//! What comes of it is told to no breaker, and no record of a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use banyan_compare::{Answer, Body, Failure, Observation};
use banyan_routes::{Arm, ShadowWrites};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue};
use http_body::Body as _;
use tokio::time::timeout_at;

use super::LiveShadow;
use super::bounds::Portion;
use super::builds::BANYAN_BUILD;
use super::capture::Capture;
use super::dry_run::is_honoured;
use super::request::{Kind, request};
use super::witness::{Shadowed, head_size, is_event_stream};
use crate::body::RequestBody;
use crate::breaker::BreakerState;
use crate::fallback::drain;
use crate::http1::Incoming;
use crate::message::{AnswerHead, Fields, RequestHead};
use crate::metrics::ShadowResult;
use crate::pool::{CopyError, Lease};
use crate::room::Seat;
use crate::state::LiveUpstream;
use crate::targets::Server;

/// What an arm said.
pub(super) struct Heard {
    pub(super) observation: Observation,
    pub(super) build: Option<HeaderValue>,
    /// Memory of the answer.
    pub(super) held: Vec<Portion>,
}

/// What was kept of the body of an answer, and whether nothing more of it will come.
struct Kept {
    body: Body,
    held: Option<Portion>,
    is_whole: bool,
}

/// One question to one server.
struct Question<'q> {
    job: &'q Shadowed,
    shadow: &'q LiveShadow,
    arm: Arm,
    kind: Kind,
    server: &'q Arc<Server>,
    worker: usize,
    deadline: tokio::time::Instant,
}

/// Asks an arm; the error says why it was not asked. `counts` is what it is counted as when it was.
pub(super) async fn ask(
    job: &Shadowed,
    shadow: &LiveShadow,
    arm: Arm,
    counts: ShadowResult,
    worker: usize,
) -> Result<Heard, ShadowResult> {
    let upstream = job.state.upstream(shadow.upstream(arm));
    let server = available(upstream, arm).ok_or(ShadowResult::Unavailable)?;
    let _seat = seat(upstream)?;
    let kind = if job.is_safe() { Kind::Copy } else { Kind::DryRun };
    let deadline = (Instant::now() + shadow.settings.timeout).into();
    let question = Question { job, shadow, arm, kind, server, worker, deadline };
    question.put(counts).await
}

/// The server that is asked: none while clients would get none.
fn available(upstream: &LiveUpstream, arm: Arm) -> Option<&Arc<Server>> {
    let servers = &upstream.servers;
    let breaker = servers.breaker.as_ref().filter(|_| arm == Arm::Candidate);
    if breaker.is_some_and(|breaker| breaker.state() != BreakerState::Closed) {
        return None;
    }
    let now = Instant::now();
    let place = servers.choose(None, now).filter(|&place| !servers.is_ejected(place, now))?;
    Some(&servers.targets[place])
}

fn seat(upstream: &LiveUpstream) -> Result<Option<Seat>, ShadowResult> {
    let Some(room) = &upstream.servers.room else { return Ok(None) };
    room.enter_for_copy().map(Some).ok_or(ShadowResult::Unavailable)
}

impl Question<'_> {
    async fn put(&self, counts: ShadowResult) -> Result<Heard, ShadowResult> {
        self.check_writes()?;
        let mut began = Instant::now();
        let request = self.request(self.kind)?;
        let leased = timeout_at(self.deadline, self.server.pool.lease_for_copy()).await;
        let mut lease = match leased {
            Ok(Ok(lease)) => lease,
            Ok(Err(CopyError::NoRoom)) => return Err(ShadowResult::Unavailable),
            Ok(Err(CopyError::Connect)) | Err(_) => {
                self.shadow.metrics.result(self.worker, counts);
                return Ok(Heard::failed(Failure::ConnectError));
            }
        };
        if self.kind == Kind::DryRun {
            self.agree(&mut lease).await?;
            // The question is no part of what the candidate takes to answer.
            began = Instant::now();
        }
        self.shadow.metrics.result(self.worker, counts);
        match self.head(&mut lease, request).await {
            Err(failure) => Ok(Heard::failed(failure)),
            Ok((head, body)) => Ok(self.answer(head, body, lease, began).await),
        }
    }

    /// Before anything else: a request that is not safe goes to a candidate that has agreed, or nowhere.
    fn check_writes(&self) -> Result<(), ShadowResult> {
        if self.kind == Kind::Copy {
            return Ok(());
        }
        let is_wanted = self.shadow.settings.writes == ShadowWrites::DryRun && self.arm == Arm::Candidate;
        let is_refused = self.server.dry_runs.are_refused(self.route(), Instant::now());
        if is_wanted && !is_refused { Ok(()) } else { Err(ShadowResult::NotHonoured) }
    }

    fn request(&self, kind: Kind) -> Result<(RequestHead, RequestBody), ShadowResult> {
        request(self.job, self.shadow, self.arm, kind, self.server).ok_or(ShadowResult::Unavailable)
    }

    fn route(&self) -> &Arc<str> {
        &self.job.state.route(Some(self.job.route)).name
    }

    /// Asks whether dry runs are honoured, for this path and on the connection that the copy will take.
    async fn agree(&self, lease: &mut Lease) -> Result<(), ShadowResult> {
        let now = Instant::now();
        if lease.honours_dry_runs().holds(self.route(), now) {
            return Ok(());
        }
        let refused = ShadowResult::NotHonoured;
        let asked = self.head(lease, self.request(Kind::Handshake)?).await;
        let (head, mut body) = asked.map_err(|_| refused)?;
        let agrees = is_honoured(&head.fields);
        if !agrees {
            self.server.dry_runs.refuse(self.route(), now);
        }
        let rest = async { drain(&mut body).await && lease.ready().await };
        if !(agrees && timeout_at(self.deadline, rest).await == Ok(true)) {
            return Err(refused);
        }
        lease.honours_dry_runs().say(self.route(), now);
        Ok(())
    }

    async fn head(
        &self,
        lease: &mut Lease,
        (head, mut body): (RequestHead, RequestBody),
    ) -> Result<(AnswerHead, Incoming), Failure> {
        let mut interim = |_| ();
        let sending = lease.send(&head, &mut body, None, self.server.naming(), &mut interim);
        match timeout_at(self.deadline, sending).await {
            Err(_) => {
                lease.suspect();
                Err(Failure::TimedOut)
            }
            Ok(Ok((head, _))) if head.status == StatusCode::SWITCHING_PROTOCOLS => Err(Failure::Upgraded),
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(_)) => Err(Failure::BrokenAnswer),
        }
    }

    async fn answer(&self, head: AnswerHead, mut incoming: Incoming, lease: Lease, began: Instant) -> Heard {
        let elapsed = began.elapsed();
        self.shadow.metrics.answered(self.worker, elapsed);
        if self.kind == Kind::DryRun && !is_honoured(&head.fields) {
            self.end_dry_runs();
        }
        let Kept { body, held, is_whole } = self.body(&head.fields, &mut incoming).await;
        if is_whole {
            self.server.pool.give_back(lease, Instant::now());
        }
        let build = head.fields.get(&BANYAN_BUILD).and_then(|build| HeaderValue::from_bytes(build).ok());
        // What it takes is taken already: where there is no room for it, it goes uncounted, of as many as are on their way.
        let of_head = self.shadow.bounds.bytes.take(head_size(&head.fields));
        let memory = of_head.into_iter().chain(held).collect();
        let headers = HeaderMap::from(&head.fields);
        let answer = Answer { status: head.status, headers, body, elapsed };
        Heard { observation: Observation::Answered(answer), build, held: memory }
    }

    async fn body(&self, fields: &Fields, incoming: &mut Incoming) -> Kept {
        let left = |body| Kept { body, held: None, is_whole: false };
        if is_event_stream(fields) {
            return left(Body::Streaming);
        }
        let most = self.shadow.settings.max_body;
        if most == 0 {
            // For the connection's sake.
            let is_whole = timeout_at(self.deadline, drain(incoming)).await == Ok(true);
            return Kept { is_whole, ..left(Body::HeadOnly) };
        }
        let Some(mut capture) = Capture::begin(most, &self.shadow.bounds.bytes) else {
            return left(Body::TooLarge);
        };
        if timeout_at(self.deadline, read(incoming, &mut capture)).await.is_err() {
            capture.broken();
        }
        let (body, held) = capture.finish().into_body();
        Kept { is_whole: matches!(body, Body::Complete(_)), body, held }
    }

    /// Loudly: it agreed, and then answered as if it had done what it was sent.
    fn end_dry_runs(&self) {
        if self.server.dry_runs.end() {
            self.shadow.metrics.dry_runs_ended(self.worker);
            let route = self.route();
            let target = &self.server.label;
            tracing::error!(
                %route, %target,
                "a dry run was answered without `Banyan-Shadow: honoured`, after the handshake was: it may have been \
                 carried out; this target is sent no more of them"
            );
        }
    }
}

/// To its end, or as far as it is kept.
async fn read(incoming: &mut Incoming, capture: &mut Capture) {
    while capture.is_open() {
        match poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await {
            None => capture.complete(),
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    capture.keep(piece);
                }
            }
            Some(Err(_)) => capture.broken(),
        }
    }
}

impl Heard {
    fn failed(failure: Failure) -> Self {
        Self { observation: Observation::Failed(failure), build: None, held: Vec::new() }
    }
}
