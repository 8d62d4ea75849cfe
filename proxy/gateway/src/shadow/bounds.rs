//! How much shadowing may hold: copies in the queue, bytes, copies in flight and copies not yet counted.
//!
//! Of one half of each, every route is sure of an equal part; what is left is anybody's. So a busy route, or one whose other
//! arm hangs, cannot starve a quiet one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Most copies that wait.
const QUEUE: u64 = 1024;
/// Most bytes of bodies and heads, from the first one kept until a copy has been compared.
const BYTES: u64 = 64 << 20;
/// Most copies on their way at a time.
const INFLIGHT: u64 = 64;
/// Most copies that have begun and are not counted yet: a mismatch is asked again first. When there are so many, no other
/// begins, so that mismatches and matches are missed alike.
const UNSETTLED: u64 = 256;

/// All of it, of one gateway.
pub(crate) struct Bounds {
    queue: Arc<Pot>,
    bytes: Arc<Pot>,
    inflight: Arc<Pot>,
    unsettled: Arc<Pot>,
}

/// What one route takes of it.
pub(crate) struct RouteBounds {
    pub(crate) queue: Arc<Part>,
    pub(crate) bytes: Arc<Part>,
    pub(crate) inflight: Arc<Part>,
    pub(crate) unsettled: Arc<Part>,
    /// Mismatches that could be asked again now, were there room for one more on its way: they go before what is new.
    due: AtomicU64,
}

/// A mismatch that is due to be asked again, until dropped. Who waits behind it is woken then.
pub(crate) struct Due {
    bounds: Arc<RouteBounds>,
    over: Arc<Notify>,
}

/// Something of which there is so much for all routes.
struct Pot {
    most: u64,
    taken: AtomicU64,
    routes: AtomicU64,
}

/// What one route takes of it.
pub(crate) struct Part {
    pot: Arc<Pot>,
    taken: AtomicU64,
}

/// Taken until dropped.
pub(crate) struct Portion {
    part: Arc<Part>,
    count: u64,
}

/// Memory that somebody still holds on to, until the last one of this is dropped.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<Vec<Portion>>>);

impl Held {
    pub(crate) fn of(portions: Vec<Portion>) -> Self {
        Self(Some(Arc::new(portions)))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.iter().flat_map(|portions| portions.iter()).map(|portion| portion.count);
        write!(out, "Held({})", bytes.sum::<u64>())
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            queue: Pot::of(QUEUE),
            bytes: Pot::of(BYTES),
            inflight: Pot::of(INFLIGHT),
            unsettled: Pot::of(UNSETTLED),
        }
    }
}

