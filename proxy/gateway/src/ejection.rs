//! What the requests themselves tell of one server: taken out for a while after failures in a row, brought back slowly.
//!
//! Only servers that have company are taken out, and never all of them. Time is the caller's, in milliseconds since a
//! moment of its own, from 1.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Failures in a row that take a server out: no connection, or one that ended before any answer came on it.
const FAILURES: u32 = 5;
/// First time out; it doubles each time.
const FIRST_MS: u64 = 1_000;
/// Longest time out.
const LONGEST_MS: u64 = 60_000;
/// After this long without being taken out, the time begins anew.
const FORGOTTEN_MS: u64 = 60_000;
/// How long a server that came back gets less than its part.
const SLOW_START_MS: u64 = 10_000;
/// What it gets at first, in hundredths of its part.
const FIRST_CHANCE: u64 = 10;

/// The record of one server.
#[derive(Default)]
pub(crate) struct Record {
    failures_in_a_row: AtomicU32,
    /// When it may be asked again; 0 when it was never taken out.
    out_until_ms: AtomicU64,
    /// How often in short order.
    times: AtomicU32,
    /// When its health check last turned good; 0 when it never turned.
    recovered_ms: AtomicU64,
    ejections: AtomicU64,
}

impl Record {
    pub(crate) fn is_out(&self, now_ms: u64) -> bool {
        self.out_until_ms.load(Ordering::Relaxed) > now_ms
    }

    /// How often it was taken out.
    pub(crate) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// It answered.
    pub(crate) fn served(&self) {
        if self.failures_in_a_row.load(Ordering::Relaxed) != 0 {
            self.failures_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// It failed. Returns for how long it is out now, when this took it out.
    pub(crate) fn failed(&self, now_ms: u64, has_company: impl FnOnce() -> bool) -> Option<u64> {
        let until_ms = self.out_until_ms.load(Ordering::Relaxed);
        let in_a_row = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if until_ms > now_ms || in_a_row < FAILURES || !has_company() {
            return None;
        }
        let is_again = until_ms != 0 && now_ms < until_ms + FORGOTTEN_MS;
        let times = if is_again { self.times.load(Ordering::Relaxed) + 1 } else { 0 };
        let out_ms = (FIRST_MS << times.min(16)).min(LONGEST_MS);
        let next = now_ms + out_ms;
        // Of several that fail at once, one takes it out.
        self.out_until_ms.compare_exchange(until_ms, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        self.times.store(times, Ordering::Relaxed);
        // Back again, one more failure is enough.
        self.failures_in_a_row.store(FAILURES - 1, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed);
        Some(out_ms)
    }

    /// Its health check turned good.
    pub(crate) fn recovered(&self, now_ms: u64) {
        self.recovered_ms.store(now_ms, Ordering::Relaxed);
    }

    /// Hundredths of its usual chance to be chosen: few at first after it came back, 100 ten seconds later.
    pub(crate) fn chance(&self, now_ms: u64) -> u64 {
        let out_until = self.out_until_ms.load(Ordering::Relaxed);
        let back = out_until.max(self.recovered_ms.load(Ordering::Relaxed));
        if back == 0 || now_ms >= back + SLOW_START_MS {
            return 100;
        }
        FIRST_CHANCE + (100 - FIRST_CHANCE) * now_ms.saturating_sub(back) / SLOW_START_MS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FAILURES, LONGEST_MS, Record};

    fn fail(record: &Record, times: u32, now_ms: u64) -> Option<u64> {
        (0..times).filter_map(|_| record.failed(now_ms, || true)).last()
    }

    #[test]
    fn failures_in_a_row_take_it_out_and_an_answer_between_them_does_not() {
        let record = Record::default();
        assert_eq!(fail(&record, FAILURES - 1, 1), None);
        record.served();
        assert_eq!(fail(&record, FAILURES - 1, 1), None);
        assert_eq!(fail(&record, 1, 1), Some(1_000));
        assert!(record.is_out(1_000) && !record.is_out(1_001));
        assert_eq!(fail(&record, 50, 900), None, "it is out already");
    }

    #[test]
    fn the_time_doubles_up_to_a_minute_and_begins_anew_after_a_good_one() {
        let record = Record::default();
        let (mut now, mut all) = (1, Vec::new());
        let mut out = fail(&record, FAILURES, now);
        while let Some(out_ms) = out.filter(|_| all.len() < 8) {
            all.push(out_ms / 1_000);
            now += out_ms;
            out = fail(&record, 1, now);
        }
        assert_eq!(all, [1, 2, 4, 8, 16, 32, 60, 60]);
        now += LONGEST_MS + 60_000;
        record.served();
        assert_eq!(fail(&record, FAILURES, now), Some(1_000));
    }

    #[test]
    fn the_last_one_stays() {
        let record = Record::default();
        assert!((0..100).all(|_| record.failed(1, || false).is_none()));
        assert!(!record.is_out(1));
    }

    #[test]
    fn it_comes_back_slowly() {
        let record = Record::default();
        assert_eq!(record.chance(1), 100);
        fail(&record, FAILURES, 1);
        assert_eq!([1_001, 6_001, 11_001].map(|now| record.chance(now)), [10, 55, 100]);
        record.recovered(50_000);
        assert_eq!([50_000, 60_000].map(|now| record.chance(now)), [10, 100]);
    }

    proptest! {
        #[test]
        fn the_time_out_is_bounded(steps in prop::collection::vec((0_u64..100_000, any::<bool>()), 1..300)) {
            let (record, mut now) = (Record::default(), 1);
            for (step, is_failure) in steps {
                now += step;
                if is_failure {
                    let out = record.failed(now, || true);
                    prop_assert!(out.is_none_or(|out| (1_000..=LONGEST_MS).contains(&out)));
                } else {
                    record.served();
                }
                prop_assert!(!record.is_out(now + LONGEST_MS));
                prop_assert!((10..=100).contains(&record.chance(now)));
            }
        }
    }
}
