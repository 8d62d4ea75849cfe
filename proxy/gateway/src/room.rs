//! How many requests an upstream takes at a time. Nobody waits: a line of requests helps no upstream that has too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Room {
    most: u32,
    /// By clients.
    taken: AtomicU32,
    /// By copies of requests. No client is refused because of them.
    copies: AtomicU32,
}

/// One request at an upstream, from before its first attempt to the end of its answer.
pub(crate) struct Seat {
    room: Arc<Room>,
    is_for_copy: bool,
}

impl Room {
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU32::new(0), copies: AtomicU32::new(0) })
    }

    /// `None` when there are as many as may be.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Seat> {
        let more = |taken: u32| (taken < self.most).then(|| taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Seat { room: Arc::clone(self), is_for_copy: false })
    }

    /// The same for a copy of a request: a part of the places, and only while half of all are free.
    pub(crate) fn enter_for_copy(self: &Arc<Self>) -> Option<Seat> {
        let (most, half) = (most_for_copies(self.most), self.most / 2);
        let taken = self.taken.load(Ordering::Acquire);
        let more = |copies: u32| (copies < most && taken.saturating_add(copies) <= half).then(|| copies + 1);
        self.copies.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Seat { room: Arc::clone(self), is_for_copy: true })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let places = if self.is_for_copy { &self.room.copies } else { &self.room.taken };
        places.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Of what an upstream has for all: a quarter, and one at least where that leaves one for clients.
pub(crate) fn most_for_copies(most: u32) -> u32 {
    (most / 4).max(1).min(most.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::{Room, most_for_copies};

    #[test]
    fn copies_take_a_quarter_and_never_the_last_place() {
        for (most, copies) in [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (100, 25)] {
            assert_eq!(most_for_copies(most), copies, "of {most}");
        }
        let room = Room::new(8);
        let copies: Vec<_> = std::iter::from_fn(|| room.enter_for_copy()).collect();
        assert_eq!(copies.len(), 2);
        drop(copies);
        assert!(room.enter_for_copy().is_some());
    }

    #[test]
    fn copies_never_refuse_a_client() {
        let room = Room::new(8);
        let copies: Vec<_> = std::iter::from_fn(|| room.enter_for_copy()).collect();
        let clients: Vec<_> = std::iter::from_fn(|| room.enter()).collect();
        assert_eq!((copies.len(), clients.len()), (2, 8));
        drop(copies);
        assert!(room.enter_for_copy().is_none(), "full");
    }

    #[test]
    fn copies_come_only_while_half_is_free() {
        let room = Room::new(8);
        let mut clients: Vec<_> = (0..5).map(|_| room.enter()).collect();
        assert!(room.enter_for_copy().is_none());
        clients.pop();
        assert!(room.enter_for_copy().is_some());
    }
}
