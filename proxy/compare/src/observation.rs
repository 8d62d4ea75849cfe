//! What one arm answered, or how it failed.
//!
//! Made for the gateway to build without a copy: a body is the `Bytes` it captured, headers are hyper's map.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arm {
    /// The upstream that answers whatever no route has taken.
    Legacy,
    /// The upstream a route moves to.
    Candidate,
}

impl Arm {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Candidate,
            Self::Candidate => Self::Legacy,
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Legacy => "legacy",
            Self::Candidate => "candidate",
        })
    }
}

/// What came of asking one arm.
#[derive(Debug, Clone)]
pub enum Observation {
    /// A final answer.
    Answered(Answer),
    /// None.
    Failed(Failure),
}

/// A final answer of one arm.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All header fields, with addresses as seen from outside.
    pub headers: HeaderMap,
    /// What was captured of the body.
    pub body: Body,
    /// From the end of the request to the head of the answer.
    pub elapsed: Duration,
}

/// What was captured of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it, as it was sent: content codings are not undone. Empty for HEAD, 204 and 304.
    Complete(Bytes),
    /// More than the capture's bound.
    TooLarge,
    /// A stream without an end in sight, such as `text/event-stream`.
    Streaming,
    /// It broke off before its end.
    Broken,
    /// Not wanted: `max_body = 0` compares heads only.
    HeadOnly,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// No head within the deadline.
    TimedOut,
    /// The copy was never sent: a queue or a cap was full.
    Dropped,
    /// The connection became another protocol.
    Upgraded,
    /// No connection could be made.
    ConnectError,
    /// The connection ended, or what came was not HTTP, before the head was complete.
    BrokenAnswer,
}
