//! How often something may be done: a bucket of tokens for all clients together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Says yes so often, and no oftener.
#[derive(Debug)]
pub(super) struct Rate {
    /// At once, after a pause.
    burst: u32,
    /// Time for one more.
    every: Duration,
    /// When the bucket would be full, if nobody asked any more. In the past it is full.
    full_at: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(now: Instant, burst: u32, every: Duration) -> Self {
        Self { burst, every, full_at: Mutex::new(now) }
    }

    /// Whether one more may come now.
    pub(super) fn takes(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let then = (*full_at).max(now) + self.every;
        let fits = then.saturating_duration_since(now) <= self.every * self.burst;
        if fits {
            *full_at = then;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 1_000;
    const EVERY: Duration = Duration::from_millis(4);

    #[test]
    fn a_burst_and_then_one_by_one() {
        let start = Instant::now();
        let rate = Rate::new(start, BURST, EVERY);
        let taken = (0..2 * BURST).filter(|_| rate.takes(start)).count();
        assert_eq!(taken, BURST as usize);
        assert!(!rate.takes(start + EVERY / 2));
        assert!(rate.takes(start + EVERY));
        assert!(!rate.takes(start + EVERY));
        let later = start + 2 * EVERY * BURST;
        assert_eq!((0..2 * BURST).filter(|_| rate.takes(later)).count(), BURST as usize);
    }
}
