//! Connections to one server of an upstream.
//!
//! Idle connections lie in one small shard per worker thread, behind a lock that nobody else wants. Only when
//! the own shard is empty is a connection of another shard borrowed, and goes home afterwards: what wakes its user is the
//! driver of the thread that opened it. Legacy applications often allow few
//! connections, so a limit holds over all threads, with a bounded line of waiters.
//!
//! A connection of HTTP/2 lies in the shard of its worker for as long as it lives, and is lent to many requests at a time.
//!
//! The last shard is that of the thread that shadows. It lends nothing and borrows nothing: a client must not wait for a
//! connection whose task stands behind a comparison.
//!
//! - `line`: the limit, and those who wait. `lease`: a connection in use.

mod lease;
mod line;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::connect::{ConnectError, Connector, Opened};
use crate::http1::upstream::Connection;
use crate::streams::{Shared, Stream};
use lease::Sender;
pub(crate) use lease::{Lease, Unanswered};
pub(crate) use line::Slot;
use line::{Line, Place};

/// Longest wait for a connection when the limit is reached.
const WAIT: Duration = Duration::from_secs(1);
/// Most idle connections kept by one worker for one target.
const MAX_IDLE_PER_SHARD: usize = 1024;

/// Connections to one target.
pub(crate) struct Pool {
    /// One per worker, and one for copies of requests.
    shards: Box<[Shard]>,
    connector: Arc<Connector>,
    keep_alive: Duration,
    limit: Option<u32>,
    line: Arc<Line>,
    /// A connection more is likely to be one that requests share.
    expects_http2: AtomicBool,
}

#[repr(align(128))]
#[derive(Default)]
struct Shard {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<Arc<Shared>>>,
    /// Held while a connection is opened that others may share.
    opening: tokio::sync::Mutex<()>,
}

/// How to take a share in a connection.
type Begin = fn(&Arc<Shared>) -> Option<Stream>;

struct Idle {
    connection: Connection,
    home: usize,
    since: Instant,
    slot: Arc<Slot>,
}

/// Why a copy of a request has no connection.
pub(crate) enum CopyError {
    /// What is left by clients is taken.
    NoRoom,
    /// None could be made.
    Connect,
}

/// What a waiter is given: the time it may take to connect is no part of the wait.
enum Turn {
    Ready(Lease),
    MayConnect(Slot),
}

impl Pool {
    pub(crate) fn new(
        workers: usize,
        connector: Arc<Connector>,
        keep_alive: Duration,
        limit: Option<u32>,
    ) -> Self {
        let shards = (0..=workers.max(1)).map(|_| Shard::default()).collect();
        let expects_http2 = AtomicBool::new(connector.may_be_http2());
        Self { shards, connector, keep_alive, limit, line: Arc::default(), expects_http2 }
    }

    /// Without TLS, both sides know that every connection is of HTTP/2.
    pub(crate) fn is_always_http2(&self) -> bool {
        self.connector.is_always_http2()
    }

    /// How requests to this target are said to go (RFC 9113 8.3.1, `:scheme`).
    pub(crate) fn is_secure(&self) -> bool {
        self.connector.is_secure()
    }

    /// A new connection where the limit allows it, else the first that is given back. Ask [`Self::idle`] first, unless
    /// an idle connection has just turned out dead.
    pub(crate) async fn lease(&self, worker: usize, only_http1: bool) -> Result<Lease, ConnectError> {
        if !self.line.has_waiters()
            && let Some(slot) = self.open_slot()
        {
            return self.connect(worker, slot, only_http1).await;
        }
        match timeout(WAIT, self.wait_in_line(worker, only_http1)).await {
            Ok(Some(Turn::Ready(lease))) => Ok(lease),
            Ok(Some(Turn::MayConnect(slot))) => self.connect(worker, slot, only_http1).await,
            Ok(None) | Err(_) => Err(ConnectError::Exhausted),
        }
    }

