//! What comparisons of shadowed requests found, kept across a restart: counts, and samples without their secrets.
//!
//! A thread of its own follows the gateway's comparisons and is never waited for: what it cannot take in time is left
//! out and counted. Before anything is served, what was counted before is put back.
//!
//! - `keeper`: that thread. `sample`: a comparison as it is kept. `bounds`: how much is kept.
//! - `store`: counts and samples in `SQLite`. `shelf`: the store, whatever becomes of its disk.
//! - `tap`: requests as they come, for `banyan record`.

mod bounds;
mod keeper;
mod sample;
mod shelf;
mod store;
mod tap;
#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use banyan_compare::restore;
use banyan_gateway::{Comparisons, RouteComparisons};

use crate::api::{API_VERSION, Kept, Recorded, Reset, Sample, SampleRequest};
use crate::clock;
use crate::metrics::Metrics;
use bounds::Bounds;
use keeper::Keeper;
use shelf::Shelf;
use tap::Tap;

/// Comparisons that wait for the thread. Each may hold three bodies, of `max_body` of its route each.
const WAITING_MAX: usize = 16;

/// Clients come first where processors are few.
const NICE: i32 = 10;

/// Longest wait for the disk at the end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Most requests in one answer to `banyan record`.
pub(crate) const RECORDED_MAX: usize = 200;

/// Why a sample was not kept: the values of a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dropped {
    /// Comparisons came too fast.
    Missed,
    /// There is no room for more.
    Full,
    /// The disk did not take it.
    Disk,
}

impl Dropped {
    /// Every reason.
    pub(crate) const ALL: [Self; 3] = [Self::Missed, Self::Full, Self::Disk];

    /// The label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Full => "full",
            Self::Disk => "disk",
        }
    }
}

/// Why nothing was forgotten: the disk did not take it, and what is there would come back at the next start.
#[derive(Debug)]
pub(crate) struct NotReset {
    route: String,
    problem: String,
}

impl std::fmt::Display for NotReset {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "nothing of route `{}` is forgotten: {}", self.route, self.problem)
    }
}

/// The thread. Dropped, it keeps what it was told and ends, but is not waited for without end.
pub(crate) struct EvidenceKeeper {
    handle: EvidenceHandle,
    ended: Option<Receiver<()>>,
}

/// Reads what is kept, and resets it. Cheap to clone. May wait for a disk.
#[derive(Clone)]
pub(crate) struct EvidenceHandle {
    shared: Shared,
}

/// What the thread and whoever reads share.
#[derive(Clone)]
struct Shared {
    comparisons: Arc<Comparisons>,
    shelf: Arc<Mutex<Shelf>>,
    tap: Arc<Mutex<Tap>>,
    resets: Arc<Mutex<BTreeMap<String, u64>>>,
    dropped: Arc<Mutex<BTreeMap<Dropped, u64>>>,
    metrics: Metrics,
}

/// Where the evidence of a state directory is.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("evidence.sqlite")
}

impl EvidenceKeeper {
    /// Puts back what was counted, of these routes and of others that were seen lately, and follows. `path` is the file;
    /// none keeps everything in memory.
    pub(crate) fn start(
        path: Option<PathBuf>,
        routes: &[&str],
        comparisons: &Arc<Comparisons>,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let shared = Shared::open(path, Arc::clone(comparisons), metrics.clone());
        shared.put_back(routes);
        let names = routes.iter().map(|route| (*route).to_owned()).collect();
        let keeper = Keeper::new(shared.clone(), comparisons.follow(WAITING_MAX), names);
        let (ending, ended) = sync_channel(0);
        thread::Builder::new().name("banyan-evidence".to_owned()).spawn(move || {
            // Of this thread alone. One that cannot be had is none that is needed.
            let _ = rustix::process::setpriority_process(None, NICE);
            keeper.run();
            // Dropped last: whoever waits for the end may open the file anew.
            drop(ending);
        })?;
        Ok(Self { handle: EvidenceHandle { shared }, ended: Some(ended) })
    }

    /// To read and reset.
    pub(crate) fn handle(&self) -> EvidenceHandle {
        self.handle.clone()
    }

    /// Ends without waiting for a slow disk: the process is about to go.
    pub(crate) fn abandon(mut self) {
        self.ended = None;
    }
}

impl Drop for EvidenceKeeper {
    fn drop(&mut self) {
        // Nobody follows any more, so the thread has come to its end when it has taken what waits.
        drop(self.handle.shared.comparisons.follow(0));
        let Some(ended) = &self.ended else { return };
        if ended.recv_timeout(END_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk did not take the last of what comparisons found in time");
        }
    }
}

