//! The thread that follows comparisons: samples into the store as they come, counts every few seconds.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use banyan_compare::store;
use banyan_gateway::Compared;

use super::store::Outcome;
use super::{Dropped, Shared, bounds::Bounds, sample};
use crate::api::RecordedRequest;
use crate::clock;

/// Time between two looks at the counts.
const EXPORT_EVERY: Duration = Duration::from_secs(3);

/// Looks at the counts between two looks for what is too old.
const EXPORTS_PER_EXPIRY: u32 = 200;

/// What the thread knows.
pub(super) struct Keeper {
    pub(super) shared: Shared,
    pub(super) inbox: Receiver<Compared>,
    /// By route: what was written last, and since when it counted.
    written: BTreeMap<String, Written>,
    missed: u64,
    exports: u32,
}

struct Written {
    text: String,
    since_ms: Option<u64>,
}

impl Keeper {
    pub(super) fn new(shared: Shared, inbox: Receiver<Compared>) -> Self {
        let missed = shared.comparisons.missed_differences();
        Self { shared, inbox, written: BTreeMap::new(), missed, exports: 0 }
    }

    /// Until nobody tells it anything any more. What was told before is kept.
    pub(super) fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            if now >= due {
                self.look();
                due = now + EXPORT_EVERY;
            }
            match self.inbox.recv_timeout(due.saturating_duration_since(now)) {
                Ok(compared) => self.take(&compared),
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
        let wanted = self.shared.shelf().read(|store| store.wants(&compared.route, signatures(), now_ms));
        let kept = match wanted {
            Some(false) => return,
            Some(true) => {
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

    /// Counts to the disk, where they changed.
    pub(super) fn look(&mut self) {
        let missed = self.shared.comparisons.missed_differences();
        self.shared.dropped(Dropped::Missed, missed.saturating_sub(self.missed));
        self.missed = missed;
        self.export();
        if self.exports.is_multiple_of(EXPORTS_PER_EXPIRY) {
            let before = clock::ms(SystemTime::now()).saturating_sub(Bounds::DISK.age_ms);
            self.shared.shelf().write(|store| store.expire(before));
        }
        self.exports = self.exports.wrapping_add(1);
    }

    fn export(&mut self) {
        let known = self.shared.comparisons.export();
        let gone: Vec<String> =
            self.written.keys().filter(|route| !known.contains_key(*route)).cloned().collect();
        for route in gone {
            self.shared.shelf().write(|store| store.forget(&route));
            self.written.remove(&route);
        }
        let mut changed = Vec::new();
        for (route, known) in known {
            let (text, since_ms) =
                (store(&known.evidence, &known.learning), known.evidence.snapshot().since_ms);
            let before = self.written.get(&route);
            if before.is_some_and(|before| before.text == text) {
                continue;
            }
            if let (Some(Some(before)), Some(since)) = (before.map(|it| it.since_ms), since_ms)
                && since > before
            {
                // It began anew, such as with a new build of the candidate.
                self.shared.shelf().write(|store| store.forget_before(&route, since));
            }
            changed.push((route, Written { text, since_ms }));
        }
        let lines = changed.iter().map(|(route, written)| (route.as_str(), written.text.as_str()));
        let now_ms = clock::ms(SystemTime::now());
        if !changed.is_empty()
            && self.shared.shelf().write(|store| store.write_counts(lines, now_ms)).is_some()
        {
            self.written.extend(changed);
        }
    }
}
