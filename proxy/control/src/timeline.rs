//! What every route answered during the last day, sampled every ten seconds, in memory: charts and board work without
//! Prometheus.
//!
//! - A sample is what the counters rose by within one tick. Where there was none there is a gap, never a zero: before a route
//!   was first seen, while the sampler did not run, and after the clock was set.
//! - Counters that fall have begun anew (a route that was away and came again): what they show counts from zero.
//! - Memory has a bound, [`MEMORY_MAX`]. Beyond it the oldest hour of every route goes first, and is counted.
//!
//! `sampler`: the thread that looks. `sample`: the numbers of a route. `block`: an hour of them, in few bytes. `track`: all hours of a
//! route. `series`: what charts are made of. `progress`: how far the migration is, `diary` keeps that on disk.

mod block;
mod diary;
mod progress;
mod sample;
mod sampler;
mod series;
#[cfg(test)]
mod tests;
mod track;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use banyan_gateway::RouteCounts;
use banyan_routes::{RouteChange, RouteTable, Stage};

use crate::api::{API_VERSION, BoardArm, BoardMismatch, Progress, Series};
use crate::clock;
use crate::explain::split;
use progress::BurnDown;
pub(crate) use progress::routes;
use sample::{Arm, Sample, ratio};
pub(crate) use sampler::Sampler;
use track::Track;

/// Time between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Ticks in an hour of [`SAMPLE_EVERY`].
const HOUR: u64 = 360;

/// Ticks that are remembered: a day.
const REMEMBERED: u64 = 24 * HOUR;

/// What all samples may take.
const MEMORY_MAX: usize = 64 * 1024 * 1024;

/// A clock that is set back by more ticks than this makes everything remembered meaningless.
const BACK_MAX: u64 = 60;

/// Hours made small with each tick: the work is spread over the next hour.
const PACKED_AT_ONCE: usize = 32;

/// Why samples are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The sampler did not run in time.
    Late,
    /// The clock was set back.
    Clock,
    /// There was no room for a day.
    Memory,
    /// A point of the burn-down did not get to the disk.
    Disk,
}

impl Lost {
    pub(crate) const ALL: [Self; 4] = [Self::Late, Self::Clock, Self::Memory, Self::Disk];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Clock => "clock",
            Self::Memory => "memory",
            Self::Disk => "disk",
        }
    }
}

/// Kept and read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Timeline {
    every_ms: u64,
    memory_max: usize,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    tracks: BTreeMap<Arc<str>, Track>,
    last_tick: Option<u64>,
    /// Per tick of the last hour: answers that are not legacy's, and all.
    answers: VecDeque<(u64, u64, u64)>,
    burn_down: BurnDown,
}

/// A route lately. Every number is none without data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Recent {
    /// Answers of all arms.
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) legacy: BoardArm,
    pub(crate) candidate: BoardArm,
    pub(crate) banyan: BoardArm,
    pub(crate) observed_share: Option<f64>,
    pub(crate) observed_requests: u64,
    /// Of comparisons within the window.
    pub(crate) mismatch: Option<BoardMismatch>,
    /// The newest sample.
    pub(crate) as_of: Option<SystemTime>,
}

/// What a tick did.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Taken {
    /// Samples lost, and why.
    pub(crate) lost: Option<(Lost, u64)>,
    /// What all samples take now.
    pub(crate) bytes: usize,
    /// A point of the burn-down, to be kept.
    pub(crate) point: Option<crate::api::ProgressPoint>,
}

impl Timeline {
    /// One sample per `every`.
    pub(crate) fn new(every: Duration) -> Self {
        Self::with_memory(every, MEMORY_MAX)
    }

    fn with_memory(every: Duration, memory_max: usize) -> Self {
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
        Self { every_ms, memory_max, known: Arc::default() }
    }

    /// Puts back the burn-down of the processes before.
    pub(crate) fn remember(&self, points: Vec<crate::api::ProgressPoint>, problem: Option<String>) {
        self.known().burn_down.remember(points, problem);
    }

    /// A sample of all counters, taken now. The first one is where counting begins.
    pub(crate) fn take(&self, now: SystemTime, counts: &[RouteCounts], table: &RouteTable) -> Taken {
        let tick = self.tick(now);
        let mut known = self.known();
        let mut taken = Taken::default();
        match known.last_tick {
            Some(last) if tick == last => return taken,
            Some(last) if tick < last => {
                taken.lost = Some((Lost::Clock, known.clock_set_back(last - tick, counts)));
                return taken;
            }
            Some(last) if tick > last + 1 => {
                taken.lost = Some((Lost::Late, known.forget_where_counters_stood()));
            }
            _ => {}
        }
        known.last_tick = Some(tick);
        known.answers.retain(|(at, ..)| *at + HOUR > tick);
        let (off, all) = known.count(tick, counts, table);
        if let Some(all) = all {
            known.answers.push_back((tick, off, all));
        }
        taken.point = known.burn_down.passed(tick, clock::ms(now) / 1000, table, (off, all.unwrap_or(0)));
        let forgotten = known.tidy(tick, self.memory_max);
        if forgotten > 0 {
            taken.lost = Some((Lost::Memory, forgotten));
        }
        taken.bytes = known.memory();
        taken
    }

