//! Copies of requests to the arm that did not answer, and what comparing both answers says.
//!
//! A worker that serves a client only watches: it keeps the head and both bodies as they pass (`witness`, `capture`), and
//! hands them over when the client's answer has ended. It never waits for that, and takes no lock that another thread
//! wants. What is over a bound is dropped and counted (`bounds`). Everything else happens on a thread of its own:
//!
//! - `thread`: the queue, and who is next. `line`: routes take turns.
//! - `ask`: an arm asked on behalf of nobody. `request`: what it is sent. `dry_run`: whether it may be sent what changes
//!   something.
//! - `judge`: the comparison, what is learned of noise, what is asked again. `builds`: a new build of a candidate.

mod ask;
mod bounds;
mod builds;
mod capture;
mod dry_run;
mod judge;
mod line;
mod request;
mod thread;
mod witness;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use banyan_routes::{Arm, Comparing, Route, RouteTable, Shadow, ShadowWrites, Share, Split, UpstreamIndex};
use http::Method;
use http::header::HeaderName;
use tokio::sync::mpsc;

use crate::comparisons::{Comparisons, RouteComparisons};
use crate::message::Fields;
use crate::metrics::{Metrics, ShadowMetrics, ShadowResult};
pub use bounds::Held;
pub(crate) use bounds::{Bounds, RouteBounds};
pub(crate) use capture::{Capture, Captured};
pub(crate) use dry_run::{DryRuns, Said};
use witness::Shadowed;
pub(crate) use witness::Witness;

/// Most copies that wait to be taken over by the thread: never reached, since [`Bounds`] end before.
const CHANNEL: usize = 2048;

/// Fields in which frameworks look for the method that is meant.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The thread's end that workers hold.
pub(crate) struct Shadows {
    queue: mpsc::Sender<Box<Shadowed>>,
    is_stopping: AtomicBool,
}

/// What shadowing one route needs, ready-made.
pub(crate) struct LiveShadow {
    pub(crate) settings: Shadow,
    pub(crate) comparing: Comparing,
    pub(crate) legacy: UpstreamIndex,
    pub(crate) candidate: UpstreamIndex,
    pub(crate) metrics: Arc<ShadowMetrics>,
    pub(crate) bounds: Arc<RouteBounds>,
    pub(crate) known: Arc<Mutex<RouteComparisons>>,
    has_side_effects: bool,
}

impl Shadows {
    /// Starts the thread. It ends when this is dropped. `worker` is the number it counts under.
    pub(crate) fn start(
        worker: usize,
        metrics: &Arc<Metrics>,
        comparisons: &Arc<Comparisons>,
    ) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(CHANNEL);
        thread::start(worker, Arc::clone(metrics), Arc::clone(comparisons), jobs)?;
        Ok(Self { queue, is_stopping: AtomicBool::new(false) })
    }

    /// From here on nothing is copied.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn hand_over(&self, job: Box<Shadowed>) -> Result<(), ShadowResult> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(ShadowResult::Stopping);
        }
        self.queue.try_send(job).map_err(|_| ShadowResult::QueueFull)
    }
}

impl LiveShadow {
    /// `before` are the bounds of a route of this name in the table before.
    pub(crate) fn of(
        table: &RouteTable,
        route: &Route,
        split: &Split,
        metrics: &Metrics,
        comparisons: &Comparisons,
        before: Option<Arc<RouteBounds>>,
    ) -> Option<Self> {
        let settings = split.shadow.clone()?;
        Some(Self {
            settings,
            comparing: split.comparing.clone(),
            legacy: route.legacy,
            candidate: split.candidate,
            metrics: metrics.shadowing(&route.name),
            bounds: before.unwrap_or_else(|| Arc::new(metrics.shadow_bounds().route())),
            known: comparisons.of_route(&route.name, table.compared(route)),
            has_side_effects: route.side_effects,
        })
    }

    fn upstream(&self, arm: Arm) -> UpstreamIndex {
        if arm == Arm::Candidate { self.candidate } else { self.legacy }
    }

    /// What carries another method in a field may be anything.
    fn is_safe(&self, method: &Method, fields: &Fields) -> bool {
        let is_overridden = METHOD_OVERRIDES.iter().any(|name| fields.contains(name));
        method.is_safe() && !is_overridden && !self.has_side_effects
    }

    /// Whether a request like this may be copied at all: one that is not safe only to a candidate, as a dry run.
    fn may_copy(&self, method: &Method, fields: &Fields, shown: Arm) -> bool {
        let is_dry_run = self.settings.writes == ShadowWrites::DryRun && shown == Arm::Legacy;
        self.is_safe(method, fields) || is_dry_run
    }
}

/// Draws by lot.
fn is_drawn(share: Share) -> bool {
    share == Share::ALL || fastrand::u32(..Share::ALL.thousandths()) < share.thousandths()
}

fn other(arm: Arm) -> Arm {
    if arm == Arm::Candidate { Arm::Legacy } else { Arm::Candidate }
}
