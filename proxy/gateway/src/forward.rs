//! The exchange with an upstream: attempts, deadlines, and what failed.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_routes::{RewriteHost, Timeouts};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::{sleep_until, timeout};

use crate::answer::Own;
use crate::body::{BodyError, Progress, RequestBody};
use crate::metrics::Failure;
use crate::pool::{ConnectError, Lease};
use crate::state::LiveUpstream;
use crate::targets::Server;

/// One request on its way to one upstream.
pub(crate) struct Outgoing<'s> {
    pub(crate) upstream: &'s LiveUpstream,
    pub(crate) worker: usize,
    pub(crate) timeouts: &'s Timeouts,
    pub(crate) host: &'s RewriteHost,
    /// A safe request without a body may be sent a second time.
    pub(crate) is_replayable: bool,
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

/// At most two attempts fail: there is one retry.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    first: Option<Failure>,
    second: Option<Failure>,
}

impl Failures {
    fn push(&mut self, failure: Failure) {
        if self.first.is_none() {
            self.first = Some(failure);
        } else {
            self.second = Some(failure);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Failure> {
        self.first.into_iter().chain(self.second)
    }
}

/// Why there is no answer from the upstream.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// Every target is unhealthy.
    NoTarget,
    /// No connection.
    Connect(ConnectError),
    /// The head of the answer did not come in time.
    Timeout,
    /// The client stopped sending its body.
    UploadIdle,
    /// The client broke off its body.
    UploadBroken,
    /// The connection ended, or nonsense came, before the head of an answer.
    Upstream(hyper::Error),
    /// The answer has a transfer coding besides a single `chunked`.
    UnknownCoding,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => write!(out, "no healthy target"),
            Self::Connect(error) => write!(out, "{error}"),
            Self::Timeout => write!(out, "no answer in time"),
            Self::UploadIdle => write!(out, "the client stopped sending"),
            Self::UploadBroken => write!(out, "the client broke off its request"),
            Self::UnknownCoding => write!(out, "the answer has a transfer coding that is not `chunked`"),
            Self::Upstream(error) => match error.source() {
                Some(source) => write!(out, "{error}: {source}"),
                None => write!(out, "{error}"),
            },
        }
    }
}

impl ForwardError {
    /// What the client is told.
    pub(crate) fn answer(&self) -> Own {
        match self {
            Self::NoTarget => Own::new(StatusCode::SERVICE_UNAVAILABLE, "no-target"),
            Self::Connect(ConnectError::Exhausted) => {
                Own::new(StatusCode::SERVICE_UNAVAILABLE, "upstream-busy")
            }
            Self::Connect(ConnectError::Timeout) => Own::new(StatusCode::GATEWAY_TIMEOUT, "connect-timeout"),
            Self::Connect(_) => Own::new(StatusCode::BAD_GATEWAY, "connect-error"),
            Self::Timeout => Own::new(StatusCode::GATEWAY_TIMEOUT, "timeout"),
            Self::UploadIdle => Own::new(StatusCode::REQUEST_TIMEOUT, "upload-idle"),
            Self::UploadBroken => Own::new(StatusCode::BAD_REQUEST, "upload-broken"),
            Self::UnknownCoding => Own::new(StatusCode::BAD_GATEWAY, "bad-answer"),
            Self::Upstream(error) if error.is_parse() => Own::new(StatusCode::BAD_GATEWAY, "bad-answer"),
            Self::Upstream(_) => Own::new(StatusCode::BAD_GATEWAY, "upstream-reset"),
        }
    }

    /// `None` when the upstream is not to blame.
    fn failure(&self) -> Option<Failure> {
        Some(match self {
            Self::NoTarget | Self::UploadIdle | Self::UploadBroken => return None,
            Self::Connect(ConnectError::Resolve(_)) => Failure::Resolve,
            Self::Connect(ConnectError::Io(_)) => Failure::Connect,
            Self::Connect(ConnectError::Timeout) => Failure::ConnectTimeout,
            Self::Connect(ConnectError::Exhausted) => Failure::Exhausted,
            Self::Timeout => Failure::Timeout,
            Self::UnknownCoding => Failure::BadAnswer,
            Self::Upstream(error) if error.is_parse() => Failure::BadAnswer,
            Self::Upstream(_) => Failure::Reset,
        })
    }
}

/// One failed attempt, and what is left of the request.
struct Failed {
    error: ForwardError,
    /// The request, if it came back unsent.
    unsent: Option<Request<RequestBody>>,
}

