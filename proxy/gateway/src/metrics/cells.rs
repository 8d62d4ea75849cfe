//! Numbers kept once per worker thread: written without contention, summed when read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// One `T` per worker, each on cache lines of its own, made when its worker first writes.
pub(super) struct PerWorker<T>(Box<[OnceLock<Box<Padded<T>>>]>);

/// 128 and not 64: processors fetch cache lines in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Padded<T>(T);

impl<T: Default> PerWorker<T> {
    pub(super) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| OnceLock::new()).collect())
    }

    /// The cell of one worker. A number out of range shares a cell, which costs time and nothing else.
    pub(super) fn of(&self, worker: usize) -> &T {
        // A division costs more than the rest of this.
        let place = if worker < self.0.len() { worker } else { worker % self.0.len() };
        &self.0[place].get_or_init(Box::default).0
    }

    /// The cells written so far.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|cell| &cell.0)
    }

    pub(super) fn sum(&self, number: impl Fn(&T) -> &Count) -> u64 {
        self.all().map(|cell| number(cell).get()).sum()
    }
}

/// A number that only rises.
#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises on one worker and may fall on another.
#[derive(Default)]
pub(super) struct Level(AtomicI64);

impl Level {
    pub(super) fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }
}

impl PerWorker<Level> {
    /// Never negative, though a single cell may be, and so may a sum read between two writes.
    pub(super) fn level(&self) -> u64 {
        let sum: i64 = self.all().map(|cell| cell.0.load(Ordering::Relaxed)).sum();
        u64::try_from(sum).unwrap_or(0)
    }
}

const MS: u64 = 1_000_000;

/// Upper bounds of the buckets in nanoseconds, inclusive: 0.5 ms to 60 s, two or three to a decade, dense where web
/// answers lie. The default response timeout is the last one.
const BOUNDS_NS: [u64; 16] = [
    MS / 2,
    MS,
    5 * MS / 2,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    1_000 * MS,
    2_500 * MS,
    5_000 * MS,
    10_000 * MS,
    30_000 * MS,
    60_000 * MS,
];

/// How many buckets a [`Distribution`] has; the last is unbounded.
pub const DURATION_BUCKETS: usize = BOUNDS_NS.len() + 1;

/// Durations counted by bucket.
#[derive(Default)]
pub(super) struct Durations {
    buckets: [Count; BOUNDS_NS.len() + 1],
    sum_ns: AtomicU64,
}

impl Durations {
    pub(super) fn observe(&self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(ns)].add_one();
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

/// Counts the bounds below instead of searching: no branch to mispredict, and the compiler makes it a few vector
/// instructions.
fn bucket_of(ns: u64) -> usize {
    BOUNDS_NS.iter().map(|&bound| usize::from(ns > bound)).sum()
}

/// How long requests took: all workers at one moment, or between two.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Distribution {
    buckets: [u64; BOUNDS_NS.len() + 1],
    pub(super) sum_seconds: f64,
}

impl Distribution {
    pub(super) fn of<'c>(cells: impl Iterator<Item = &'c Durations>) -> Self {
        let mut all = Self::default();
        for cell in cells {
            for (sum, bucket) in all.buckets.iter_mut().zip(&cell.buckets) {
                *sum += bucket.get();
            }
            all.sum_seconds += seconds(cell.sum_ns.load(Ordering::Relaxed));
        }
        all
    }

    /// Durations by bucket, the shortest first.
    pub fn buckets(&self) -> &[u64; DURATION_BUCKETS] {
        &self.buckets
    }

    /// As kept by bucket; what they add up to is not known any more.
    pub fn of_buckets(buckets: [u64; DURATION_BUCKETS]) -> Self {
        Self { buckets, sum_seconds: 0.0 }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Upper bound in seconds and number of durations up to it, for each bucket but the last, which is unbounded.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut below = 0;
        BOUNDS_NS.iter().zip(self.buckets).map(move |(&bound, count)| {
            below += count;
            (seconds(bound), below)
        })
    }

    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = *self;
        for (count, before) in later.buckets.iter_mut().zip(earlier.buckets) {
            *count = count.saturating_sub(before);
        }
        later.sum_seconds -= earlier.sum_seconds;
        later
    }

    /// In seconds, linear within a bucket, as Prometheus' `histogram_quantile`; the last bound for what lies beyond it,
    /// and none without data.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = quantile * count as f64;
        let (mut lower, mut below) = (0.0, 0);
        for (bound, cumulative) in self.cumulative() {
            if cumulative as f64 >= rank && cumulative > below {
                let part = (rank - below as f64) / (cumulative - below) as f64;
                return Some(lower + (bound - lower) * part.clamp(0.0, 1.0));
            }
            (lower, below) = (bound, cumulative);
        }
        Some(lower)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "2^53 ns are 104 days of sum, after which only the last digits round"
)]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS_NS, Distribution, Duration, Durations, Level, PerWorker, bucket_of};

    fn distribution(of: &[Duration]) -> Distribution {
        let cell = Durations::default();
        for &duration in of {
            cell.observe(duration);
        }
        Distribution::of(std::iter::once(&cell))
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for (place, &bound) in BOUNDS_NS.iter().enumerate() {
            assert_eq!(bucket_of(bound), place);
            assert_eq!(bucket_of(bound + 1), place + 1);
        }
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u64::MAX), BOUNDS_NS.len());
        assert!(BOUNDS_NS.is_sorted());
    }

    #[test]
    fn buckets_are_cumulative_and_the_sum_is_kept() {
        let all = distribution(&[
            Duration::from_micros(100),
            Duration::from_millis(3),
            Duration::from_secs(90),
            Duration::MAX,
        ]);
        let cumulative: Vec<u64> = all.cumulative().map(|(_, count)| count).collect();
        assert_eq!(cumulative, [1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(all.count(), 4);
    }

    #[test]
    fn quantiles_are_interpolated_within_a_bucket() {
        assert_eq!(distribution(&[]).quantile(0.5), None);
        // 5..10 ms holds all: half way is 7.5 ms.
        let even = distribution(&[Duration::from_millis(7); 100]);
        assert_eq!(even.quantile(0.5), Some(0.0075));
        let tail = distribution(&[Duration::from_secs(100); 3]);
        assert_eq!(tail.quantile(0.99), Some(60.0));
        let mut mixed = vec![Duration::from_micros(400); 98];
        mixed.extend([Duration::from_millis(800); 2]);
        let p99 = distribution(&mixed).quantile(0.99).expect("data");
        assert!((0.5..=1.0).contains(&p99), "{p99}");
    }

    #[test]
    fn earlier_durations_count_no_more() {
        let slow = [Duration::from_millis(800); 100];
        let (before, after) = (distribution(&slow), [&slow[..], &[Duration::from_millis(7); 100]].concat());
        let after = distribution(&after);
        assert!(after.quantile(0.99).is_some_and(|p99| p99 > 0.5));
        assert_eq!(after.since(&before).quantile(0.5), Some(0.0075));
        assert_eq!(after.since(&Distribution::default()), after);
        assert_eq!(before.since(&before).quantile(0.5), None, "no data");
    }

    #[test]
    fn workers_are_summed_and_a_level_may_fall_elsewhere() {
        let levels = PerWorker::<Level>::new(2);
        levels.of(0).add(1);
        levels.of(0).add(1);
        levels.of(1).add(-1);
        assert_eq!(levels.level(), 1);
        levels.of(7).add(-5);
        assert_eq!(levels.level(), 0);
    }
}
