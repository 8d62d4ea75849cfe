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
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use tokio::time::sleep_until;

use crate::body::{Progress, RequestBody};
use crate::breaker::{self, Verdict};
use crate::connection::Connection;
use crate::metrics::Failure;
use crate::pool::Lease;
use crate::state::LiveUpstream;
use crate::targets::Server;
pub(crate) use error::ForwardError;
pub(crate) use wire::{frame, to_http2};

/// Where a request goes, and how.
pub(crate) struct Way<'s> {
    pub(crate) connection: &'s Connection,
    pub(crate) upstream: &'s LiveUpstream,
    pub(crate) timeouts: &'s Timeouts,
    pub(crate) host: &'s RewriteHost,
}

/// One request on its way to one upstream.
#[expect(clippy::struct_excessive_bools, reason = "four facts, each by itself")]
pub(crate) struct Outgoing {
    /// Taken when it is sent, back when it could not be.
    request: Option<Request<RequestBody>>,
    /// A safe method (RFC 9110 9.2.1) of a route without side effects.
    is_safe: bool,
    /// A request without a body may be sent a second time: from this.
    spare: Option<Spare>,
    /// The client named a host.
    has_host: bool,
    /// The last attempt went out on a connection made for it.
    is_fresh: bool,
    /// A byte of an answer has come, so that the upstream has begun to execute it.
    has_heard: bool,
    pub(crate) progress: Option<Arc<Progress>>,
}

/// The head of an answer, and the connection its body comes on.
pub(crate) struct Answered {
    pub(crate) response: Response<Incoming>,
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
    /// The request as it goes out: HTTP/1.1, origin-form, framed anew by hyper.
    pub(crate) fn new(
        mut request: Request<RequestBody>,
        progress: Option<Arc<Progress>>,
        has_side_effects: bool,
    ) -> Self {
        *request.version_mut() = Version::HTTP_11;
        frame(&mut request);
        let has_body = matches!(request.body(), RequestBody::Client(_));
        let is_safe = request.method().is_safe() && !has_side_effects;
        let has_host = request.headers().contains_key(header::HOST);
        let spare = (!has_body).then(|| Spare::of(&request));
        Self { request: Some(request), is_safe, spare, has_host, is_fresh: false, has_heard: false, progress }
    }

    pub(crate) fn is_safe(&self) -> bool {
        self.is_safe
    }

    /// It may go out once more, whatever became of it.
    pub(crate) fn is_replayable(&self) -> bool {
        self.is_safe && self.spare.is_some()
    }

    fn wants_upgrade(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.headers().contains_key(header::UPGRADE))
    }

    /// Not a byte of it reached an upstream, and nothing of its body was asked of the client.
    pub(crate) fn is_unsent(&self) -> bool {
        self.request.is_some()
    }

    /// Makes it as it was, for another upstream; `uri` where that one is asked for another.
    pub(crate) fn renew(&mut self, uri: Option<Uri>) {
        if self.request.is_none() {
            self.request = self.spare.clone().map(Spare::request);
        }
        let Some(request) = &mut self.request else { return };
        if let Some(uri) = uri {
            *request.uri_mut() = uri;
        }
        // One that was put in for the upstream before; a `rewrite` puts in its own.
        if !self.has_host {
            request.headers_mut().remove(header::HOST);
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
            if self.request.is_none() && (error.was_refused() || is_unanswered) {
                self.request = self.spare.clone().map(Spare::request);
            }
            // Waiting in line was the retry: another wait would only make the line longer.
            if is_retry || self.request.is_none() || error.is_exhausted() {
                return Err(error);
            }
            trail.retries += 1;
        }
    }

    /// On failure, the request is back if it could not be sent.
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
        let mut lease = match idle {
            Some(lease) => lease,
            // On the heap: most requests never come here.
            None => Box::pin(server.pool.lease(worker, only_http1)).await.map_err(ForwardError::Connect)?,
        };
        way.upstream.metrics.leased(worker, self.is_fresh);
        let Some(mut request) = self.request.take() else { return Err(ForwardError::NoTarget) };
        set_host(way.host, server, &mut request);
        if lease.version() == Version::HTTP_2 {
            to_http2(&mut request, server.pool.is_secure(), &server.authority);
        }
        let inflight = way.upstream.enter(place, worker);
        lease.expects_answer();
        let sending = lease.send(request);
        let answer = match &self.progress {
            None => way.head_in_time(sending).await,
            Some(progress) => Box::pin(way.head_after_upload(sending, progress)).await,
        };
        self.has_heard = lease.has_heard();
        lease.has_answer();
        match answer.inspect_err(|_| lease.suspect())? {
            Ok(response) if has_unknown_coding(&response) => Err(ForwardError::UnknownCoding),
            Ok(response) => {
                inflight.hand_over();
                Ok(Answered { response, lease, place })
            }
            Err(mut failed) => {
                self.request = failed.take_message().map(wire::to_http1);
                Err(ForwardError::from(failed.into_error()))
            }
        }
    }
}

/// The `Host` that an upstream sees.
pub(crate) fn set_host(wanted: &RewriteHost, server: &Server, request: &mut Request<RequestBody>) {
    let host = match wanted {
        RewriteHost::Keep if request.headers().contains_key(header::HOST) => return,
        RewriteHost::Keep | RewriteHost::Upstream => server.authority.clone(),
        RewriteHost::Fixed(host) => host.clone(),
    };
    request.headers_mut().insert(header::HOST, host);
}

impl Way<'_> {
    /// Waits for the head of the answer to a request that has no body.
    async fn head_in_time<F: Future>(&self, answer: F) -> Result<F::Output, ForwardError> {
        let deadline = Instant::now() + self.timeouts.response;
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

/// Whether an answer is framed in a way that hyper does not take off whole (RFC 9112 6.1): the client would get
/// coded bytes without the field that says so.
pub(crate) fn has_unknown_coding(response: &Response<Incoming>) -> bool {
    let mut lines = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |line: &HeaderValue| line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    lines.next().is_some_and(|first| !is_chunked(first)) || lines.next().is_some()
}

/// What an outcome says about the upstream.
pub(crate) fn verdict(outcome: &Result<Answered, ForwardError>) -> Verdict {
    match outcome {
        Ok(answered) if breaker::is_error(answered.response.status()) => Verdict::Bad,
        Ok(_) => Verdict::Good,
        Err(error) => match error.failure() {
            None | Some(Failure::NoTarget | Failure::BreakerOpen | Failure::Busy) => Verdict::Neither,
            Some(_) => Verdict::Bad,
        },
    }
}

/// What is needed to send a request again. Not its extensions: a request sent again loses the case of its field names,
/// which is cheaper than copying them for every request.
#[derive(Clone)]
struct Spare {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Spare {
    fn of(request: &Request<RequestBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        }
    }

    fn request(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::Empty);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}
