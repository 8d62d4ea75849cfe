//! How many connections are open, for the drain.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<u64>,
    closed_one: Condvar,
}

/// Counts one connection until dropped. An upgraded stream holds on to it.
pub(crate) struct Counted(Arc<Connections>);

impl Connections {
    pub(crate) fn enter(self: &Arc<Self>) -> Counted {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Counted(Arc::clone(self))
    }

    /// Blocks until none is open or the time is over; returns how many are left.
    pub(crate) fn wait_until_none(&self, limit: Duration) -> u64 {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.closed_one.wait_timeout_while(open, limit, |open| *open > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.closed_one.notify_all();
    }
}