impl Outgoing<'_> {
    /// Sends the request and waits for the head of the answer.
    ///
    /// One retry, on the same upstream: when connecting failed, when the request came back unsent, or for a
    /// replayable request when the connection ended before the head of an answer.
    pub(crate) async fn send(
        &self,
        mut request: Request<RequestBody>,
        trail: &mut Trail,
    ) -> Result<Answered, ForwardError> {
        let mut is_retry = false;
        loop {
            let spare = (self.is_replayable && !is_retry).then(|| copy_of(&request));
            let avoid = trail.target.filter(|_| is_retry);
            let place = self.upstream.servers.choose(avoid).ok_or(ForwardError::NoTarget)?;
            trail.target = Some(place);
            let began = Instant::now();
            let failed = match self.attempt(place, request, is_retry).await {
                Ok(answered) => {
                    trail.upstream_time = began.elapsed();
                    return Ok(answered);
                }
                Err(failed) => failed,
            };
            trail.upstream_time = began.elapsed();
            if let Some(failure) = failed.error.failure() {
                trail.failures.push(failure);
            }
            let again = failed.unsent.or_else(|| spare.filter(|_| failed.error.ended_before_answer()));
            match again {
                Some(again) if !is_retry => request = again,
                _ => return Err(failed.error),
            }
            is_retry = true;
            trail.retries += 1;
        }
    }

    async fn attempt(
        &self,
        place: usize,
        mut request: Request<RequestBody>,
        is_retry: bool,
    ) -> Result<Answered, Failed> {
        let server = &self.upstream.servers.targets[place];
        let mut lease = match server.pool.lease(self.worker, is_retry).await {
            Ok(lease) => lease,
            // Waiting in line was the retry: another wait would only make the line longer.
            Err(error @ ConnectError::Exhausted) => {
                return Err(Failed { error: ForwardError::Connect(error), unsent: None });
            }
            Err(error) => {
                return Err(Failed { error: ForwardError::Connect(error), unsent: Some(request) });
            }
        };
        self.set_host(server, &mut request);
        let inflight = self.upstream.enter(place, self.worker);
        if let Some(progress) = &self.progress {
            progress.moved(0);
        }
        let sending = lease.sender.try_send_request(request);
        match self.in_time(sending).await {
            Ok(Ok(response)) if has_unknown_coding(&response) => {
                Err(Failed { error: ForwardError::UnknownCoding, unsent: None })
            }
            Ok(Ok(response)) => {
                inflight.hand_over();
                Ok(Answered { response, lease, place })
            }
            Ok(Err(failed)) => Err(Failed::from(failed)),
            Err(error) => Err(Failed { error, unsent: None }),
        }
    }

    fn set_host(&self, server: &Server, request: &mut Request<RequestBody>) {
        let host = match self.host {
            RewriteHost::Keep if request.headers().contains_key(header::HOST) => return,
            RewriteHost::Keep | RewriteHost::Upstream => server.authority.clone(),
            RewriteHost::Fixed(host) => host.clone(),
        };
        request.headers_mut().insert(header::HOST, host);
    }

    /// Waits from the end of the request to the head of the answer, and watches that an upload moves.
    async fn in_time<F: Future>(&self, answer: F) -> Result<F::Output, ForwardError> {
        let Some(progress) = &self.progress else {
            return timeout(self.timeouts.response, answer).await.map_err(|_| ForwardError::Timeout);
        };
        let mut answer = std::pin::pin!(answer);
        loop {
            // A silent client is noticed by the body itself, after the idle time.
            let silence = if progress.has_ended() { Duration::ZERO } else { self.timeouts.idle };
            let deadline = progress.last_moved() + self.timeouts.response + silence;
            tokio::select! {
                biased;
                answer = &mut answer => return Ok(answer),
                () = sleep_until(deadline.into()) => {}
            }
            if progress.last_moved() + self.timeouts.response <= Instant::now() {
                return Err(ForwardError::Timeout);
            }
        }
    }
}

impl ForwardError {
    fn ended_before_answer(&self) -> bool {
        matches!(self, Self::Upstream(error) if !error.is_parse())
    }
}

impl From<TrySendError<Request<RequestBody>>> for Failed {
    fn from(mut failed: TrySendError<Request<RequestBody>>) -> Self {
        let unsent = failed.take_message();
        let error = failed.into_error();
        let from_client = error.source().and_then(|source| source.downcast_ref::<BodyError>());
        let error = match from_client {
            Some(BodyError::Idle) => ForwardError::UploadIdle,
            Some(BodyError::Sender(_)) => ForwardError::UploadBroken,
            None => ForwardError::Upstream(error),
        };
        Self { error, unsent }
    }
}

/// Whether an answer is framed in a way that hyper does not take off whole (RFC 9112 6.1): the client would get
/// coded bytes without the field that says so.
fn has_unknown_coding(response: &Response<Incoming>) -> bool {
    let mut lines = response.headers().get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |line: &HeaderValue| line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    lines.next().is_some_and(|first| !is_chunked(first)) || lines.next().is_some()
}

/// Whether a request may be sent twice: a safe method (RFC 9110 9.2.1) without a body.
pub(crate) fn is_replayable(method: &Method, body: &RequestBody) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
        && matches!(body, RequestBody::Empty)
}

/// What is needed to send a request again. Not its extensions: a request sent again loses the case of its field names,
/// which is cheaper than copying them for every request.
fn copy_of(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// The request as it goes out: HTTP/1.1, origin-form, framed anew by hyper.
pub(crate) fn outgoing(mut parts: request::Parts, body: RequestBody) -> Request<RequestBody> {
    parts.version = http::Version::HTTP_11;
    // hyper sends no body with GET and HEAD unless a field says that there is one.
    if matches!(body, RequestBody::Client(_)) && !parts.headers.contains_key(header::CONTENT_LENGTH) {
        parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Request::from_parts(parts, body)
}
