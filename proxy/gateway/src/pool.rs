//! Connections to one server of an upstream.
//!
//! Idle connections lie in one small shard per worker thread, behind a lock that nobody else wants. Only when
//! the own shard is empty is a connection of another shard borrowed: its connection task stays with the
//! thread that opened it, and the handle goes home afterwards. Legacy applications often allow few
//! connections, so a limit holds over all threads, with a bounded line of waiters.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::body::RequestBody;
use crate::dial::dial;
use crate::resolve::Addresses;
use crate::upstream_io::UpstreamIo;

/// Most requests that wait for a connection to one target.
const MAX_WAITERS: u32 = 1024;
/// Longest wait for a connection when the limit is reached.
const WAIT: Duration = Duration::from_secs(1);
/// Most bytes of an answer before the end of its head. hyper takes heads of 408 KiB; beyond that these are interim
/// answers, and an upstream that sends them without end would keep a worker busy with nothing else.
const MAX_BEFORE_HEAD: usize = 512 << 10;
/// Most idle connections kept by one worker for one target.
const MAX_IDLE_PER_SHARD: usize = 1024;

/// Most fields of an answer. Above 100 hyper needs memory for them with each answer.
const MAX_FIELDS: usize = 256;

type Sender = http1::SendRequest<RequestBody>;

/// Connections to one target.
pub(crate) struct Pool {
    shards: Box<[Shard]>,
    addresses: Arc<Addresses>,
    connect_timeout: Duration,
    keep_alive: Duration,
    limit: Option<u32>,
    line: Arc<Line>,
}

#[repr(align(128))]
#[derive(Default)]
struct Shard(Mutex<Vec<Idle>>);

struct Idle {
    sender: Sender,
    home: usize,
    since: Instant,
    slot: Arc<Slot>,
}

/// Open connections and those who wait for one.
#[derive(Default)]
struct Line {
    open: AtomicU32,
    waiting: AtomicU32,
    freed: Notify,
}

/// A connection in use. Dropped without [`Pool::give_back`], it closes when what is being sent on it has ended.
#[must_use]
pub(crate) struct Lease {
    pub(crate) sender: Sender,
    home: usize,
    slot: Arc<Slot>,
}

/// What a waiter is given: the time it may take to connect is no part of the wait.
enum Turn {
    Ready(Lease),
    MayConnect(Slot),
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The name has no address.
    Resolve(io::Error),
    /// Refused, unreachable, out of descriptors.
    Io(io::Error),
    /// No answer in time.
    Timeout,
    /// The limit is reached and nobody gave one back in time.
    Exhausted,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(out, "cannot resolve: {error}"),
            Self::Io(error) => write!(out, "cannot connect: {error}"),
            Self::Timeout => write!(out, "cannot connect: timed out"),
            Self::Exhausted => write!(out, "all connections are in use"),
        }
    }
}

impl Pool {
    pub(crate) fn new(
        workers: usize,
        addresses: Arc<Addresses>,
        connect_timeout: Duration,
        keep_alive: Duration,
        limit: Option<u32>,
    ) -> Self {
        let shards = (0..workers.max(1)).map(|_| Shard::default()).collect();
        Self { shards, addresses, connect_timeout, keep_alive, limit, line: Arc::default() }
    }

    /// A new connection where the limit allows it, else the first that is given back. Ask [`Self::idle`] first, unless
    /// an idle connection has just turned out dead.
    pub(crate) async fn lease(&self, worker: usize) -> Result<Lease, ConnectError> {
        let has_line = self.line.waiting.load(Ordering::Acquire) > 0;
        if !has_line && let Some(slot) = self.open_slot() {
            return self.connect(worker, slot).await;
        }
        match timeout(WAIT, self.wait_in_line(worker)).await {
            Ok(Some(Turn::Ready(lease))) => Ok(lease),
            Ok(Some(Turn::MayConnect(slot))) => self.connect(worker, slot).await,
            Ok(None) | Err(_) => Err(ConnectError::Exhausted),
        }
    }

    /// `None` when the line is full.
    async fn wait_in_line(&self, worker: usize) -> Option<Turn> {
        let place = Place::take(&self.line)?;
        if place.ahead > 0 {
            self.line.freed.notified().await;
        }
        loop {
            let freed = self.line.freed.notified();
            if let Some(lease) = self.next_idle(worker, Instant::now()) {
                return Some(Turn::Ready(lease));
            }
            if let Some(slot) = self.open_slot() {
                return Some(Turn::MayConnect(slot));
            }
            freed.await;
        }
    }

    /// A ready connection that nobody uses or waits for: of this worker, else of another.
    pub(crate) fn idle(&self, worker: usize, now: Instant) -> Option<Lease> {
        if self.line.waiting.load(Ordering::Acquire) > 0 { None } else { self.next_idle(worker, now) }
    }

    fn next_idle(&self, worker: usize, now: Instant) -> Option<Lease> {
        let own = self.shards[worker].pop(self.keep_alive, now);
        let idle = own.or_else(|| self.borrow(worker, now))?;
        let Idle { sender, home, slot, .. } = idle;
        Some(Lease { sender, home, slot })
    }

    fn borrow(&self, worker: usize, now: Instant) -> Option<Idle> {
        let others = self.shards.len() - 1;
        (1..=others)
            .find_map(|step| self.shards[(worker + step) % self.shards.len()].pop(self.keep_alive, now))
    }