    /// For a copy of a request: who never waits in line.
    pub(crate) async fn lease_for_copy(&self) -> Result<Lease, CopyError> {
        let home = self.shards.len() - 1;
        let shared = if self.connector.may_be_http2() { self.stream(home) } else { None };
        let own = || self.shards[home].pop(self.keep_alive, Instant::now());
        if let Some(lease) = shared.or_else(|| own().map(Lease::of)) {
            return Ok(lease);
        }
        let slot = self.line.open_slot_for_copy(self.limit).ok_or(CopyError::NoRoom)?;
        self.connect(home, slot, false).await.map_err(|_| CopyError::Connect)
    }

    fn of_workers(&self) -> &[Shard] {
        &self.shards[..self.shards.len() - 1]
    }

    /// `None` when the line is full.
    async fn wait_in_line(&self, worker: usize, only_http1: bool) -> Option<Turn> {
        let place = Place::take(&self.line)?;
        if place.ahead > 0 {
            self.line.freed.notified().await;
        }
        loop {
            let freed = self.line.freed.notified();
            // The limit is reached: whose worker's it is does not matter.
            let shared = |begin| if only_http1 { None } else { self.any_stream(begin) };
            let ready = self.next_idle(worker, Instant::now(), only_http1);
            if let Some(lease) = ready.or_else(|| shared(Shared::begin)) {
                return Some(Turn::Ready(lease));
            }
            if let Some(slot) = self.open_slot() {
                return Some(Turn::MayConnect(slot));
            }
            if let Some(lease) = shared(Shared::begin_anyway) {
                return Some(Turn::Ready(lease));
            }
            if only_http1 {
                self.close_a_resting_one();
            }
            self.close_those_of_copies();
            freed.await;
        }
    }

    /// A ready connection that nobody waits for: of this worker, else of another.
    pub(crate) fn idle(&self, worker: usize, now: Instant, only_http1: bool) -> Option<Lease> {
        if self.line.has_waiters() { None } else { self.next_idle(worker, now, only_http1) }
    }

    fn next_idle(&self, worker: usize, now: Instant, only_http1: bool) -> Option<Lease> {
        if self.connector.may_be_http2()
            && !only_http1
            && let Some(lease) = self.stream(worker)
        {
            return Some(lease);
        }
        if self.connector.is_always_http2() {
            return None;
        }
        let own = self.shards[worker].pop(self.keep_alive, now);
        let idle = own.or_else(|| self.borrow(worker, now))?;
        Some(Lease::of(idle))
    }

    /// Room on a connection that this worker shares.
    fn stream(&self, worker: usize) -> Option<Lease> {
        let (stream, slot) = self.shards[worker].stream(Shared::begin)?;
        Some(Lease::new(Sender::Http2(stream), worker, slot))
    }

    fn any_stream(&self, begin: Begin) -> Option<Lease> {
        self.of_workers().iter().enumerate().find_map(|(home, shard)| {
            let (stream, slot) = shard.stream(begin)?;
            Some(Lease::new(Sender::Http2(stream), home, slot))
        })
    }

    /// Makes room for a connection that cannot be shared.
    fn close_a_resting_one(&self) {
        for shard in &self.shards {
            let mut shared = shard.lock_shared();
            if let Some(place) = shared.iter().position(|shared| shared.is_resting()) {
                shared.swap_remove(place);
                return;
            }
        }
    }

    /// Makes room for clients, who come first.
    fn close_those_of_copies(&self) {
        let Some(shard) = self.shards.last() else { return };
        shard.lock().clear();
        shard.lock_shared().retain(|shared| !shared.is_resting());
    }

    fn borrow(&self, worker: usize, now: Instant) -> Option<Idle> {
        let shards = self.of_workers();
        (1..shards.len()).find_map(|step| shards[(worker + step) % shards.len()].pop(self.keep_alive, now))
    }

    fn open_slot(&self) -> Option<Slot> {
        self.line.open_slot(self.limit)
    }