impl EvidenceHandle {
    /// All counts of all routes.
    pub(crate) fn known(&self) -> BTreeMap<String, RouteComparisons> {
        self.shared.comparisons.export()
    }

    /// Ids of samples by signature, oldest first.
    pub(crate) fn ids(&self, route: &str) -> BTreeMap<String, Vec<u64>> {
        self.shared.shelf().read(|store| store.ids(route)).unwrap_or_default()
    }

    /// One sample of a route.
    pub(crate) fn sample(&self, route: &str, id: u64) -> Option<Sample> {
        self.shared.shelf().read(|store| store.sample(route, id)).flatten()
    }

    /// What was asked in all samples of a route.
    pub(crate) fn requests(&self, route: &str) -> Vec<SampleRequest> {
        self.shared.shelf().read(|store| store.requests(route)).unwrap_or_default()
    }

    /// Forgets all of a route, or nothing.
    pub(crate) fn reset(&self, route: &str) -> Result<Reset, NotReset> {
        self.shared.locked_resets().insert(route.to_owned(), clock::ms(SystemTime::now()));
        // Held all the while: an export comes before or after.
        let mut place = self.shared.shelf();
        let samples = place.forget(route).map_err(|problem| NotReset { route: route.to_owned(), problem })?;
        let had_counts = self.shared.comparisons.reset(route);
        drop(place);
        tracing::info!(route, samples, "what comparisons found was reset");
        Ok(Reset { version: API_VERSION, route: route.to_owned(), had_counts, samples })
    }

    /// Requests as they come.
    pub(crate) fn recorded(&self, route: Option<&str>, after: Option<u64>, count: usize) -> Recorded {
        let drawn = self.shared.tap().draw(route, after, count.min(RECORDED_MAX), Instant::now());
        let missed = self.shared.comparisons.missed();
        Recorded {
            version: API_VERSION,
            requests: drawn.requests,
            next: drawn.next,
            lost: drawn.lost,
            missed,
        }
    }

    /// Where samples are.
    pub(crate) fn kept(&self) -> Kept {
        let dropped =
            locked(&self.shared.dropped).iter().map(|(why, n)| (why.as_str().to_owned(), *n)).collect();
        let mut found = self.shared.shelf();
        let samples = found.read(store::Store::samples).unwrap_or_default();
        let place = if found.is_on_disk() { "disk" } else { "memory" };
        Kept { place: place.to_owned(), samples, dropped, problem: found.problem().map(str::to_owned) }
    }
}

impl Shared {
    fn open(path: Option<PathBuf>, comparisons: Arc<Comparisons>, metrics: Metrics) -> Self {
        Self {
            comparisons,
            shelf: Arc::new(Mutex::new(Shelf::open(path))),
            tap: Arc::default(),
            resets: Arc::default(),
            dropped: Arc::default(),
            metrics,
        }
    }

    fn put_back(&self, routes: &[&str]) {
        let since = clock::ms(SystemTime::now()).saturating_sub(Bounds::DISK.age_ms);
        // Held all the while: a reset comes before or after.
        let mut place = self.shelf();
        let stored = place.read(|store| store.counts(routes, since)).unwrap_or_default();
        let mut kept = BTreeMap::new();
        for (route, text) in stored {
            match restore(&text) {
                Ok((evidence, learning)) => {
                    kept.insert(route, RouteComparisons { evidence, learning });
                }
                Err(problem) => tracing::error!(route, "counts of comparisons begin anew: {problem}"),
            }
        }
        // Taking over from another process, this one serves already.
        for (route, now) in self.comparisons.export() {
            if let Some(before) = kept.get_mut(&route) {
                before.evidence.merge(&now.evidence);
                if now.learning.requests_compared() > before.learning.requests_compared() {
                    before.learning = now.learning;
                }
            }
        }
        self.comparisons.import(kept);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        locked(&self.shelf)
    }

    fn tap(&self) -> MutexGuard<'_, Tap> {
        locked(&self.tap)
    }

    fn locked_resets(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        locked(&self.resets)
    }

    /// Whether what a client asked then is forgotten.
    fn was_reset_since(&self, route: &str, at_ms: u64) -> bool {
        self.locked_resets().get(route).is_some_and(|reset_ms| at_ms <= *reset_ms)
    }

    fn dropped(&self, why: Dropped, count: u64) {
        *locked(&self.dropped).entry(why).or_default() += count;
        self.metrics.evidence_dropped(why, count);
    }
}

/// A panic while it is locked leaves nothing half done that matters.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
