//! The access log: one line of JSON per request, written by a thread of its own.
//!
//! The request path only puts an entry into a bounded queue, and never waits: what does not fit is counted as dropped.
//! So is what the target does not take (a closed pipe, a full disk); the writer goes on trying with later lines.
//! Lines are gathered for a moment and then written together: a system call and a thread woken for each of them cost more than
//! the line.
//!
//! No header, no query and no body ever reaches the log, so that no secret does. What a client chose (host, path,
//! method) is cut to a bounded length.
//!
//! - `line`: an entry as JSON. `output`: the file or pipe, its failures and its reopening.

mod line;
mod output;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};
use std::{io, thread};

use banyan_routes::{Arm, Decision, Reason};

use crate::forwarding::TraceId;
use crate::gateway::AccessLogTarget;
use crate::message::RequestHead;
use output::Output;

/// Entries that may wait, about 1 KiB each.
const QUEUE: usize = 8192;

/// How long lines are gathered for.
const GATHERED: Duration = Duration::from_millis(10);

/// Longest host, path or method written, in bytes.
const MAX_TEXT: usize = 2048;

/// One request as the log tells it. Make one only while there is a log.
#[derive(Debug)]
pub(crate) struct Entry {
    /// When the head of the request was there.
    pub(crate) time: SystemTime,
    /// The client's address: rightmost untrusted one.
    pub(crate) client: IpAddr,
    pub(crate) method: Box<str>,
    pub(crate) host: Box<str>,
    /// As sent, without the query.
    pub(crate) path: Box<str>,
    pub(crate) status: u16,
    /// Who answered; Banyan when an upstream could not.
    pub(crate) arm: Arm,
    pub(crate) route: Arc<str>,
    /// Why the decision fell as it did.
    pub(crate) reason: Option<Reason>,
    /// The client's bucket, 0..100 000.
    pub(crate) bucket: Option<u32>,
    pub(crate) upstream: Option<Box<str>>,
    pub(crate) target: Option<Box<str>>,
    /// From the head of the request to the end of the answer.
    pub(crate) duration: Duration,
    /// From the begin of the last attempt to the head of its answer.
    pub(crate) upstream_time: Option<Duration>,
    /// Bytes of the request's body.
    pub(crate) bytes_in: u64,
    /// Bytes of the answer's body.
    pub(crate) bytes_out: u64,
    pub(crate) retries: u32,
    pub(crate) generation: u64,
    pub(crate) trace_id: Option<TraceId>,
    /// Value of `Banyan-Reason`, when the answer has one, or would have if the head could have been read.
    pub(crate) banyan_reason: Option<&'static str>,
    /// Why legacy answered in place of the candidate: the cause, as in routes.toml.
    pub(crate) fallback: Option<Box<str>>,
    /// Why the answer broke off.
    pub(crate) aborted: Option<&'static str>,
}

impl Entry {
    /// What is known when a request begins: the rest is filled in as it is learned. A request refused before routing
    /// has no decision, and Banyan for its arm.
    pub(crate) fn begin(head: &RequestHead, host: &str, client: IpAddr, route: Arc<str>) -> Box<Self> {
        let mut entry = Self::unread(client, route);
        entry.method = bounded(head.method.as_str());
        entry.host = bounded(host);
        entry.path = bounded(head.uri.path());
        entry
    }

    /// A request whose head could not be read: it has no method, host or path.
    pub(crate) fn unread(client: IpAddr, route: Arc<str>) -> Box<Self> {
        Box::new(Self {
            time: SystemTime::now(),
            client,
            method: Box::default(),
            host: Box::default(),
            path: Box::default(),
            status: 0,
            arm: Arm::Banyan,
            route,
            reason: None,
            bucket: None,
            upstream: None,
            target: None,
            duration: Duration::ZERO,
            upstream_time: None,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            generation: 0,
            trace_id: None,
            banyan_reason: None,
            fallback: None,
            aborted: None,
        })
    }

    /// What the table said.
    pub(crate) fn decided(&mut self, decision: &Decision, generation: u64) {
        self.arm = decision.arm;
        self.reason = Some(decision.reason);
        self.bucket = decision.bucket;
        self.generation = generation;
    }
}

fn bounded(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(MAX_TEXT)].into()
}

/// The end of the queue that requests write to.
pub(crate) struct AccessLog {
    queue: SyncSender<Message>,
    orders: Arc<Orders>,
    dropped: Arc<AtomicU64>,
    finished: std::sync::Mutex<Receiver<()>>,
}

enum Message {
    Line(Box<Entry>),
    /// Look at the orders.
    Wake,
}

/// What the writer is told besides lines. Flags, because a full queue takes no message.
#[derive(Default)]
struct Orders {
    reopen: AtomicBool,
    stop: AtomicBool,
}

impl AccessLog {
    /// Opens the target and starts the writer. `dropped` counts lines lost.
    pub(crate) fn open(target: &AccessLogTarget, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        Self::start(Output::open(target)?, QUEUE, dropped)
    }

    fn start(output: Output, queue: usize, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        // Its sender goes with the thread.
        let (running, finished) = sync_channel(0);
        let orders = Arc::new(Orders::default());
        let writer =
            Writer { queue: receiver, orders: Arc::clone(&orders), output, dropped: Arc::clone(&dropped) };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            let _running: SyncSender<()> = running;
            writer.run();
        })?;
        Ok(Self { queue: sender, orders, dropped, finished: finished.into() })
    }

    /// Queues an entry, or drops and counts it. Never waits.
    pub(crate) fn write(&self, entry: Box<Entry>) {
        if self.queue.try_send(Message::Line(entry)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens a file anew under its name, after logrotate has moved it. Lines queued before may go to either.
    pub(crate) fn reopen(&self) {
        self.orders.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Writes what is queued and ends the writer; gives up after `wait`, since a pipe nobody reads never ends.
    /// Returns whether everything queued was dealt with.
    pub(crate) fn close(&self, wait: Duration) -> bool {
        self.orders.stop.store(true, Ordering::Release);
        self.wake();
        let finished = self.finished.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // The channel carries nothing: it breaks when the writer ends.
        finished.recv_timeout(wait) == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
    }

    /// A writer that is busy enough to have a full queue looks at its orders anyway.
    fn wake(&self) {
        match self.queue.try_send(Message::Wake) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

struct Writer {
    queue: Receiver<Message>,
    orders: Arc<Orders>,
    output: Output,
    dropped: Arc<AtomicU64>,
}

impl Writer {
    /// Ends when told to, or when the last sender is gone; in both cases after what is queued.
    fn run(mut self) {
        while let Some(message) = self.next() {
            if self.orders.reopen.swap(false, Ordering::AcqRel) {
                self.flush();
                self.output.reopen();
            }
            if let Message::Line(entry) = message {
                line::write(self.output.buffer(), &entry);
                if self.output.is_full() {
                    self.flush();
                }
            }
        }
        self.flush();
    }

    fn next(&mut self) -> Option<Message> {
        match self.queue.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        self.flush();
        if self.orders.stop.load(Ordering::Acquire) {
            // Lines may have come while a slow target kept the flush.
            return self.queue.try_recv().ok();
        }
        let first = self.queue.recv().ok();
        // Those that come meanwhile are written with it.
        thread::sleep(GATHERED);
        first
    }

    fn flush(&mut self) {
        let lost = self.output.flush(Instant::now());
        if lost > 0 {
            self.dropped.fetch_add(lost, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
