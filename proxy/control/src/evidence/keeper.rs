//! The thread that follows comparisons: samples into the store as they come, counts every few seconds.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use banyan_compare::store;
use banyan_gateway::{Compared, RouteComparisons};

use super::shelf::Shelf;
use super::store::Outcome;
use super::{Dropped, Shared, bounds::Bounds, sample};
use crate::api::RecordedRequest;
use crate::clock;

/// Time between two looks at the counts.
const EXPORT_EVERY: Duration = Duration::from_secs(5);

/// Time between two looks for what is too old.
const EXPIRE_EVERY: Duration = Duration::from_mins(10);

/// What the thread knows.
pub(super) struct Keeper {
    pub(super) shared: Shared,
    pub(super) inbox: Receiver<Compared>,
    /// Those of the table at the start.
    routes: Vec<String>,
    /// By route: what was written last, and since when it counted.
    written: BTreeMap<String, Written>,
    missed: u64,
    missed_differences: u64,
    /// Something was compared since the last look.
    pub(super) has_news: bool,
    expire_at: Instant,
}

struct Written {
    text: String,
    since_ms: Option<u64>,
}

impl Keeper {
    pub(super) fn new(shared: Shared, inbox: Receiver<Compared>, routes: Vec<String>) -> Self {
        let missed = shared.comparisons.missed();
        let missed_differences = shared.comparisons.missed_differences();
        let (written, expire_at) = (BTreeMap::new(), Instant::now());
        Self { shared, inbox, routes, written, missed, missed_differences, has_news: true, expire_at }
    }

    /// Until nobody tells it anything any more. What was told before is kept.
    pub(super) fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if now >= due {
                self.look();
                self.expire(now);
                due = now + EXPORT_EVERY;
            }
            match self.inbox.recv_timeout(due.saturating_duration_since(now)) {
                Ok(compared) => {
                    self.has_news = true;
                    self.take(&compared);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.look();
        self.shared.shelf().close();
    }

    /// What waits, and the counts.
    #[cfg(test)]
    pub(super) fn take_all(mut self) {
        self.take_waiting();
        self.look();
    }

    #[cfg(test)]
    pub(super) fn take_waiting(&mut self) {
        while let Ok(compared) = self.inbox.try_recv() {
            self.take(&compared);
        }
    }

    /// One comparison. Whatever an answer does to it, the next one is looked at.
    fn take(&self, compared: &Compared) {
        let taken = catch_unwind(AssertUnwindSafe(|| {
            self.record(compared);
            self.keep(compared);
        }));
        if taken.is_err() {
            self.shared.dropped(Dropped::Disk, 1);
        }
    }

    fn record(&self, compared: &Compared) {
        if !self.shared.tap().is_open(Instant::now()) {
            return;
        }
        let request = sample::request(&sample::redactor(compared), &compared.request);
        let (route, at) = (compared.route.to_string(), clock::told(compared.at));
        self.shared.tap().put(RecordedRequest { route, at, request });
    }

    fn keep(&self, compared: &Compared) {
        let Some((differences, verdict)) = sample::worth_keeping(compared) else { return };
        if self.shared.was_reset_since(&compared.route, clock::ms(compared.at)) {
            return;
        }
        let now_ms = clock::ms(SystemTime::now());
        let signatures = || differences.signatures().map(banyan_compare::Signature::as_str);
        // Asked before anything is redacted, which takes longer.
        let wanted = self.shared.shelf().read(|store| {
            let is_wanted = store.wants(&compared.route, signatures(), now_ms)?;
            Ok((is_wanted, is_wanted && store.has_room()?))
        });
        let kept = match wanted {
            Some((false, _)) => return,
            Some((true, false)) => Some(Outcome::Full),
            Some((true, true)) => {
                let sample = sample::sample(compared, differences, verdict);
                self.shared.shelf().write(|store| store.keep(&sample, now_ms))
            }
            None => None,
        };
        match kept {
            Some(Outcome::Kept) => {}
            Some(Outcome::Full) => self.shared.dropped(Dropped::Full, 1),
            None => self.shared.dropped(Dropped::Disk, 1),
        }
    }

    /// Counts to the disk, if anything was compared. A proxy that is idle leaves its disk alone.
    pub(super) fn look(&mut self) {
        let differences = self.shared.comparisons.missed_differences();
        self.shared.dropped(Dropped::Missed, differences.saturating_sub(self.missed_differences));
        self.missed_differences = differences;
        let missed = self.shared.comparisons.missed();
        let more = missed.saturating_sub(self.missed);
        self.missed = missed;
        self.back_to_disk();
        if std::mem::take(&mut self.has_news) || more > 0 {
            self.export();
        }
    }

    /// Where memory serves in place of the file. What was counted in the file is added to what was counted since.
    fn back_to_disk(&mut self) {
        if self.shared.shelf().back_to_disk() {
            let routes: Vec<&str> = self.routes.iter().map(String::as_str).collect();
            self.shared.put_back(&routes);
            self.written.clear();
            self.has_news = true;
        }
    }

    fn expire(&mut self, now: Instant) {
        if now < self.expire_at {
            return;
        }
        self.expire_at = now + EXPIRE_EVERY;
        let before = clock::ms(SystemTime::now()).saturating_sub(Bounds::DISK.age_ms);
        self.shared.shelf().write(|store| store.expire(before));
    }

    /// The store is held all the while, so that a reset comes before or after, and nothing comes back that was forgotten.
    pub(super) fn export(&mut self) {
        let shared = self.shared.clone();
        let mut place = shared.shelf();
        let known = shared.comparisons.export();
        let gone: Vec<String> =
            self.written.keys().filter(|route| !known.contains_key(*route)).cloned().collect();
        for route in gone {
            if place.write(|store| store.forget(&route)).is_some() {
                self.written.remove(&route);
            } else {
                self.has_news = true;
            }
        }
        let mut changed = self.changed(known);
        let all = changed.len();
        changed.retain(|(route, written)| self.could_begin_anew(route, written, &mut place));
        self.has_news |= changed.len() < all;
        if changed.is_empty() {
            return;
        }
        let lines = changed.iter().map(|(route, written)| (route.as_str(), written.text.as_str()));
        let now_ms = clock::ms(SystemTime::now());
        match place.write(|store| store.write_counts(lines, now_ms)) {
            Some(()) => self.written.extend(changed),
            // Tried again, also when nothing is compared until then.
            None => self.has_news = true,
        }
    }

    fn changed(&self, known: BTreeMap<String, RouteComparisons>) -> Vec<(String, Written)> {
        let written = known.into_iter().map(|(route, known)| {
            let since_ms = known.evidence.snapshot().since_ms;
            (route, Written { text: store(&known.evidence, &known.learning), since_ms })
        });
        let is_new = |(route, now): &(String, Written)| {
            self.written.get(route).is_none_or(|before| before.text != now.text)
        };
        written.filter(is_new).collect()
    }

    /// Samples go with the counts they belong to. False where the disk did not take that: it is tried again, and until then
    /// what was written stays.
    fn could_begin_anew(&self, route: &str, now: &Written, place: &mut Shelf) -> bool {
        let Some(since) = self.begun_anew(route, now) else { return true };
        place.write(|store| store.forget_before(route, since)).is_some()
    }

    /// Since when a route is counted, if that is not what was written: such as since a new build of the candidate.
    fn begun_anew(&self, route: &str, now: &Written) -> Option<u64> {
        let before = self.written.get(route)?.since_ms?;
        now.since_ms.filter(|since| *since > before)
    }
}