    /// Where requests can share a connection, a worker opens one at a time, and those who come meanwhile share it.
    async fn connect(&self, worker: usize, slot: Slot, only_http1: bool) -> Result<Lease, ConnectError> {
        if only_http1 || !self.expects_http2.load(Ordering::Relaxed) {
            return self.open(worker, slot, only_http1).await;
        }
        let opening = timeout(self.connector.limit(), self.shards[worker].opening.lock()).await;
        let alone = opening.map_err(|_| ConnectError::Timeout)?;
        if let Some(lease) = self.stream(worker) {
            return Ok(lease);
        }
        // Who came first may have found that the target does not speak HTTP/2.
        let _alone = self.expects_http2.load(Ordering::Relaxed).then_some(alone);
        self.open(worker, slot, only_http1).await
    }

    async fn open(&self, worker: usize, slot: Slot, only_http1: bool) -> Result<Lease, ConnectError> {
        let slot = Arc::new(slot);
        let opened = self.connector.connect(&slot, only_http1).await?;
        let is_http2 = matches!(opened, Opened::Http2(_));
        if !only_http1 && is_http2 != self.expects_http2.load(Ordering::Relaxed) {
            self.expects_http2.store(is_http2, Ordering::Relaxed);
        }
        let sender = match opened {
            Opened::Http1(connection) => Sender::Http1(connection),
            Opened::Http2(shared) => Sender::Http2(self.share(worker, shared)?),
        };
        Ok(Lease::new(sender, worker, slot))
    }

    fn share(&self, worker: usize, shared: Arc<Shared>) -> Result<Stream, ConnectError> {
        let stream = shared.begin();
        self.shards[worker].lock_shared().push(shared);
        // There is room for more of those who wait.
        self.line.wake_one();
        stream.ok_or_else(|| ConnectError::Io(std::io::ErrorKind::ConnectionReset.into()))
    }

    /// The exchange ended cleanly: the connection goes back to the worker that opened it. Where an upload goes on after an
    /// early answer, when that has ended.
    pub(crate) fn give_back(self: &Arc<Self>, lease: Lease, now: Instant) {
        // One that is shared was never taken away.
        let Some(mut idle) = lease.into_idle(now) else { return };
        if !idle.connection.is_sending() {
            if idle.connection.is_ready() {
                self.shelve(idle);
            }
            return;
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if idle.connection.ready().await {
                idle.since = Instant::now();
                pool.shelve(idle);
            }
        });
    }

    fn shelve(&self, idle: Idle) {
        let mut shard = self.shards[idle.home].lock();
        if shard.len() < MAX_IDLE_PER_SHARD {
            shard.push(idle);
        }
        drop(shard);
        self.line.wake_one();
    }

    /// Closes what has been idle too long. Called about once a second.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for shard in &self.shards {
            shard.lock().retain(|idle| !idle.is_stale(self.keep_alive, now));
            shard.lock_shared().retain(|shared| !shared.is_stale(self.keep_alive, now));
        }
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        // A panic cannot leave a Vec of handles half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_shared(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The youngest usable connection. Closed ones are dropped on the way.
    fn pop(&self, keep_alive: Duration, now: Instant) -> Option<Idle> {
        let mut idle = self.lock();
        let mut place = idle.len();
        while place > 0 {
            place -= 1;
            let candidate = &idle[place];
            let is_usable = !candidate.is_old(keep_alive, now) && candidate.connection.is_ready();
            let candidate = idle.swap_remove(place);
            if is_usable {
                return Some(candidate);
            }
        }
        None
    }

    /// The oldest connection with room: younger ones are there for a rush, and close after it.
    fn stream(&self, begin: Begin) -> Option<(Stream, Arc<Slot>)> {
        let mut shared = self.lock_shared();
        shared.retain(|shared| !shared.is_done());
        shared.iter().find_map(|shared| Some((begin(shared)?, shared.slot())))
    }
}

impl Idle {
    fn is_old(&self, keep_alive: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= keep_alive
    }

    fn is_stale(&self, keep_alive: Duration, now: Instant) -> bool {
        self.is_old(keep_alive, now) || !self.connection.is_ready()
    }
}

#[cfg(test)]
mod tests;