impl Bounds {
    /// So many routes shadow.
    pub(crate) fn share_between(&self, routes: usize) {
        for pot in [&self.queue, &self.bytes, &self.inflight, &self.unsettled] {
            pot.routes.store(routes.max(1) as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn route(&self) -> RouteBounds {
        let part = |pot: &Arc<Pot>| Arc::new(Part { pot: Arc::clone(pot), taken: AtomicU64::new(0) });
        RouteBounds {
            queue: part(&self.queue),
            bytes: part(&self.bytes),
            inflight: part(&self.inflight),
            unsettled: part(&self.unsettled),
            due: AtomicU64::new(0),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn inflight(&self) -> u64 {
        self.inflight.taken.load(Ordering::Relaxed)
    }
}

impl RouteBounds {
    pub(crate) fn is_due(self: &Arc<Self>, over: &Arc<Notify>) -> Due {
        self.due.fetch_add(1, Ordering::Relaxed);
        Due { bounds: Arc::clone(self), over: Arc::clone(over) }
    }

    pub(crate) fn has_due(&self) -> bool {
        self.due.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if self.bounds.due.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

impl Pot {
    fn of(most: u64) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU64::new(0), routes: AtomicU64::new(1) })
    }

    /// What every route is sure of, and how much may be taken in all by those who have that already: the parts of all
    /// others stay free.
    fn parts(&self) -> (u64, u64) {
        let routes = self.routes.load(Ordering::Relaxed);
        let sure = (self.most / 2 / routes).max(1);
        (sure, self.most.saturating_sub((routes - 1) * sure).max(self.most / 2))
    }
}

impl Part {
    /// Whether that may be taken now: a look that costs less than making what there is no room for.
    pub(crate) fn has_room(&self, count: u64) -> bool {
        self.pot.taken.load(Ordering::Relaxed) + count <= self.most(count)
    }

    /// How much may be taken in all, with so much more for this route.
    fn most(&self, count: u64) -> u64 {
        let (sure, anybodys) = self.pot.parts();
        let is_sure = self.taken.load(Ordering::Relaxed) + count <= sure;
        if is_sure { self.pot.most } else { anybodys }
    }

    /// `None` where that is more than the route may have now.
    pub(crate) fn take(self: &Arc<Self>, count: u64) -> Option<Portion> {
        let mut portion = Portion { part: Arc::clone(self), count: 0 };
        portion.grow(count).then_some(portion)
    }
}

impl Portion {
    /// Takes more of the same; false where that is more than the route may have now.
    pub(crate) fn grow(&mut self, count: u64) -> bool {
        let Part { pot, taken } = &*self.part;
        let most = self.part.most(count);
        let more = |all: u64| (all + count <= most).then(|| all + count);
        if pot.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        taken.fetch_add(count, Ordering::Relaxed);
        self.count += count;
        true
    }

    /// Gives all of it back.
    pub(crate) fn clear(&mut self) {
        self.part.taken.fetch_sub(self.count, Ordering::Relaxed);
        self.part.pot.taken.fetch_sub(self.count, Ordering::Relaxed);
        self.count = 0;
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;
    use proptest::prelude::*;
    use tokio::sync::Notify;

    use super::{Bounds, Portion, Pot};

    fn small(most: u64, routes: usize) -> Bounds {
        let bounds = Bounds {
            queue: Pot::of(most),
            bytes: Pot::of(most),
            inflight: Pot::of(most),
            unsettled: Pot::of(most),
        };
        bounds.share_between(routes);
        bounds
    }

    #[test]
    fn a_busy_route_leaves_every_other_its_part() {
        let bounds = small(100, 5);
        let (busy, quiet) = (bounds.route().bytes, bounds.route().bytes);
        let mut held: Vec<Portion> = std::iter::from_fn(|| busy.take(1)).collect();
        assert_eq!(held.len(), 60);
        held.extend(std::iter::from_fn(|| quiet.take(1)));
        assert_eq!(held.len(), 70);
        assert_eq!(bounds.bytes(), 70);
        held.clear();
        assert_eq!(bounds.bytes(), 0);
    }

    #[test]
    fn the_last_that_was_due_wakes_who_waits() {
        let (bounds, over) = (Arc::new(small(100, 1).route()), Arc::<Notify>::default());
        let (first, last) = (bounds.is_due(&over), bounds.is_due(&over));
        drop(first);
        assert!(bounds.has_due() && over.notified().now_or_never().is_none());
        drop(last);
        assert!(!bounds.has_due() && over.notified().now_or_never().is_some());
    }

    #[test]
    fn one_route_alone_has_all_of_it() {
        let bounds = small(100, 1);
        let part = bounds.route().bytes;
        assert_eq!(std::iter::from_fn(|| part.take(1)).collect::<Vec<_>>().len(), 100);
    }

    proptest! {
        /// Whatever is asked for in whatever order: never more than there is, and each route can have its part.
        #[test]
        fn never_more_than_there_is(
            asked in proptest::collection::vec((0_usize..4, 1_u64..40, any::<bool>()), 1..200),
        ) {
            let bounds = small(200, 4);
            let parts: Vec<_> = (0..4).map(|_| bounds.route().bytes).collect();
            let mut held: Vec<(usize, u64, Portion)> = Vec::new();
            for (route, count, gives_back) in asked {
                if gives_back && !held.is_empty() {
                    held.swap_remove(0);
                }
                let mine: u64 = held.iter().filter(|(of, ..)| *of == route).map(|(_, count, _)| count).sum();
                match parts[route].take(count) {
                    Some(portion) => held.push((route, count, portion)),
                    None => prop_assert!(mine + count > 25, "route {route} has {mine} and wants {count}"),
                }
                let all: u64 = held.iter().map(|(_, count, _)| count).sum();
                prop_assert_eq!(bounds.bytes(), all);
                prop_assert!(all <= 200);
            }
        }
    }

    #[test]
    fn threads_together_never_take_more() {
        let bounds = Arc::new(small(1_000, 2));
        let takers = (0..4).map(|_| {
            let part = bounds.route().bytes;
            std::thread::spawn(move || std::iter::from_fn(|| part.take(3)).collect::<Vec<_>>())
        });
        let held: Vec<_> =
            takers.collect::<Vec<_>>().into_iter().map(|taker| taker.join().expect("takes")).collect();
        let all = held.iter().flatten().count() as u64 * 3;
        assert_eq!(bounds.bytes(), all);
        assert!((498..=1_000).contains(&all), "{all}");
    }
}
