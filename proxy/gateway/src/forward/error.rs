//! Why there is no answer from an upstream, and what is told of it.

use std::error::Error as _;
use std::fmt;

use http::StatusCode;

use crate::answer::Own;
use crate::body::BodyError;
use crate::breaker::Stopped;
use crate::connect::ConnectError;
use crate::http1::{self, StreamError};
use crate::metrics::Failure;

/// Why there is no answer from the upstream.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// Every target is unhealthy.
    NoTarget,
    /// As many requests at the upstream as there may be.
    Busy,
    /// The upstream failed too often of late.
    BreakerOpen(Stopped),
    /// No connection.
    Connect(ConnectError),
    /// The head of the answer did not come in time.
    Timeout,
    /// The client stopped sending its body.
    UploadIdle,
    /// The client broke off its body.
    UploadBroken,
    /// The body is longer than the route takes.
    UploadTooLong,
    /// The connection ended, or nonsense came, before the head of an answer.
    Upstream(StreamError),
    /// Interim answers without end.
    NoHead,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTarget => write!(out, "no healthy target"),
            Self::Busy => write!(out, "too many requests at a time"),
            Self::BreakerOpen(_) => write!(out, "the breaker is open"),
            Self::Connect(error) => write!(out, "{error}"),
            Self::Timeout => write!(out, "no answer in time"),
            Self::UploadIdle => write!(out, "the client stopped sending"),
            Self::UploadBroken => write!(out, "the client broke off its request"),
            Self::UploadTooLong => write!(out, "the body is too long"),
            Self::NoHead => write!(out, "too many interim answers"),
            Self::Upstream(error) => match error.cause().and_then(std::error::Error::source) {
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
            Self::BreakerOpen(stopped) => {
                Own::new(StatusCode::SERVICE_UNAVAILABLE, "breaker-open").retry_after(stopped.retry_after)
            }
            Self::Busy | Self::Connect(ConnectError::Exhausted) => {
                Own::new(StatusCode::SERVICE_UNAVAILABLE, "upstream-busy")
            }
            Self::Connect(ConnectError::Timeout) => Own::new(StatusCode::GATEWAY_TIMEOUT, "connect-timeout"),
            Self::Connect(ConnectError::Tls(_)) => Own::new(StatusCode::BAD_GATEWAY, "tls-error"),
            Self::Connect(ConnectError::Resolve(_) | ConnectError::Io(_)) => {
                Own::new(StatusCode::BAD_GATEWAY, "connect-error")
            }
            Self::Timeout => Own::new(StatusCode::GATEWAY_TIMEOUT, "timeout"),
            Self::UploadIdle => Own::new(StatusCode::REQUEST_TIMEOUT, "upload-idle"),
            Self::UploadBroken => Own::new(StatusCode::BAD_REQUEST, "upload-broken"),
            Self::UploadTooLong => Own::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long"),
            Self::NoHead => Own::new(StatusCode::BAD_GATEWAY, "bad-answer"),
            Self::Upstream(error) if error.is_malformed() => Own::new(StatusCode::BAD_GATEWAY, "bad-answer"),
            Self::Upstream(_) => Own::new(StatusCode::BAD_GATEWAY, "upstream-reset"),
        }
    }

    /// `None` when the upstream is not to blame.
    pub(super) fn failure(&self) -> Option<Failure> {
        Some(match self {
            Self::UploadIdle | Self::UploadBroken | Self::UploadTooLong => return None,
            Self::NoTarget => Failure::NoTarget,
            Self::Busy => Failure::Busy,
            Self::BreakerOpen(_) => Failure::BreakerOpen,
            Self::Connect(ConnectError::Resolve(_)) => Failure::Resolve,
            Self::Connect(ConnectError::Io(_)) => Failure::Connect,
            Self::Connect(ConnectError::Tls(_)) => Failure::Tls,
            Self::Connect(ConnectError::Timeout) => Failure::ConnectTimeout,
            Self::Connect(ConnectError::Exhausted) => Failure::Exhausted,
            Self::Timeout => Failure::Timeout,
            Self::NoHead => Failure::BadAnswer,
            Self::Upstream(error) if error.is_malformed() => Failure::BadAnswer,
            Self::Upstream(_) => Failure::Reset,
        })
    }
}

impl ForwardError {
    pub(super) fn ended_before_answer(&self) -> bool {
        matches!(self, Self::Upstream(error) if !error.is_malformed())
    }

    /// The upstream did not begin with the request, and says so: a stream refused, or above the last one of a GOAWAY
    /// (RFC 9113 8.7).
    pub(super) fn was_refused(&self) -> bool {
        let Self::Upstream(StreamError::Http2(error)) = self else { return false };
        let cause = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
        cause.is_some_and(|cause| {
            let is_refusal = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
            cause.is_remote() && (cause.is_go_away() || is_refusal)
        })
    }

    /// What takes a single server out when it happens again and again.
    pub(super) fn is_broken_connection(&self) -> bool {
        match self {
            Self::Connect(error) => !matches!(error, ConnectError::Exhausted),
            Self::Upstream(_) => true,
            _ => false,
        }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Exhausted))
    }
}

impl From<StreamError> for ForwardError {
    fn from(error: StreamError) -> Self {
        let of_body = match &error {
            StreamError::Http1(http1::Error::Endless) => return Self::NoHead,
            StreamError::Http1(http1::Error::Upload(error)) => Some(&**error),
            StreamError::Http1(_) => None,
            StreamError::Http2(error) => error.source().and_then(|source| source.downcast_ref::<BodyError>()),
        };
        match of_body {
            Some(BodyError::Idle) => Self::UploadIdle,
            Some(BodyError::Sender(_)) => Self::UploadBroken,
            Some(BodyError::TooLong) => Self::UploadTooLong,
            None => Self::Upstream(error),
        }
    }
}
