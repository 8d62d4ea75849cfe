//! What happens when a candidate fails: which failures send a request to legacy, and when its upstream is left alone.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

/// Why a request of the candidate may go to legacy instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FallbackCause {
    /// No connection: refused, unreachable, unknown name, not in time, or all of them in use; nor with as many requests
    /// there as there may be.
    ConnectError,
    /// No head of an answer within the route's `timeout`.
    Timeout,
    /// The connection ended, or nonsense came, before the head of an answer.
    Reset,
    /// No target takes requests.
    NoTarget,
    /// The breaker of the upstream is open.
    BreakerOpen,
    /// The candidate answered with this status, 400 to 599.
    Status(StatusCode),
}

impl FallbackCause {
    /// The causes that are words.
    pub const WORDS: [Self; 5] =
        [Self::ConnectError, Self::Timeout, Self::Reset, Self::NoTarget, Self::BreakerOpen];

    /// As in routes.toml; also the metric label.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ConnectError => "connect-error",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::NoTarget => "no-target",
            Self::BreakerOpen => "breaker-open",
            Self::Status(status) => status.as_str(),
        }
    }
}

impl fmt::Display for FallbackCause {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// `fallback` of a route: a request that the candidate cannot answer goes to legacy.
///
/// Only a safe request does, unless nothing of it was sent and its store is shared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fallback {
    /// Sorted, without repetition; empty when there is no fallback.
    on: Box<[FallbackCause]>,
}

impl Fallback {
    pub(crate) fn new(mut on: Vec<FallbackCause>) -> Self {
        on.sort_unstable();
        on.dedup();
        Self { on: on.into() }
    }

    /// The causes: words first, then statuses.
    pub fn on(&self) -> &[FallbackCause] {
        &self.on
    }

    /// Whether this cause is among them.
    pub fn lists(&self, cause: FallbackCause) -> bool {
        self.on.contains(&cause)
    }
}

/// `breaker` of an upstream: requests of candidates leave it alone for a while after too many errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Opens at this many errors in a hundred requests, 1 to 100.
    pub error_percent: u32,
    /// Over the requests of this last time, 100 ms to 10 min.
    pub window: Duration,
    /// But not below this many requests in the window, at least 1.
    pub min_requests: u32,
    /// Time without any request, until a few probe again.
    pub open_for: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            error_percent: 50,
            window: Duration::from_secs(10),
            min_requests: 20,
            open_for: Duration::from_secs(15),
        }
    }
}
