//! How often the admin listener may be asked: a bucket of tokens for all clients together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Requests at once, after a pause.
const BURST: u32 = 1_000;

/// Time for one more.
const EVERY: Duration = Duration::from_millis(4);

/// Says yes so often, and no oftener.
#[derive(Debug)]
pub(super) struct Rate {
    /// When the bucket would be full, if nobody asked any more. In the past it is full.
    full_at: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: Mutex::new(now) }
    }

    /// Whether one more may come now.
    pub(super) fn takes(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let then = (*full_at).max(now) + EVERY;
        let fits = then.saturating_duration_since(now) <= EVERY * BURST;
        if fits {
            *full_at = then;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_by_one() {
        let start = Instant::now();
        let rate = Rate::new(start);
        let taken = (0..2 * BURST).filter(|_| rate.takes(start)).count();
        assert_eq!(taken, BURST as usize);
        assert!(!rate.takes(start + EVERY / 2));
        assert!(rate.takes(start + EVERY));
        assert!(!rate.takes(start + EVERY));
        let later = start + 2 * EVERY * BURST;
        assert_eq!((0..2 * BURST).filter(|_| rate.takes(later)).count(), BURST as usize);
    }
}
