//! Whether an upstream may be sent copies of what changes something: it has said that it does nothing but answer.
//!
//! What it said holds for the route that it was asked for, for the connection on which it said so, and for a minute: what
//! agrees may stand before one part of the upstream only, and behind another connection may be another build.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::request::BANYAN_SHADOW;
use crate::message::Fields;

/// How long an answer to the question holds, either way.
const HOLDS: Duration = Duration::from_mins(1);

/// Most routes of which one answer is remembered. Beyond them the oldest is forgotten, and the question asked again.
const ROUTES: usize = 64;

/// For which routes something was said, and when. A route of another table is another route: the names are those that a
/// table made.
#[derive(Default)]
pub(crate) struct Said(Mutex<Vec<(Arc<str>, Instant)>>);

/// What is known of one server.
#[derive(Default)]
pub(crate) struct DryRuns {
    refused: Said,
    is_over: AtomicBool,
}

impl Said {
    pub(crate) fn holds(&self, route: &Arc<str>, now: Instant) -> bool {
        self.fresh(now).iter().any(|(said, _)| Arc::ptr_eq(said, route))
    }

    pub(crate) fn say(&self, route: &Arc<str>, now: Instant) {
        let mut said = self.fresh(now);
        said.retain(|(said, _)| !Arc::ptr_eq(said, route));
        if said.len() == ROUTES {
            said.remove(0);
        }
        said.push((Arc::clone(route), now));
    }

    /// What still holds, oldest first.
    fn fresh(&self, now: Instant) -> MutexGuard<'_, Vec<(Arc<str>, Instant)>> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|(_, at)| now.saturating_duration_since(*at) < HOLDS);
        said
    }
}

impl DryRuns {
    /// It has said no for this route a moment ago, or has broken its word.
    pub(super) fn are_refused(&self, route: &Arc<str>, now: Instant) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.refused.holds(route, now)
    }

    pub(super) fn refuse(&self, route: &Arc<str>, now: Instant) {
        self.refused.say(route, now);
    }

    /// It answered a dry run without a word of it: what was sent may have been done. True the first time.
    pub(super) fn end(&self) -> bool {
        !self.is_over.swap(true, Ordering::Relaxed)
    }
}

pub(super) fn is_honoured(fields: &Fields) -> bool {
    let mut lines = fields.get_all(&BANYAN_SHADOW);
    let is_word = |line: &[u8]| line.trim_ascii().eq_ignore_ascii_case(b"honoured");
    lines.next().is_some_and(is_word) && lines.next().is_none()
}
