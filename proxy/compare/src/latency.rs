//! How long both arms took for the same requests.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Microseconds of the longest time that is told apart: ten minutes.
const MICROS_MAX: u64 = 600_000_000;

/// Times of both arms: only requests that both answered. Two significant digits; some 50 KiB.
#[derive(Debug, Clone)]
pub struct Latency {
    legacy: Histogram<u32>,
    candidate: Histogram<u32>,
}

/// Microseconds, and how often.
pub(crate) type Recorded = Vec<(u64, u32)>;

/// Percentiles of both arms, and candidate to legacy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencySummary {
    /// Requests.
    pub count: u64,
    /// Half are faster.
    pub p50: Percentile,
    /// 95 of 100 are faster.
    pub p95: Percentile,
    /// 99 of 100 are faster.
    pub p99: Percentile,
}

/// One percentile of both arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile {
    /// Of legacy.
    pub legacy: Duration,
    /// Of the candidate.
    pub candidate: Duration,
    /// Candidate to legacy: above 1 is slower.
    pub ratio: f64,
}

impl Default for Latency {
    fn default() -> Self {
        let empty =
            || Histogram::new_with_bounds(1, MICROS_MAX, 2).expect("the bounds and digits are in range");
        Self { legacy: empty(), candidate: empty() }
    }
}

impl Latency {
    /// Both arms answered one request.
    pub fn record(&mut self, legacy: Duration, candidate: Duration) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(MICROS_MAX).max(1);
        self.legacy.saturating_record(micros(legacy));
        self.candidate.saturating_record(micros(candidate));
    }

    /// Adds what another one holds.
    pub fn merge(&mut self, other: &Self) {
        // Both have the same bounds, so everything fits.
        let _ = self.legacy.add(&other.legacy);
        let _ = self.candidate.add(&other.candidate);
    }

    /// Microseconds and how often, of legacy and of the candidate.
    pub(crate) fn recorded(&self) -> (Recorded, Recorded) {
        let of = |times: &Histogram<u32>| {
            times.iter_recorded().map(|it| (it.value_iterated_to(), it.count_at_value())).collect()
        };
        (of(&self.legacy), of(&self.candidate))
    }

    /// What [`Self::recorded`] gave. What is out of bounds counts as the nearest time that is not.
    pub(crate) fn of_recorded(legacy: &[(u64, u32)], candidate: &[(u64, u32)]) -> Self {
        let mut latency = Self::default();
        for (histogram, recorded) in [(&mut latency.legacy, legacy), (&mut latency.candidate, candidate)] {
            for (micros, count) in recorded {
                histogram.saturating_record_n((*micros).clamp(1, MICROS_MAX), *count);
            }
        }
        latency
    }

    /// Percentiles; none without requests.
    pub fn summary(&self) -> Option<LatencySummary> {
        let count = self.legacy.len();
        (count > 0).then(|| LatencySummary {
            count,
            p50: self.percentile(0.5),
            p95: self.percentile(0.95),
            p99: self.percentile(0.99),
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "ten minutes of microseconds fit")]
    fn percentile(&self, quantile: f64) -> Percentile {
        let (legacy, candidate) =
            (self.legacy.value_at_quantile(quantile), self.candidate.value_at_quantile(quantile));
        Percentile {
            legacy: Duration::from_micros(legacy),
            candidate: Duration::from_micros(candidate),
            ratio: candidate as f64 / legacy.max(1) as f64,
        }
    }
}
