//! How many requests an upstream takes at a time. Nobody waits: a line of requests helps no upstream that has too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Room {
    most: u32,
    taken: AtomicU32,
}

/// One request at an upstream, from before its first attempt to the end of its answer.
pub(crate) struct Seat(Arc<Room>);

impl Room {
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU32::new(0) })
    }

    /// `None` when there are as many as may be.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let more = |taken: u32| (taken < self.most).then(|| taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Seat(Arc::clone(self)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}
