//! Requests and errors of the last time: a sliding window of ten parts, counted per worker.
//!
//! Time is the caller's, in milliseconds since a moment of its own. What is counted is at most as old as the window, and
//! everything younger than nine tenths of it is counted.

use std::sync::atomic::{AtomicU64, Ordering};

const PARTS: usize = 10;

/// Written by each worker in a cell of its own; read whole when an error has to be judged.
pub(super) struct Window {
    part_ms: u64,
    /// Parts before this tick are forgotten.
    floor: AtomicU64,
    workers: Box<[Cell]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Cell([Part; PARTS]);

/// A tenth of the window, used again and again.
#[derive(Default)]
struct Part {
    /// Number of this part since the beginning, from 1.
    tick: AtomicU64,
    /// Requests in the lower half, errors in the upper.
    counts: AtomicU64,
}

/// What happened within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    /// Of these.
    pub(crate) errors: u64,
}

impl Window {
    pub(super) fn new(window_ms: u64, workers: usize) -> Self {
        let workers = (0..workers.max(1)).map(|_| Cell::default()).collect();
        Self { part_ms: (window_ms / PARTS as u64).max(1), floor: AtomicU64::new(0), workers }
    }

    fn tick(&self, now_ms: u64) -> u64 {
        now_ms / self.part_ms + 1
    }

    /// A request has ended. Two threads that share a cell may lose a count where a part begins, and nothing else.
    pub(super) fn count(&self, worker: usize, now_ms: u64, is_error: bool) {
        let tick = self.tick(now_ms);
        let part = &self.workers[worker % self.workers.len()].0[place(tick)];
        // A clock read before another thread's goes into the newer part.
        if part.tick.load(Ordering::Relaxed) < tick {
            part.counts.store(0, Ordering::Relaxed);
            part.tick.store(tick, Ordering::Relaxed);
        }
        part.counts.fetch_add(1 | u64::from(is_error) << 32, Ordering::Relaxed);
    }

    /// What was counted until the end of the part now running counts no more.
    pub(super) fn forget(&self, now_ms: u64) {
        self.floor.store(self.tick(now_ms) + 1, Ordering::Relaxed);
    }

    pub(super) fn totals(&self, now_ms: u64) -> Totals {
        let newest = self.tick(now_ms);
        let oldest = (newest + 1).saturating_sub(PARTS as u64).max(self.floor.load(Ordering::Relaxed)).max(1);
        let parts = self.workers.iter().flat_map(|cell| &cell.0);
        let counted = parts.filter(|part| (oldest..=newest).contains(&part.tick.load(Ordering::Relaxed)));
        counted.fold(Totals::default(), |sum, part| {
            let counts = part.counts.load(Ordering::Relaxed);
            Totals {
                requests: sum.requests + (counts & u64::from(u32::MAX)),
                errors: sum.errors + (counts >> 32),
            }
        })
    }
}

fn place(tick: u64) -> usize {
    usize::try_from(tick % PARTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Totals, Window};

    /// Steps of a clock, each with a worker and whether it was an error.
    fn events() -> impl Strategy<Value = Vec<(u64, usize, bool)>> {
        prop::collection::vec((prop_oneof![0_u64..30, 0_u64..2_000], 0_usize..3, any::<bool>()), 0..200)
    }

    fn sum(of: impl Iterator<Item = bool>) -> Totals {
        of.fold(Totals::default(), |sum, is_error| Totals {
            requests: sum.requests + 1,
            errors: sum.errors + u64::from(is_error),
        })
    }

    proptest! {
        #[test]
        fn the_window_holds_what_is_young_and_nothing_old(events in events(), window_ms in 10_u64..3_000, later in 0_u64..4_000) {
            let window = Window::new(window_ms, 3);
            let mut now = 0;
            let mut all = Vec::new();
            for (step, worker, is_error) in events {
                now += step;
                window.count(worker, now, is_error);
                all.push((now, is_error));
            }
            now += later;
            let totals = window.totals(now);
            let part = (window_ms / 10).max(1);
            let within = |limit: u64| sum(all.iter().filter(|(at, _)| now - at < limit).map(|(_, error)| *error));
            let (least, most) = (within(part * 9), within(part * 10));
            prop_assert!(least.requests <= totals.requests && totals.requests <= most.requests);
            prop_assert!(least.errors <= totals.errors && totals.errors <= most.errors);
        }

        #[test]
        fn what_is_forgotten_stays_forgotten(events in events(), window_ms in 10_u64..3_000) {
            let window = Window::new(window_ms, 3);
            let mut now = 0;
            for (step, worker, is_error) in events {
                now += step;
                window.count(worker, now, is_error);
            }
            window.forget(now);
            prop_assert_eq!(window.totals(now), Totals::default());
            let next = now + (window_ms / 10).max(1);
            window.count(0, next, true);
            prop_assert_eq!(window.totals(next), Totals { requests: 1, errors: 1 });
        }
    }

    #[test]
    fn a_clock_read_late_loses_nothing() {
        let window = Window::new(1_000, 1);
        window.count(0, 1_050, false);
        window.count(0, 50, true);
        assert_eq!(window.totals(1_050), Totals { requests: 2, errors: 1 });
    }
}