    fn open_slot(&self) -> Option<Slot> {
        let limit = self.limit.unwrap_or(u32::MAX);
        let more = |open: u32| (open < limit).then(|| open + 1);
        self.line.open.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        let (is_upgraded, may_read) = (AtomicBool::new(false), AtomicUsize::new(usize::MAX));
        Some(Slot { line: Arc::clone(&self.line), is_upgraded, may_read })
    }

    async fn connect(&self, worker: usize, slot: Slot) -> Result<Lease, ConnectError> {
        let stream = self.dial().await?;
        let slot = Arc::new(slot);
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_FIELDS)
            .handshake(TokioIo::new(UpstreamIo::new(stream, Arc::clone(&slot))))
            .await
            .map_err(|error| ConnectError::Io(io::Error::other(error)))?;
        tokio::spawn(async move {
            // How it ended is told to the request in flight, if there is one.
            let _ = connection.with_upgrades().await;
        });
        Ok(Lease { sender, home: worker, slot })
    }

    /// To any address of the name; a failure makes the name be looked up again soon.
    async fn dial(&self) -> Result<TcpStream, ConnectError> {
        let look_up = timeout(self.connect_timeout, self.addresses.get());
        let addresses = look_up.await.map_err(|_| ConnectError::Timeout)?.map_err(ConnectError::Resolve)?;
        let first = fastrand::usize(..addresses.len().max(1));
        let failure = match timeout(self.connect_timeout, dial(&addresses, first)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => ConnectError::Io(error),
            Err(_) => ConnectError::Timeout,
        };
        self.addresses.suspect();
        Err(failure)
    }

    /// The exchange ended cleanly: the connection goes back to the worker that opened it.
    ///
    /// Its task may not have come round yet (it runs on another thread, or an upload goes on after an early
    /// answer): then it goes back when it has, so that a waiter is not woken for nothing.
    pub(crate) fn give_back(self: &Arc<Self>, mut lease: Lease, now: Instant) {
        if lease.sender.is_ready() {
            return self.shelve(lease, now);
        }
        if lease.sender.is_closed() {
            return;
        }
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            if lease.sender.ready().await.is_ok() {
                pool.shelve(lease, Instant::now());
            }
        });
    }

    fn shelve(&self, lease: Lease, now: Instant) {
        let Lease { sender, home, slot } = lease;
        let mut shard = self.shards[home].lock();
        if shard.len() < MAX_IDLE_PER_SHARD {
            shard.push(Idle { sender, home, since: now, slot });
        }
        drop(shard);
        self.line.wake_one();
    }

    /// Closes what has been idle too long. Called about once a second.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        for shard in &self.shards {
            shard.lock().retain(|idle| !idle.is_stale(self.keep_alive, now));
        }
    }
}

impl Shard {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // A panic cannot leave a Vec of handles half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The youngest usable connection. Closed ones are dropped on the way.
    fn pop(&self, keep_alive: Duration, now: Instant) -> Option<Idle> {
        let mut idle = self.lock();
        let mut place = idle.len();
        while place > 0 {
            place -= 1;
            let candidate = &idle[place];
            if candidate.is_stale(keep_alive, now) {
                idle.swap_remove(place);
            } else if candidate.sender.is_ready() {
                return Some(idle.swap_remove(place));
            }
        }
        None
    }
}

impl Idle {
    fn is_stale(&self, keep_alive: Duration, now: Instant) -> bool {
        self.sender.is_closed() || now.saturating_duration_since(self.since) >= keep_alive
    }
}

impl Line {
    fn wake_one(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.freed.notify_one();
        }
    }
}

/// Counts one open connection: held by its stream, and by whoever uses it, upgraded streams included.
pub(crate) struct Slot {
    line: Arc<Line>,
    is_upgraded: AtomicBool,
    /// Bytes that may be read before the head of an answer; the largest number while there is no limit.
    may_read: AtomicUsize,
}

impl Slot {
    /// Counts bytes that were read; false when they are too many.
    pub(crate) fn may_have_read(&self, count: usize) -> bool {
        let rest = |rest: usize| if rest == usize::MAX { Some(rest) } else { rest.checked_sub(count) };
        self.may_read.fetch_update(Ordering::AcqRel, Ordering::Acquire, rest).is_ok()
    }

    /// What the connection carries is no longer HTTP.
    pub(crate) fn is_upgraded(&self) -> bool {
        self.is_upgraded.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.line.open.fetch_sub(1, Ordering::AcqRel);
        self.line.wake_one();
    }
}

impl Lease {
    /// From here to [`Self::has_answer`] what is read is counted.
    pub(crate) fn expects_answer(&self) {
        self.slot.may_read.store(MAX_BEFORE_HEAD, Ordering::Release);
    }

    /// A byte of the answer has come. Asked before [`Self::has_answer`].
    pub(crate) fn has_heard(&self) -> bool {
        self.slot.may_read.load(Ordering::Acquire) != MAX_BEFORE_HEAD
    }

    pub(crate) fn has_answer(&self) {
        self.slot.may_read.store(usize::MAX, Ordering::Release);
    }

    pub(crate) fn is_now_upgraded(&self) {
        self.slot.is_upgraded.store(true, Ordering::Release);
    }
}

/// One place in the line of waiters.
struct Place<'l> {
    line: &'l Line,
    /// How many came before.
    ahead: u32,
}

impl<'l> Place<'l> {
    fn take(line: &'l Line) -> Option<Self> {
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

#[cfg(test)]
mod tests;
