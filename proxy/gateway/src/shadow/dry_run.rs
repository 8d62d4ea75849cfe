//! Whether an upstream may be sent copies of what changes something: it has said that it does nothing but answer.
//!
//! What it said holds for the connection on which it said so, and for a minute: behind another connection may be another
//! build.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::request::BANYAN_SHADOW;

/// How long an answer to the question holds, either way.
pub(crate) const HOLDS: Duration = Duration::from_mins(1);

/// What is known of one server.
#[derive(Default)]
pub(crate) struct DryRuns {
    refused: Mutex<Option<Instant>>,
    is_over: AtomicBool,
}

impl DryRuns {
    /// It has said no a moment ago, or has broken its word.
    pub(super) fn are_refused(&self, now: Instant) -> bool {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = refused.is_some_and(|at| now.saturating_duration_since(at) < HOLDS);
        is_recent || self.is_over.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self, now: Instant) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// It answered a dry run without a word of it: what was sent may have been done. True the first time.
    pub(super) fn end(&self) -> bool {
        !self.is_over.swap(true, Ordering::Relaxed)
    }
}

pub(super) fn is_honoured(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(BANYAN_SHADOW).iter();
    let is_word = |line: &http::HeaderValue| line.as_bytes().trim_ascii().eq_ignore_ascii_case(b"honoured");
    lines.next().is_some_and(is_word) && lines.next().is_none()
}
