//! A route over time, as charts take it: columns of equal length, none where there is no data.

use crate::api::{API_VERSION, Series, SeriesArm};

use super::sample::{Arm, Sample};
use super::track::Track;
use super::{rate, tidied};

/// Most points of one answer.
pub(super) const POINTS_MAX: usize = 2_000;

/// Which ticks make which point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    /// The tick before the first.
    first: u64,
    /// Ticks per point.
    step: u64,
    /// Points.
    count: usize,
    every_ms: u64,
}

impl Steps {
    /// As few ticks a point as give no more points than asked for. Begin and end are whole steps, so that a chart that moves on
    /// keeps its points.
    pub(super) fn new((from_ms, to_ms): (u64, u64), points_max: usize, every_ms: u64) -> Self {
        let points = points_max.clamp(1, POINTS_MAX) as u64;
        let (from, to) = (from_ms / every_ms, to_ms.max(from_ms) / every_ms);
        let step = (to - from).div_ceil(points).max(1);
        let (first, last) = (from / step * step, to.div_ceil(step) * step);
        let count = ((last - first) / step).clamp(1, points);
        // One more may be needed for the whole steps at both ends: the oldest goes.
        let first = last.saturating_sub(count * step);
        Self { first, step, count: usize::try_from(count).unwrap_or(1), every_ms }
    }

    fn place(&self, tick: u64) -> Option<usize> {
        let place = tick.checked_sub(self.first + 1)? / self.step;
        usize::try_from(place).ok().filter(|place| *place < self.count)
    }

    fn end(&self, place: usize) -> u64 {
        self.first + self.step * (place as u64 + 1)
    }

    fn seconds_at(&self, tick: u64) -> u64 {
        tick * self.every_ms / 1000
    }
}

/// A point under way.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    sum: Sample,
    samples: u64,
}

impl Point {
    fn rate(&self, arm: Arm, every_ms: u64) -> Option<f64> {
        (self.samples > 0).then(|| rate(self.sum.requests(arm), seconds(self.samples * every_ms)))
    }
}

/// Without what the track does not know: marks, and since when there are samples.
pub(super) fn series(route: &str, track: &Track, steps: &Steps) -> Series {
    let mut points = vec![Point::default(); steps.count];
    track.read(steps.first, |entry| {
        if let Some(place) = steps.place(entry.tick) {
            points[place].sum.add(&entry.sample);
            points[place].samples += 1;
        }
    });
    let column = |number: &dyn Fn(&Point) -> Option<f64>| {
        points.iter().map(|point| number(point).map(tidied)).collect::<Vec<_>>()
    };
    let of_arm = |arm: Arm| SeriesArm {
        requests_per_second: column(&|point| point.rate(arm, steps.every_ms)),
        error_ratio: column(&|point| point.sum.error_ratio(arm)),
        p50_seconds: column(&|point| point.sum.quantile(arm, 0.5)),
        p99_seconds: column(&|point| point.sum.quantile(arm, 0.99)),
    };
    let configured = points.iter().enumerate().map(|(place, point)| {
        let share = track.share_at(steps.end(place)).filter(|_| point.samples > 0);
        share.map(|share| tidied(share.ratio()))
    });
    let is_empty = points.iter().all(|point| point.samples == 0);
    Series {
        version: API_VERSION,
        route: route.to_owned(),
        from: steps.seconds_at(steps.first),
        to: steps.seconds_at(steps.end(steps.count - 1)),
        step_seconds: (steps.step * steps.every_ms).div_ceil(1000),
        source: "memory".to_owned(),
        memory_since: None,
        problem: is_empty.then(|| "no sample of this route at that time".to_owned()),
        times: (0..steps.count).map(|place| steps.seconds_at(steps.end(place))).collect(),
        configured_share: configured.collect(),
        observed_share: column(&|point| point.sum.observed_share()),
        legacy: of_arm(Arm::Legacy),
        candidate: of_arm(Arm::Candidate),
        banyan: of_arm(Arm::Banyan),
        compared: column(&|point| (point.samples > 0).then(|| as_float(point.sum.compared()))),
        mismatch_ratio: column(&|point| super::ratio(point.sum.mismatches(), point.sum.compared())),
        marks: Vec::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn as_float(count: u64) -> f64 {
    count as f64
}

pub(super) fn seconds(ms: u64) -> f64 {
    as_float(ms) / 1000.0
}
