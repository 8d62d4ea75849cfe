//! The exchange with an upstream: attempts, deadlines, and what failed.
//!
//! - `error`: why there is no answer, and what is told of it. `wire`: a request in the form of either version.

mod error;
mod wire;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use banyan_routes::{RewriteHost, Timeouts};
use http::{StatusCode, Uri, header};
use tokio::time::sleep_until;

use crate::body::{Progress, RequestBody};
use crate::breaker::{self, Verdict};
use crate::connection::Connection;
use crate::expect::Opener;
use crate::forwarding::Added;
use crate::http1::Incoming;
use crate::message::{AnswerHead, Fields, RequestHead};
use crate::metrics::Failure;
use crate::pool::{Lease, Unanswered};
use crate::state::LiveUpstream;
use crate::targets::Server;
pub(crate) use error::ForwardError;
pub(crate) use wire::{Naming, frame, in_http2};

/// Where a request goes, and how.
pub(crate) struct Way<'s> {
    pub(crate) connection: &'s Connection,
    pub(crate) upstream: &'s LiveUpstream,
    pub(crate) timeouts: &'s Timeouts,
    pub(crate) host: &'s RewriteHost,
}

/// One request on its way to one upstream.
#[expect(clippy::struct_excessive_bools, reason = "six facts, each by itself")]
pub(crate) struct Outgoing {
    head: Box<RequestHead>,
    body: RequestBody,
    /// What goes with it, and is not among its fields.
    added: Option<Added>,
    /// It may go out: nothing of it has been sent, or it may be sent again.
    is_ready: bool,
    /// A safe method (RFC 9110 9.2.1) of a route without side effects.
    is_safe: bool,
    /// Bodies stream through: what of one was sent cannot be sent again.
    has_body: bool,
    /// The client named a host.
    has_host: bool,
    /// The last attempt went out on a connection made for it.
    is_fresh: bool,
    /// A byte of an answer has come, so that the upstream has begun to execute it.
    has_heard: bool,
    pub(crate) progress: Option<Arc<Progress>>,
    /// A body that waits for the upstream to ask for it.
    opener: Option<Opener>,
}

/// The head of an answer, and the connection its body comes on.
pub(crate) struct Answered {
    pub(crate) head: AnswerHead,
    pub(crate) body: Incoming,
    pub(crate) lease: Lease,
    /// The server that gave it: the request still counts as in flight there.
    pub(crate) place: usize,
}

/// What happened on the way, for metrics and the log.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    /// The server asked last.
    pub(crate) target: Option<usize>,
    /// Every attempt that failed, in order.
    pub(crate) failures: Failures,
    /// How often the request was sent again: 0 or 1.
    pub(crate) retries: u32,
    /// Begin of the last attempt to the head of its answer.
    pub(crate) upstream_time: Duration,
}

/// Two attempts at most, since there is one retry, and what ended them for good: no target, an answer thrown away.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<Failure>,
    second: Option<Failure>,
    third: Option<Failure>,
}