    /// A swap made these changes: what came before is no news of their routes any more.
    pub(crate) fn changed(&self, changes: &[RouteChange], at: SystemTime) {
        // The tick under way is partly of before.
        let tick = self.tick(at) + 1;
        let mut known = self.known();
        for change in changes {
            if let RouteChange::Added { route, .. }
            | RouteChange::Shifted { route, .. }
            | RouteChange::Changed { route, .. }
            | RouteChange::FallsBack { route, .. } = change
                && let Some(track) = known.tracks.get_mut(route.as_str())
            {
                track.changed_at(tick);
            }
        }
    }

    /// A route, or `default`, during the last `window`, or since it was last changed if that is shorter.
    pub(crate) fn recent(&self, route: &str, window: Duration) -> Recent {
        let known = self.known();
        let Some(last) = known.last_tick else { return Recent::default() };
        let as_of = Some(self.time(last));
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX) / self.every_ms;
        let (sum, samples) = known
            .tracks
            .get(route)
            .map(|track| track.sum_after(last.saturating_sub(window.max(1))))
            .unwrap_or_default();
        if samples == 0 {
            return Recent { as_of, ..Recent::default() };
        }
        let seconds = self.seconds(samples);
        let arms = [Arm::Legacy, Arm::Candidate, Arm::Banyan];
        let [legacy, candidate, banyan] = arms.map(|arm| of_arm(&sum, arm, seconds));
        let all = arms.iter().map(|arm| sum.requests(*arm)).sum();
        Recent {
            requests_per_second: Some(rate(all, seconds)),
            legacy,
            candidate,
            banyan,
            observed_share: sum.observed_share(),
            observed_requests: sum.share_decisions(),
            mismatch: mismatch(sum.mismatches(), sum.compared()),
            as_of,
        }
    }

    /// Answers that are not legacy's among all of the last hour; none without any.
    pub(crate) fn requests_off(&self) -> Option<f64> {
        let known = self.known();
        let sums = known.answers.iter().fold((0, 0), |(off, all), (_, more, of)| (off + more, all + of));
        ratio(sums.0, sums.1)
    }

    /// The time that [`Self::requests_off`] is about.
    pub(crate) fn hour(&self) -> Duration {
        Duration::from_millis(self.every_ms * HOUR)
    }

    /// The newest sample.
    pub(crate) fn as_of(&self) -> Option<SystemTime> {
        self.known().last_tick.map(|tick| self.time(tick))
    }

    /// How old the newest sample is, if that is older than it should be; from the first look on.
    pub(crate) fn stale(&self, now: SystemTime) -> Option<Duration> {
        let age = now.duration_since(self.as_of()?).ok()?;
        (age > 3 * Duration::from_millis(self.every_ms)).then_some(age)
    }

    /// A route, or `default`, over time. None when nothing is remembered of it. Without `marks`: the caller knows the history.
    pub(crate) fn series(
        &self,
        route: &str,
        from: SystemTime,
        to: SystemTime,
        points_max: usize,
    ) -> Option<Series> {
        let known = self.known();
        let since = known.since().map(|tick| clock::ms(self.time(tick)) / 1000);
        let steps = series::Steps::new((clock::ms(from), clock::ms(to)), points_max, self.every_ms);
        let track = known.tracks.get(route)?;
        Some(Series { memory_since: since, ..series::series(route, track, &steps) })
    }

    /// A route that nothing is remembered of yet.
    pub(crate) fn without_data(
        &self,
        route: &str,
        from: SystemTime,
        to: SystemTime,
        points_max: usize,
    ) -> Series {
        let steps = series::Steps::new((clock::ms(from), clock::ms(to)), points_max, self.every_ms);
        series::series(route, &Track::default(), &steps)
    }

    /// The burn-down since `from`, at most so many points.
    pub(crate) fn progress(&self, from: SystemTime, points_max: usize) -> Progress {
        let known = self.known();
        let (points, problem) = known.burn_down.points(clock::ms(from) / 1000, points_max);
        Progress { version: API_VERSION, points, problem }
    }

    /// What the points since the last tick come to: the process is about to end.
    pub(crate) fn last_point(&self, now: SystemTime) -> Option<crate::api::ProgressPoint> {
        self.known().burn_down.last(clock::ms(now) / 1000)
    }

    /// Why the burn-down will not survive.
    pub(crate) fn set_problem(&self, problem: Option<String>) {
        self.known().burn_down.set_problem(problem);
    }

    fn tick(&self, at: SystemTime) -> u64 {
        clock::ms(at) / self.every_ms
    }

    fn time(&self, tick: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(tick.saturating_mul(self.every_ms))
    }

    fn seconds(&self, samples: u64) -> f64 {
        series::seconds(samples * self.every_ms)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic between two steps leaves a sample short: a gap, no wrong number.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Adds the samples of a tick. Answers that are not legacy's, and all if there was anything to compare with.
    fn count(&mut self, tick: u64, counts: &[RouteCounts], table: &RouteTable) -> (u64, Option<u64>) {
        let routes: BTreeMap<&str, _> =
            table.routes().iter().map(|route| (route.name.as_str(), route)).collect();
        let (mut off, mut all) = (0, None);
        for track in self.tracks.values_mut() {
            track.unseen();
        }
        for counts in counts {
            let route = routes.get(&*counts.route).copied();
            let track = self.tracks.entry(Arc::clone(&counts.route)).or_default();
            track.configured(tick, route.and_then(split).map(|split| split.share));
            let Some(sample) = track.take(tick, Box::new(Sample::of(counts))) else { continue };
            // 410 is an answer of a migrated route; any other of Banyan's own is a failure of somebody.
            let is_retired = route.is_some_and(|route| route.stage() == Stage::Retired);
            off +=
                sample.requests(Arm::Candidate) + if is_retired { sample.requests(Arm::Banyan) } else { 0 };
            let arms = [Arm::Legacy, Arm::Candidate, Arm::Banyan];
            *all.get_or_insert(0) += arms.iter().map(|arm| sample.requests(*arm)).sum::<u64>();
        }
        for track in self.tracks.values_mut() {
            track.forget_unseen();
        }
        (off, all)
    }

    /// Lets go of what is too old or too much, and makes older hours small. How many samples went for lack of room.
    fn tidy(&mut self, tick: u64, memory_max: usize) -> u64 {
        let mut packed = 0;
        for track in self.tracks.values_mut() {
            track.forget_until(tick.saturating_sub(REMEMBERED));
            while packed < PACKED_AT_ONCE && track.pack_one(tick) {
                packed += 1;
            }
        }
        self.tracks.retain(|_, track| !track.is_forgotten());
        let mut forgotten = 0;
        while self.memory() > memory_max {
            let Some(oldest) = self.tracks.values().filter_map(Track::oldest_block_end).min() else { break };
            // All of that hour: charts begin at the same time.
            let until = oldest.next_multiple_of(HOUR);
            forgotten += self.tracks.values_mut().map(|track| track.forget_until(until)).sum::<u64>();
        }
        forgotten
    }

    fn clock_set_back(&mut self, ticks: u64, counts: &[RouteCounts]) -> u64 {
        if ticks <= BACK_MAX {
            // The same times come again: they are taken, and what counts then would be of twice the time.
            self.forget_where_counters_stood();
            return counts.len() as u64;
        }
        let lost = self.tracks.values().map(Track::samples).sum();
        self.tracks.clear();
        self.answers.clear();
        self.last_tick = None;
        lost
    }

    /// Counters are compared with the tick before; if it is not there, with nothing.
    fn forget_where_counters_stood(&mut self) -> u64 {
        self.tracks.values_mut().map(|track| u64::from(track.forget_where_counters_stood())).sum()
    }

    fn since(&self) -> Option<u64> {
        self.tracks.values().filter_map(Track::first).min()
    }

    fn memory(&self) -> usize {
        self.tracks.values().map(Track::memory).sum()
    }
}

fn of_arm(sum: &Sample, arm: Arm, seconds: f64) -> BoardArm {
    let requests = sum.requests(arm);
    BoardArm {
        requests_per_second: Some(rate(requests, seconds)),
        requests,
        error_ratio: sum.error_ratio(arm).map(tidied),
        p50_seconds: sum.quantile(arm, 0.5).map(tidied),
        p99_seconds: sum.quantile(arm, 0.99).map(tidied),
    }
}

/// Mismatches with their interval; none if nothing was compared.
pub(crate) fn mismatch(mismatches: u64, compared: u64) -> Option<BoardMismatch> {
    let found = banyan_compare::wilson(mismatches.min(compared), compared)?;
    Some(BoardMismatch { ratio: found.ratio, low: found.lower, high: found.upper, compared })
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn rate(requests: u64, seconds: f64) -> f64 {
    tidied(requests as f64 / seconds)
}

/// Six decimals are more than anybody reads.
fn tidied(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
