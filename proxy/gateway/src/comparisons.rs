//! What comparisons of shadowed requests add up to, route by route, and each one on its way to whoever keeps samples.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use banyan_compare::{
    Body, Counts, Evidence, EvidenceSnapshot, Learned, Learning, Observation, PointerPattern, Verdict,
};
use banyan_routes::Arm;
use http::{HeaderMap, Method};

use crate::shadow::Held;

const ANEW: &str = "an upstream or the rules of `compare` are others than before: comparisons begin anew";

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
    /// The memory of all this, counted until it is dropped.
    pub held: Held,
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
    /// Neither its method nor its route says that it has effects.
    pub is_safe: bool,
}

/// What is known of the comparisons of every route that shadows. One lock each, never taken by a thread that serves
/// clients.
#[derive(Debug, Default)]
pub struct Comparisons {
    routes: Mutex<BTreeMap<Arc<str>, Arc<Mutex<RouteComparisons>>>>,
    follower: Mutex<Option<SyncSender<Compared>>>,
    missed: AtomicU64,
    missed_differences: AtomicU64,
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
        self.read(route, |known| known.evidence.snapshot()).filter(|evidence| evidence.since_ms.is_some())
    }

    /// The comparisons of a route by verdict, without the rest; `None` when there was none.
    pub fn counts(&self, route: &str) -> Option<Counts> {
        self.read(route, |known| known.evidence.counts())
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

    /// Of these, mismatches and noise: what a sample could have been made of.
    pub fn missed_differences(&self) -> u64 {
        self.missed_differences.load(Ordering::Relaxed)
    }

    /// Forgets all of one route. False when there was nothing.
    pub fn reset(&self, route: &str) -> bool {
        let known = locked(&self.routes).get(route).map(Arc::clone);
        // In place: what goes on comparing holds on to it.
        known.is_some_and(|known| locked(&known).reset())
    }

    /// The same for another build of the candidate.
    pub(crate) fn reset_for(&self, route: &str, build: &str) -> bool {
        let Some(known) = locked(&self.routes).get(route).map(Arc::clone) else { return false };
        let mut known = locked(&known);
        known.evidence.subject.build = Some(build.to_owned());
        known.reset()
    }

    /// All of it, to be kept across a restart.
    pub fn export(&self) -> BTreeMap<String, RouteComparisons> {
        let routes: Vec<_> =
            locked(&self.routes).iter().map(|(name, known)| (name.to_string(), Arc::clone(known))).collect();
        let routes = routes.into_iter().map(|(name, known)| (name, locked(&known).clone()));
        routes.filter(|(_, known)| !known.is_empty()).collect()
    }

    /// Puts back what [`Self::export`] gave, before anything is served. What was counted of another candidate, another
    /// legacy or by other rules is left out. Routes that are no more go at the next reload.
    pub fn import(&self, kept: BTreeMap<String, RouteComparisons>) {
        for (name, known) in kept {
            let slot = Arc::clone(locked(&self.routes).entry(name.as_str().into()).or_default());
            let mut now = locked(&slot);
            if now.compared().is_none() || now.compared() == known.compared() {
                *now = known;
            } else {
                tracing::info!(route = name, "{ANEW}");
            }
        }
    }

    /// What is known of one route, to go on from, while it is about the same: `compared` as the table tells. It outlives
    /// the route where it is still held, and is read no more.
    pub(crate) fn of_route(&self, route: &str, compared: Option<String>) -> Arc<Mutex<RouteComparisons>> {
        let mut routes = locked(&self.routes);
        let slot = routes.entry(route.into()).or_default();
        if locked(slot).compared() != compared.as_deref() {
            if !locked(slot).is_empty() {
                tracing::info!(route, "{ANEW}");
            }
            let mut known = RouteComparisons::default();
            known.evidence.subject.compared = compared;
            // Another one: what is on its way since before the change is counted where nobody reads.
            *slot = Arc::new(Mutex::new(known));
        }
        Arc::clone(slot)
    }

    /// Forgets routes that are not there any more.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        locked(&self.routes).retain(|route, _| is_there(route));
    }

    /// Tells the follower, who is never waited for.
    pub(crate) fn tell(&self, compared: Compared) {
        let differs = matches!(compared.verdict, Verdict::Mismatch(_) | Verdict::Noise(_));
        let follower = locked(&self.follower);
        if follower.as_ref().is_some_and(|follower| follower.try_send(compared).is_err()) {
            self.missed.fetch_add(1, Ordering::Relaxed);
            self.missed_differences.fetch_add(u64::from(differs), Ordering::Relaxed);
        }
    }

    fn read<T>(&self, route: &str, read: impl FnOnce(&RouteComparisons) -> T) -> Option<T> {
        let known = locked(&self.routes).get(route).map(Arc::clone)?;
        Some(read(&locked(&known)))
    }
}

impl RouteComparisons {
    fn compared(&self) -> Option<&str> {
        self.evidence.subject.compared.as_deref()
    }

    /// False when there was nothing.
    fn reset(&mut self) -> bool {
        let had_some = !self.is_empty();
        self.evidence.reset();
        self.learning = Learning::default();
        had_some
    }

    fn is_empty(&self) -> bool {
        let has_learned = self.learning.requests_compared() + self.learning.requests_asked_twice() > 0;
        !has_learned && self.evidence.snapshot().since_ms.is_none()
    }
}

/// A panic while it is locked leaves counts that are behind by one.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
