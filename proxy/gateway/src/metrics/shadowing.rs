//! What became of copies, and what comparing their answers said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use banyan_compare::{IncomparableReason, Verdict};

use super::cells::{Count, Distribution, Durations, PerWorker};
use super::scrape::Sheet;
use super::{Metrics, list, locked};
use crate::shadow::Bounds;

/// By route.
pub(super) type Counts = BTreeMap<Arc<str>, Arc<PerWorker<ShadowCell>>>;

/// What became of a request that was drawn to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShadowResult {
    /// Sent, or no connection could be made for it.
    Sent,
    /// One more request on behalf of nobody: legacy asked twice, a mismatch asked again.
    Again,
    /// As many wait as may.
    QueueFull,
    /// As many bytes are held as may be.
    Memory,
    /// It waited for too long, since as many are on their way as may be.
    InFlight,
    /// The body is above `max_body`.
    BodyTooLarge,
    /// The other arm is unhealthy, its breaker not closed, or clients need what it has.
    Unavailable,
    /// An upgrade, or a call of gRPC.
    Stream,
    /// The request or its answer did not come to its end.
    Aborted,
    /// The arm that was asked gave no answer.
    NoAnswer,
    /// Legacy answered in place of the candidate.
    FellBack,
    /// The other arm has not said that it honours dry runs.
    NotHonoured,
    /// The process stops.
    Stopping,
}

impl ShadowResult {
    /// Every result, in the order of the discriminants.
    pub(super) const ALL: [Self; 13] = [
        Self::Sent,
        Self::Again,
        Self::QueueFull,
        Self::Memory,
        Self::InFlight,
        Self::BodyTooLarge,
        Self::Unavailable,
        Self::Stream,
        Self::Aborted,
        Self::NoAnswer,
        Self::FellBack,
        Self::NotHonoured,
        Self::Stopping,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Again => "asked-again",
            Self::QueueFull => "queue-full",
            Self::Memory => "memory",
            Self::InFlight => "in-flight",
            Self::BodyTooLarge => "body-too-large",
            Self::Unavailable => "unavailable",
            Self::Stream => "stream",
            Self::Aborted => "aborted",
            Self::NoAnswer => "no-answer",
            Self::FellBack => "fell-back",
            Self::NotHonoured => "not-honoured",
            Self::Stopping => "stopping",
        }
    }
}

/// What a comparison came to in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShadowVerdict {
    Match,
    Ignored,
    Noise,
    Mismatch,
    Transient,
    Incomparable,
}

impl ShadowVerdict {
    /// Every verdict, in the order of the discriminants.
    pub(super) const ALL: [Self; 6] =
        [Self::Match, Self::Ignored, Self::Noise, Self::Mismatch, Self::Transient, Self::Incomparable];

    /// Those of comparisons that said something.
    pub(super) const COMPARED: [Self; 5] =
        [Self::Match, Self::Ignored, Self::Noise, Self::Mismatch, Self::Transient];

    pub(crate) fn of(verdict: &Verdict, is_transient: bool) -> Self {
        match verdict {
            Verdict::Match => Self::Match,
            Verdict::Ignored(_) => Self::Ignored,
            Verdict::Noise(_) => Self::Noise,
            Verdict::Mismatch(_) if is_transient => Self::Transient,
            Verdict::Mismatch(_) => Self::Mismatch,
            Verdict::Incomparable(_) => Self::Incomparable,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Ignored => "ignored",
            Self::Noise => "noise",
            Self::Mismatch => "mismatch",
            Self::Transient => "transient",
            Self::Incomparable => "incomparable",
        }
    }
}

#[derive(Default)]
pub(super) struct ShadowCell {
    results: [Count; ShadowResult::ALL.len()],
    verdicts: [Count; ShadowVerdict::ALL.len()],
    incomparable: [Count; IncomparableReason::ALL.len()],
    dry_runs_ended: Count,
    durations: Durations,
}

impl ShadowCell {
    pub(super) fn verdict(&self, verdict: ShadowVerdict) -> &Count {
        &self.verdicts[verdict as usize]
    }
}

/// The handle of one route in one table.
pub(crate) struct ShadowMetrics(Arc<PerWorker<ShadowCell>>);

impl ShadowMetrics {
    pub(crate) fn result(&self, worker: usize, result: ShadowResult) {
        self.0.of(worker).results[result as usize].add_one();
    }

    pub(crate) fn verdict(&self, worker: usize, verdict: ShadowVerdict) {
        self.0.of(worker).verdicts[verdict as usize].add_one();
    }

    pub(crate) fn incomparable(&self, worker: usize, reason: IncomparableReason) {
        if let Some(place) = IncomparableReason::ALL.iter().position(|listed| *listed == reason) {
            self.0.of(worker).incomparable[place].add_one();
        }
    }

    /// A target broke its word about dry runs.
    pub(crate) fn dry_runs_ended(&self, worker: usize) {
        self.0.of(worker).dry_runs_ended.add_one();
    }

    /// A copy has the head of an answer.
    pub(crate) fn answered(&self, worker: usize, duration: Duration) {
        self.0.of(worker).durations.observe(duration);
    }
}

impl Metrics {
    /// The handle of a route: its numbers go on from an earlier handle of that name.
    pub(crate) fn shadowing(&self, route: &str) -> Arc<ShadowMetrics> {
        let mut series = locked(&self.series);
        let made = || Arc::new(PerWorker::new(self.workers));
        Arc::new(ShadowMetrics(Arc::clone(series.shadows.entry(route.into()).or_insert_with(made))))
    }

    /// What shadowing may hold.
    pub(crate) fn shadow_bounds(&self) -> &Bounds {
        &self.shadow_bounds
    }

    pub(super) fn write_shadow_bounds(&self, sheet: &mut Sheet) {
        sheet.gauge(&list::SHADOW_INFLIGHT, &[], super::scrape::as_float(self.shadow_bounds.inflight()));
        sheet.gauge(&list::SHADOW_BYTES, &[], super::scrape::as_float(self.shadow_bounds.bytes()));
    }
}

pub(super) fn write_shadows(sheet: &mut Sheet, shadows: &Counts) {
    for (route, cells) in shadows {
        for result in ShadowResult::ALL {
            let count = cells.sum(|cell| &cell.results[result as usize]);
            let is_usual = result == ShadowResult::Sent;
            sheet.count_when(is_usual, &list::SHADOW_REQUESTS, &[route, result.as_str()], count);
        }
        for verdict in ShadowVerdict::ALL {
            let count = cells.sum(|cell| &cell.verdicts[verdict as usize]);
            sheet.count(&list::COMPARED, &[route, verdict.as_str()], count);
        }
        for (place, reason) in IncomparableReason::ALL.into_iter().enumerate() {
            let count = cells.sum(|cell| &cell.incomparable[place]);
            sheet.count_when(false, &list::INCOMPARABLE, &[route, reason.as_str()], count);
        }
        let ended = cells.sum(|cell| &cell.dry_runs_ended);
        sheet.count(&list::DRY_RUNS_ENDED, &[route], ended);
        let durations = Distribution::of(cells.all().map(|cell| &cell.durations));
        sheet.distribution(&list::SHADOW_DURATION, &[route], &durations);
    }
}
