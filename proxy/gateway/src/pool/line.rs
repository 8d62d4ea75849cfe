//! How many connections are open to one target, and who waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

use crate::room::most_for_copies;
use crate::shadow::Said;

/// Most requests that wait for a connection to one target.
const MAX_WAITERS: u32 = 1024;

/// Open connections and those who wait for one.
#[derive(Default)]
pub(super) struct Line {
    open: AtomicU32,
    /// Of these, for copies of requests.
    copies: AtomicU32,
    waiting: AtomicU32,
    pub(super) freed: Notify,
}

impl Line {
    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Room for one connection more; without a limit there always is.
    pub(super) fn open_slot(self: &Arc<Self>, limit: Option<u32>) -> Option<Slot> {
        let limit = limit.unwrap_or(u32::MAX);
        let more = |open: u32| (open < limit).then(|| open + 1);
        self.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Slot::of(Arc::clone(self)))
    }

    /// The same for a copy of a request: a part of the limit, and nothing while a client waits.
    pub(super) fn open_slot_for_copy(self: &Arc<Self>, limit: Option<u32>) -> Option<Slot> {
        if self.has_waiters() {
            return None;
        }
        let most = limit.map_or(u32::MAX, most_for_copies);
        let more = |copies: u32| (copies < most).then(|| copies + 1);
        self.copies.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        let Some(mut slot) = self.open_slot(limit) else {
            self.copies.fetch_sub(1, Ordering::AcqRel);
            return None;
        };
        slot.is_for_copies = true;
        Some(slot)
    }

    pub(super) fn wake_one(&self) {
        if self.has_waiters() {
            self.freed.notify_one();
        }
    }
}

/// Counts one open connection: held by its stream, and by whoever uses it, upgraded streams included.
pub(crate) struct Slot {
    line: Arc<Line>,
    is_for_copies: bool,
    honours_dry_runs: Said,
    is_upgraded: AtomicBool,
}

impl Slot {
    fn of(line: Arc<Line>) -> Self {
        Self {
            line,
            is_for_copies: false,
            honours_dry_runs: Said::default(),
            is_upgraded: AtomicBool::new(false),
        }
    }

    /// Of a connection that no limit counts: that of a health check.
    pub(crate) fn uncounted() -> Arc<Self> {
        let line = Arc::new(Line { open: AtomicU32::new(1), ..Line::default() });
        Arc::new(Self::of(line))
    }

    /// For which routes the other side said on this connection that it honours dry runs.
    pub(super) fn honours_dry_runs(&self) -> &Said {
        &self.honours_dry_runs
    }

    /// The connection can take one request more.
    pub(crate) fn has_room(&self) {
        self.line.wake_one();
    }

    pub(super) fn is_now_upgraded(&self) {
        self.is_upgraded.store(true, Ordering::Release);
    }

    /// What the connection carries is no longer HTTP.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.line.open.fetch_sub(1, Ordering::AcqRel);
        if self.is_for_copies {
            self.line.copies.fetch_sub(1, Ordering::AcqRel);
        }
        self.line.wake_one();
    }
}

/// One place in the line of waiters.
pub(super) struct Place<'l> {
    line: &'l Line,
    /// How many came before.
    pub(super) ahead: u32,
}

impl<'l> Place<'l> {
    pub(super) fn take(line: &'l Line) -> Option<Self> {
        let more = |waiting: u32| (waiting < MAX_WAITERS).then(|| waiting + 1);
        let ahead = line.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self { line, ahead })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.waiting.fetch_sub(1, Ordering::AcqRel);
        // A wake-up meant for a waiter that left must not be lost, and the next may find another connection free.
        self.line.wake_one();
    }
}