impl Failures {
    pub(crate) fn push(&mut self, failure: Failure) {
        let free = [&mut self.first, &mut self.second, &mut self.third].into_iter().find(|it| it.is_none());
        if let Some(free) = free {
            *free = Some(failure);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Failure> {
        self.first.into_iter().chain(self.second).chain(self.third)
    }
}

impl Outgoing {
    /// The request as it goes out: HTTP/1.1, origin-form, framed anew.
    pub(crate) fn new(
        mut head: Box<RequestHead>,
        body: RequestBody,
        added: Option<Added>,
        progress: Option<Arc<Progress>>,
        opener: Option<Opener>,
        has_side_effects: bool,
    ) -> Self {
        frame(&mut head.fields, &body);
        let has_body = matches!(body, RequestBody::Client(_));
        let is_safe = head.method.is_safe() && !has_side_effects;
        let has_host = head.fields.contains(&header::HOST);
        Self {
            head,
            body,
            added,
            is_ready: true,
            is_safe,
            has_body,
            has_host,
            is_fresh: false,
            has_heard: false,
            progress,
            opener,
        }
    }

    pub(crate) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// It may go out once more, whatever became of it.
    pub(crate) fn is_replayable(&self) -> bool {
        self.is_safe && !self.has_body
    }

    /// What the upstream is told.
    pub(crate) fn fields(&self) -> &Fields {
        &self.head.fields
    }

    fn wants_upgrade(&self) -> bool {
        self.head.fields.contains(&header::UPGRADE)
    }

    /// Not a byte of it reached an upstream, and nothing of its body was asked of the client.
    pub(crate) fn is_unsent(&self) -> bool {
        self.is_ready
    }

    /// Makes it as it was, for another upstream; `uri` where that one is asked for another.
    pub(crate) fn renew(&mut self, uri: Option<Uri>) {
        if let Some(uri) = uri {
            self.head.uri = uri;
        }
        self.make_ready();
    }

    fn make_ready(&mut self) {
        self.is_ready |= !self.has_body;
        // One that was put in for the upstream before; a `rewrite` puts in its own.
        if !self.has_host {
            self.head.fields.remove(&header::HOST);
        }
    }

    /// Sends the request and waits for the head of the answer.
    ///
    /// One retry, on the same upstream: when connecting failed, when the request came back unsent or was refused unread,
    /// or for a replayable request when the connection ended before the first byte of an answer.
    pub(crate) async fn send(&mut self, way: &Way<'_>, trail: &mut Trail) -> Result<Answered, ForwardError> {
        let servers = &way.upstream.servers;
        loop {
            let is_retry = trail.retries > 0;
            let avoid = trail.target.filter(|_| is_retry);
            let began = Instant::now();
            let Some(place) = servers.choose(avoid, began) else {
                trail.failures.push(Failure::NoTarget);
                return Err(ForwardError::NoTarget);
            };
            trail.target = Some(place);
            let outcome = self.attempt(way, place, began, is_retry).await;
            trail.upstream_time = began.elapsed();
            let error = match outcome {
                Ok(answered) => {
                    servers.served(place);
                    return Ok(answered);
                }
                Err(error) => error,
            };
            if self.is_fresh && error.is_broken_connection() {
                servers.failed(place, Instant::now());
            }
            if let Some(failure) = error.failure() {
                trail.failures.push(failure);
            }
            let is_unanswered = self.is_safe && !self.has_heard && error.ended_before_answer();
            if !self.is_ready && (error.was_refused() || is_unanswered) {
                self.make_ready();
            }
            // Waiting in line was the retry: another wait would only make the line longer.
            if is_retry || !self.is_ready || error.is_exhausted() {
                return Err(error);
            }
            trail.retries += 1;
        }
    }

    /// On failure, the request is ready again if it could not be sent.
    async fn attempt(
        &mut self,
        way: &Way<'_>,
        place: usize,
        began: Instant,
        is_retry: bool,
    ) -> Result<Answered, ForwardError> {
        // What another server said, before a fallback, is no answer of this one.
        self.has_heard = false;
        let server = &way.upstream.servers.targets[place];
        let worker = way.connection.worker;
        // An upgrade is a matter of HTTP/1.1; where that is not spoken, it is left to the upstream to do without.
        let only_http1 = self.wants_upgrade() && !server.pool.is_always_http2();
        // An idle connection has just turned out dead: where the limit allows it, a retry gets a new one.
        let idle = if is_retry { None } else { server.pool.idle(worker, began, only_http1) };
        self.is_fresh = idle.is_none();
        let (mut lease, asked) = if let Some(lease) = idle {
            (lease, began)
        } else {
            // On the heap: most requests never come here.
            let lease = Box::pin(server.pool.lease(worker, only_http1));
            (lease.await.map_err(ForwardError::Connect)?, Instant::now())
        };
        way.upstream.metrics.leased(worker, self.is_fresh);
        if !std::mem::replace(&mut self.is_ready, false) {
            return Err(ForwardError::NoTarget);
        }
        set_host(way.host, server, &mut self.head.fields);
        let inflight = way.upstream.enter(place, worker);
        let opener = self.opener.as_ref();
        // The client gets no interim answers but `100 Continue`, which our server sends when the body is asked for.
        let mut interim = |status| match (opener, status) {
            (Some(opener), StatusCode::CONTINUE) => opener.open(),
            (None, StatusCode::CONTINUE) => {}
            _ => way.connection.shared.metrics.informational_dropped(worker),
        };
        let sending =
            lease.send(&self.head, &mut self.body, self.added.as_ref(), server.naming(), &mut interim);
        let answer = match &self.progress {
            None => way.head_in_time(sending, asked).await,
            Some(progress) => Box::pin(way.head_after_upload(sending, progress)).await,
        };
        self.has_heard = lease.has_heard();
        match answer.inspect_err(|_| lease.suspect())? {
            Ok((head, body)) => {
                inflight.hand_over();
                Ok(Answered { head, body, lease, place })
            }
            Err(Unanswered { error, is_unsent }) => {
                self.is_ready = is_unsent;
                Err(ForwardError::from(error))
            }
        }
    }
}

/// The `Host` that an upstream sees.
pub(crate) fn set_host(wanted: &RewriteHost, server: &Server, fields: &mut Fields) {
    let host = match wanted {
        RewriteHost::Keep if fields.contains(&header::HOST) => return,
        RewriteHost::Keep | RewriteHost::Upstream => &server.authority,
        RewriteHost::Fixed(host) => host,
    };
    fields.insert(&header::HOST, host);
}

impl Way<'_> {
    /// Waits for the head of the answer to a request that has no body.
    async fn head_in_time<F: Future>(&self, answer: F, asked: Instant) -> Result<F::Output, ForwardError> {
        let deadline = asked + self.timeouts.response;
        let mut timer = self.connection.timer(deadline);
        let mut answer = std::pin::pin!(answer);
        let outcome = poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => timer.poll_until(cx, deadline).map(|()| Err(ForwardError::Timeout)),
        });
        let outcome = outcome.await;
        self.connection.give_back(timer);
        outcome
    }

    /// Waits from the end of the request to the head of the answer, and watches that the upload moves.
    async fn head_after_upload<F: Future>(
        &self,
        answer: F,
        progress: &Progress,
    ) -> Result<F::Output, ForwardError> {
        progress.moved(0);
        let mut answer = std::pin::pin!(answer);
        loop {
            // A silent client is noticed by the body itself, after the idle time.
            let has_ended = progress.has_ended();
            let silence = if has_ended { Duration::ZERO } else { self.timeouts.idle };
            let deadline = progress.last_moved() + self.timeouts.response + silence;
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                () = sleep_until(deadline.into()) => {}
                () = progress.until_ended(), if !has_ended => continue,
            }
            if progress.last_moved() + self.timeouts.response <= Instant::now() {
                return Err(ForwardError::Timeout);
            }
        }
    }
}

/// What an outcome says about the upstream.
pub(crate) fn verdict(outcome: &Result<Answered, ForwardError>) -> Verdict {
    match outcome {
        Ok(answered) if breaker::is_error(answered.head.status) => Verdict::Bad,
        Ok(_) => Verdict::Good,
        Err(error) => match error.failure() {
            None | Some(Failure::NoTarget | Failure::BreakerOpen | Failure::Busy) => Verdict::Neither,
            Some(_) => Verdict::Bad,
        },
    }
}
