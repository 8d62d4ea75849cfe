//! The thread that looks at the counters once a tick. Reading them takes nothing from requests.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use banyan_gateway::Gateway;

use super::diary::{self, Diary};
use super::{Lost, Timeline};
use crate::clock;
use crate::metrics::Metrics;

/// Ends when dropped.
pub(crate) struct Sampler {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Samples into the timeline, and keeps its burn-down in the folder.
    pub(crate) fn start(
        timeline: Timeline,
        gateway: Gateway,
        metrics: Metrics,
        state_dir: Option<&Path>,
    ) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let diary = diary::open(state_dir, &timeline);
        let thread = thread::Builder::new()
            .name("timeline".to_owned())
            .spawn(move || run(&timeline, &gateway, &metrics, diary.as_ref(), &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends without waiting for a slow disk: the process is about to go.
    pub(crate) fn abandon(mut self) {
        self.thread = None;
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    timeline: &Timeline,
    gateway: &Gateway,
    metrics: &Metrics,
    diary: Option<&Diary>,
    stopped: &Receiver<()>,
) {
    let keep = |point| {
        if diary.is_some_and(|diary| !diary.keep(point)) {
            metrics.timeline_lost(Lost::Disk, 1);
        }
    };
    loop {
        let taken = timeline.take(SystemTime::now(), &gateway.sample(), &gateway.table());
        if let Some((why, samples)) = taken.lost {
            metrics.timeline_lost(why, samples);
        }
        metrics.timeline_holds(taken.bytes);
        taken.point.into_iter().for_each(keep);
        if stopped.recv_timeout(until_next(timeline.every_ms)) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    timeline.last_point(SystemTime::now()).into_iter().for_each(keep);
}

/// A tick begins on the clock; a little later, so that no rounding takes it for the one before.
fn until_next(every_ms: u64) -> Duration {
    let now = clock::ms(SystemTime::now());
    Duration::from_millis(every_ms - now % every_ms + 1)
}
