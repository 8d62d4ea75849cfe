//! What the requests of one connection share, and when it last had one.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;

use super::Broken;
use super::admission::Admitted;
use super::beginning::{begun, latecomer};
use crate::access_log::Entry;
use crate::connections::Counted;
use crate::forwarding::{Peer, Scheme};
use crate::gateway::Shared;
use crate::guard::RefusedReason;
use crate::lazy_sleep::LazySleep;
use crate::limits::Limits;
use crate::lingering::StreamState;
use crate::metrics::DEFAULT_ROUTE;

/// What every request of one connection shares.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
    pub(crate) scheme: Scheme,
    pub(crate) worker: usize,
    pub(crate) stream: Arc<StreamState>,
    /// True from the stop on.
    pub(super) draining: watch::Receiver<bool>,
    pub(super) opened: Instant,
    /// Requests being answered: with HTTP/2 there can be many.
    pub(super) turns: AtomicU64,
    /// End of the last turn, in milliseconds since `opened`.
    idle_since_ms: AtomicU64,
    /// When the first bytes of a head were seen, likewise; 0 while there are none.
    head_since_ms: AtomicU64,
    requests: AtomicU64,
    /// No further requests: of HTTP/2 only, where no answer can say so.
    pub(super) is_used_up: AtomicBool,
    spare_timer: Mutex<Option<LazySleep>>,
    _counted: Counted,
}

/// One request of a connection is being answered, until this is dropped.
pub(crate) struct Turn(Arc<Connection>);

impl Connection {
    pub(super) fn open(
        shared: Arc<Shared>,
        admitted: Admitted,
        scheme: Scheme,
        stream: Arc<StreamState>,
        worker: usize,
    ) -> Arc<Self> {
        shared.metrics.connection_opened(worker);
        let draining = shared.workers.draining(worker);
        Arc::new(Self {
            peer: Peer::new(admitted.client),
            scheme,
            worker,
            shared,
            stream,
            draining,
            opened: Instant::now(),
            turns: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            is_used_up: AtomicBool::new(false),
            spare_timer: Mutex::default(),
            _counted: admitted.counted,
        })
    }

    /// The timer of the request before, if no other request has it.
    pub(crate) fn timer(&self, deadline: Instant) -> LazySleep {
        let spare = self.spare_timer.lock().unwrap_or_else(PoisonError::into_inner).take();
        spare.unwrap_or_else(|| LazySleep::new(deadline))
    }

    pub(crate) fn give_back(&self, timer: LazySleep) {
        *self.spare_timer.lock().unwrap_or_else(PoisonError::into_inner) = Some(timer);
    }

    pub(super) fn latecomer(&self) -> Duration {
        latecomer(&self.shared)
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    pub(super) async fn begun<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Broken> {
        begun(&self.shared, &self.draining, limit, work).await
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.settings.limits
    }

    /// When the client has rested too long; `None` while a request is being answered.
    pub(super) fn rest_deadline(&self) -> Option<Instant> {
        let rests = self.turns.load(Ordering::Relaxed) == 0;
        rests.then(|| self.at(&self.idle_since_ms) + self.limits().keep_alive)
    }

    /// The same with HTTP/1, where what is read while nothing is answered is a head, which has a deadline of its own.
    pub(super) fn head_deadline(&self) -> Option<Instant> {
        // Closing has a time of its own.
        let rest = self.rest_deadline().filter(|_| !self.stream.is_closing())?;
        if !self.stream.has_read() {
            return Some(rest);
        }
        if !self.head_has_begun() {
            self.set(&self.head_since_ms, Instant::now());
        }
        Some(self.at(&self.head_since_ms) + self.limits().head_timeout)
    }

    pub(super) fn head_has_begun(&self) -> bool {
        self.head_since_ms.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_idle_since(&self, now: Instant) {
        self.set(&self.idle_since_ms, now);
        self.head_since_ms.store(0, Ordering::Relaxed);
        self.stream.is_read_up();
    }

    fn at(&self, ms: &AtomicU64) -> Instant {
        self.opened + Duration::from_millis(ms.load(Ordering::Relaxed))
    }

    /// Never to 0, which stands for never.
    fn set(&self, ms: &AtomicU64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.opened).as_millis();
        ms.store(u64::try_from(elapsed).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// Counts one more request. True from the last one on that the connection may carry.
    pub(super) fn has_its_last(&self) -> bool {
        let Some(most) = self.limits().requests_per_connection else { return false };
        self.requests.fetch_add(1, Ordering::Relaxed) + 1 >= most
    }

    /// Counts and logs a request whose head could not be read.
    pub(super) fn refused_unread(&self, reason: RefusedReason, status: StatusCode) {
        self.shared.metrics.refused(self.worker, reason);
        let Some(log) = &self.shared.access_log else { return };
        let mut entry = Entry::unread(self.peer.address, DEFAULT_ROUTE.into());
        entry.status = status.as_u16();
        entry.banyan_reason = Some(reason.as_str());
        log.write(entry);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.metrics.connection_closed(self.worker);
    }
}

impl Turn {
    pub(crate) fn begin(connection: &Arc<Connection>) -> Self {
        connection.turns.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_idle_since(Instant::now());
        self.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}
