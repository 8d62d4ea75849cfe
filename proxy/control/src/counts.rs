//! What the arms of each route answered since the route was last changed.
//!
//! The gateway counts from the start of the process. After a shift from 10 to 50 % that would be a mixture: a
//! share that nobody set, and errors of clients who have long moved. So every swap that changes a route notes where
//! its counters stood, and what is told is the difference. Requests in flight at the swap count where they end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use banyan_gateway::{ArmCounts, Gateway};
use banyan_routes::{Arm, RouteChange};

use crate::api;

const ARMS: [Arm; 3] = [Arm::Legacy, Arm::Candidate, Arm::Banyan];

/// Shared by the reload thread, which notes, and the admin API, which reads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Counts {
    gateway: Gateway,
    /// When the process began to count.
    start: String,
    marks: Arc<Mutex<BTreeMap<String, Mark>>>,
}

/// Where the counters of one route stood.
#[derive(Clone)]
struct Mark {
    since: String,
    arms: [ArmCounts; ARMS.len()],
}

/// What is told of one route.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// RFC 3339.
    pub(crate) since: String,
    /// By the name of the arm.
    pub(crate) arms: BTreeMap<String, api::ArmCounts>,
    /// Candidate decisions among those that the share made; none without data.
    pub(crate) observed_share: Option<f64>,
}

impl Counts {
    /// Nothing is noted yet: everything counts from `start`, RFC 3339.
    pub(crate) fn new(gateway: Gateway, start: String) -> Self {
        Self { gateway, start, marks: Arc::default() }
    }

    /// A swap made these changes: their routes count anew from now, `at`. Call after it.
    pub(crate) fn note(&self, changes: &[RouteChange], at: &str) {
        let mut marks = self.marks();
        for change in changes {
            match change {
                RouteChange::Added { route, .. }
                | RouteChange::Shifted { route, .. }
                | RouteChange::Changed { route, .. }
                | RouteChange::FallsBack { route, .. } => {
                    let mark = Mark { since: at.to_owned(), arms: self.totals(route) };
                    marks.insert(route.clone(), mark);
                }
                RouteChange::Removed { route, .. } => drop(marks.remove(route)),
                // Nobody is answered otherwise.
                RouteChange::Shadowed { .. } | RouteChange::Part { .. } | RouteChange::Reordered => {}
            }
        }
    }

    /// Of one route, or `default`, since it was last changed.
    pub(crate) fn of(&self, route: &str) -> Counted {
        let totals = self.totals(route);
        let mark = self.marks().get(route).cloned();
        let mark = mark.unwrap_or_else(|| Mark { since: self.start.clone(), arms: Default::default() });
        let arms = [0, 1, 2].map(|place| totals[place].since(&mark.arms[place]));
        let told = ARMS.iter().zip(&arms).map(|(arm, counts)| (arm.as_str().to_owned(), told(counts)));
        Counted { since: mark.since, arms: told.collect(), observed_share: observed_share(&arms) }
    }

    fn totals(&self, route: &str) -> [ArmCounts; ARMS.len()] {
        ARMS.map(|arm| self.gateway.counts(route, arm))
    }

    fn marks(&self) -> MutexGuard<'_, BTreeMap<String, Mark>> {
        // Marks are put in whole, one by one: a panic elsewhere leaves nothing half done.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the order of [`ARMS`].
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn observed_share([legacy, candidate, _]: &[ArmCounts; ARMS.len()]) -> Option<f64> {
    let all = legacy.share_decisions + candidate.share_decisions;
    (all > 0).then(|| candidate.share_decisions as f64 / all as f64)
}

fn told(counts: &ArmCounts) -> api::ArmCounts {
    api::ArmCounts {
        requests: counts.requests,
        errors: counts.errors,
        fallbacks: counts.fallbacks,
        p50_seconds: counts.durations.quantile(0.5),
        p99_seconds: counts.durations.quantile(0.99),
    }
}
