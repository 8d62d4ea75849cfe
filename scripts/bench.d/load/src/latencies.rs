//! Microseconds, all of them kept: a percentile is one that was measured.

use std::time::Duration;

#[derive(Default)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_unstable();
    }

    /// Of sorted ones; `per_mille` of them are not longer.
    pub(crate) fn at(&self, per_mille: usize) -> u32 {
        let place = (self.0.len() * per_mille).div_ceil(1000).saturating_sub(1);
        self.0.get(place).copied().unwrap_or(0)
    }
}
