//! What comparisons of shadowed requests add up to, route by route, and each one on its way to whoever keeps samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use banyan_compare::{
    Body, Evidence, EvidenceSnapshot, Learned, Learning, Observation, PointerPattern, Verdict,
};
use banyan_routes::Arm;
use http::{HeaderMap, Method};

/// A request both arms were asked, with their answers and what comparing them said.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Name of the route.
    pub route: Arc<str>,
    /// When the client asked.
    pub at: SystemTime,
    /// Whose answer the client got.
    pub shown: Arm,
    /// What was asked, as the candidate and legacy saw it: nothing is taken out yet.
    pub request: Asked,
    /// Legacy's answer.
    pub legacy: Observation,
    /// The candidate's answer.
    pub candidate: Observation,
    /// After what was learned of noise.
    pub verdict: Verdict,
    /// A mismatch that was gone when both arms were asked again.
    pub is_transient: bool,
    /// What a sample is kept without, beside what is always taken out.
    pub redact: Arc<[PointerPattern]>,
}

/// A request, to be kept or asked again.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// Path and query, as the client wrote them.
    pub target: String,
    /// As they went to the upstream, `Host` among them.
    pub headers: HeaderMap,
    /// What was kept of the body.
    pub body: Body,
}

/// What is known of the comparisons of every route that shadows. One lock each, never taken by a thread that serves
/// clients.
#[derive(Debug, Default)]
pub struct Comparisons {
    routes: Mutex<BTreeMap<Arc<str>, Arc<Mutex<RouteComparisons>>>>,
    follower: Mutex<Option<SyncSender<Compared>>>,
    missed: AtomicU64,
}

/// What is known of the comparisons of one route.
#[derive(Debug, Clone, Default)]
pub struct RouteComparisons {
    /// What they add up to.
    pub evidence: Evidence,
    /// What legacy does not agree on with itself.
    pub learning: Learning,
}

impl Comparisons {
    /// What the comparisons of a route add up to; `None` when there was none.
    pub fn evidence(&self, route: &str) -> Option<EvidenceSnapshot> {
        self.read(route, |known| known.evidence.snapshot())
    }

    /// Every signature of a route that was learned.
    pub fn learned(&self, route: &str) -> Vec<Learned> {
        self.read(route, |known| known.learning.learned().collect()).unwrap_or_default()
    }

    /// Every comparison from now on; of those that nobody takes in time, `most` wait. One follower at a time.
    pub fn follow(&self, most: usize) -> Receiver<Compared> {
        let (sender, receiver) = sync_channel(most);
        *locked(&self.follower) = Some(sender);
        receiver
    }

    /// Comparisons that the follower did not take in time.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Forgets all of one route. False when there was nothing.
    pub fn reset(&self, route: &str) -> bool {
        locked(&self.routes).remove(route).is_some()
    }

    /// All of it, to be kept across a restart.
    pub fn export(&self) -> BTreeMap<String, RouteComparisons> {
        let routes: Vec<_> =
            locked(&self.routes).iter().map(|(name, known)| (name.to_string(), Arc::clone(known))).collect();
        routes.into_iter().map(|(name, known)| (name, locked(&known).clone())).collect()
    }

    /// Puts back what [`Self::export`] gave, before anything is served.
    pub fn import(&self, kept: BTreeMap<String, RouteComparisons>) {
        let kept = kept.into_iter().map(|(name, known)| (name.into(), Arc::new(Mutex::new(known))));
        locked(&self.routes).extend(kept);
    }

    /// Tells the follower, who is never waited for.
    #[expect(dead_code, reason = "shadowing comes with the next change")]
    pub(crate) fn tell(&self, compared: Compared) {
        let follower = locked(&self.follower);
        if follower.as_ref().is_some_and(|follower| follower.try_send(compared).is_err()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read<T>(&self, route: &str, read: impl FnOnce(&RouteComparisons) -> T) -> Option<T> {
        let known = locked(&self.routes).get(route).map(Arc::clone)?;
        Some(read(&locked(&known)))
    }
}

/// A panic while it is locked leaves counts that are behind by one.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
