//! When requests are due: independent arrivals (exponential gaps) from a fixed seed, the same for every proxy.

use std::time::Duration;

pub(crate) struct Arrivals {
    mean_gap_s: f64,
    state: u64,
    next: Duration,
}

impl Arrivals {
    pub(crate) fn new(per_second: f64) -> Self {
        Self { mean_gap_s: 1.0 / per_second, state: 0x9e37_79b9_7f4a_7c15, next: Duration::ZERO }
    }

    /// Since the begin.
    pub(crate) fn next(&self) -> Duration {
        self.next
    }

    pub(crate) fn advance(&mut self) -> Duration {
        let due = self.next;
        let gap_s = -self.uniform().ln() * self.mean_gap_s;
        self.next += Duration::from_secs_f64(gap_s);
        due
    }

    /// In (0, 1], by xorshift64*.
    #[allow(clippy::cast_precision_loss)] // 53 bits fit
    fn uniform(&mut self) -> f64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let bits = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        (bits + 1) as f64 / (1_u64 << 53) as f64
    }
}
