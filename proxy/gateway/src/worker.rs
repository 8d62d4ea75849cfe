//! Worker threads: each has a number, its own handle on the table in force, and its own stop signal.
//!
//! Nothing here is shared between workers while requests run, so that no cache line travels.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::state::State;

thread_local! {
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The workers of one gateway.
pub(crate) struct Workers {
    all: Box<[Worker]>,
    arrived: AtomicUsize,
}

/// What one worker thread holds for itself.
#[repr(align(128))]
pub(crate) struct Worker {
    in_force: ArcSwap<InForce>,
    drain: watch::Sender<bool>,
}

/// One worker's own handle on the table in force: cloning the `Arc` around it touches no counter that another
/// worker touches.
pub(crate) struct InForce(Arc<State>);

impl Deref for InForce {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl Workers {
    pub(crate) fn new(count: usize, state: &Arc<State>) -> Self {
        let all = (0..count.max(1))
            .map(|_| Worker {
                in_force: ArcSwap::from_pointee(InForce(Arc::clone(state))),
                drain: watch::Sender::new(false),
            })
            .collect();
        Self { all, arrived: AtomicUsize::new(0) }
    }

    /// The number of the calling thread. A worker thread belongs to one gateway for its whole life.
    pub(crate) fn here(&self) -> usize {
        INDEX.with(|index| {
            let number =
                index.get().unwrap_or_else(|| self.arrived.fetch_add(1, Ordering::Relaxed) % self.all.len());
            index.set(Some(number));
            number
        })
    }

    /// The table in force, by the handle of one worker.
    pub(crate) fn in_force(&self, worker: usize) -> Arc<InForce> {
        self.all[worker].in_force.load_full()
    }

    /// Puts another table in force on every worker.
    pub(crate) fn swap(&self, state: &Arc<State>) {
        for worker in &self.all {
            worker.in_force.store(Arc::new(InForce(Arc::clone(state))));
        }
    }

    /// Turns true when connections of this worker should end after the request in flight.
    pub(crate) fn draining(&self, worker: usize) -> watch::Receiver<bool> {
        self.all[worker].drain.subscribe()
    }

    pub(crate) fn drain(&self) {
        for worker in &self.all {
            worker.drain.send_replace(true);
        }
    }
}

/// A number kept in one cell per worker: written without contention, summed when read.
pub(crate) struct Tally(Box<[Cell128]>);

#[repr(align(128))]
#[derive(Default)]
struct Cell128(AtomicI64);

impl Tally {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers.max(1)).map(|_| Cell128::default()).collect())
    }

    pub(crate) fn add(&self, worker: usize, change: i64) {
        self.0[worker].0.fetch_add(change, Ordering::Relaxed);
    }

    /// Never negative: one worker's cell may be, since a count can go down on another thread than it went up.
    pub(crate) fn sum(&self) -> u64 {
        let total: i64 = self.0.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum();
        u64::try_from(total).unwrap_or(0)
    }
}
