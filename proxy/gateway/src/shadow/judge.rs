//! What both answers say of each other, what is learned from it, and what is asked again before it counts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use banyan_compare::{Body, Differences, Observation, Rechecked, Verdict, compare, conditional};
use banyan_routes::{Arm, Destination};
use http::header::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::ask::{Heard, ask};
use super::bounds::Portion;
use super::builds::{BANYAN_BUILD, Builds, NAME_BYTES};
use super::witness::Shadowed;
use super::{Held, LiveShadow, is_drawn, other};
use crate::comparisons::{Asked, Compared, Comparisons, locked};
use crate::forwarding::SaidBy;
use crate::metrics::{ShadowResult, ShadowVerdict};
use crate::outside::Outside;

/// Between two looks whether one more may be on its way.
const FLIGHT_AFTER: Duration = Duration::from_millis(10);

pub(super) struct Judge {
    worker: usize,
    comparisons: Arc<Comparisons>,
    builds: Mutex<Builds>,
    /// Another may be on its way.
    landed: Arc<Notify>,
}

/// A mismatch that is asked again before it counts.
pub(super) struct Recheck {
    job: Box<Shadowed>,
    pair: Pair,
    differences: Differences,
}

/// Both answers to one request, and the memory of the copy's.
struct Pair {
    legacy: Observation,
    candidate: Observation,
    held: Vec<Portion>,
}

impl Judge {
    pub(super) fn new(worker: usize, comparisons: Arc<Comparisons>, landed: Arc<Notify>) -> Self {
        Self { worker, comparisons, builds: Mutex::default(), landed }
    }

    /// Asks the arm that the client did not get, and compares. What it gives is to be asked again.
    pub(super) async fn handle(&self, mut job: Box<Shadowed>) -> Option<Box<Recheck>> {
        job.join();
        let state = Arc::clone(&job.state);
        let shadow = state.route(Some(job.route)).shadow.as_ref()?;
        let heard = self.ask(&job, shadow, other(job.shown), ShadowResult::Sent).await?;
        self.look_for_builds(&job, shadow, &heard);
        let pair = Pair::of(&job, shadow, heard);
        let verdict = pair.compared(&job, shadow);
        let twice = self.ask_twice(&job, shadow, &pair, &verdict).await;
        match learn(shadow, verdict, twice.as_ref()) {
            Verdict::Mismatch(differences) if job.is_safe() => {
                Some(Box::new(Recheck { job, pair, differences }))
            }
            verdict => {
                self.record(job, shadow, pair, verdict, false);
                None
            }
        }
    }

    async fn ask(
        &self,
        job: &Shadowed,
        shadow: &LiveShadow,
        arm: Arm,
        counts: ShadowResult,
    ) -> Option<Heard> {
        let asked = ask(job, shadow, arm, counts, self.worker).await;
        asked.inspect_err(|result| shadow.metrics.result(self.worker, *result)).ok()
    }

    /// For a share of what is safe: what legacy says against itself.
    async fn ask_twice(
        &self,
        job: &Shadowed,
        shadow: &LiveShadow,
        pair: &Pair,
        verdict: &Verdict,
    ) -> Option<Verdict> {
        let says_nothing = matches!(verdict, Verdict::Incomparable(_));
        if says_nothing || !job.is_safe() || !is_drawn(shadow.comparing.noise) {
            return None;
        }
        let again = self.ask(job, shadow, Arm::Legacy, ShadowResult::Again).await?;
        let second = as_shown(job, shadow, Arm::Legacy, again.observation);
        Some(compared(job, shadow, &pair.legacy, &second))
    }

    /// Asks both arms again after a while.
    pub(super) async fn recheck(&self, recheck: Recheck) {
        let state = Arc::clone(&recheck.job.state);
        let Some(shadow) = &state.route(Some(recheck.job.route)).shadow else { return };
        sleep(shadow.comparing.recheck_after).await;
        let Some(_flight) = flight(shadow, &self.landed).await else { return self.stays(recheck) };
        let (job, counts) = (&recheck.job, ShadowResult::Again);
        let (legacy, candidate) = tokio::join!(
            self.ask(job, shadow, Arm::Legacy, counts),
            self.ask(job, shadow, Arm::Candidate, counts)
        );
        // No answer says nothing, so that the mismatch stands.
        let (Some(legacy), Some(candidate)) = (legacy, candidate) else { return self.stays(recheck) };
        let again = Pair::both(job, shadow, legacy, candidate);
        let with_itself = compared(job, shadow, &recheck.pair.legacy, &again.legacy);
        let second = again.compared(job, shadow);
        let Recheck { job, pair, differences } = recheck;
        match banyan_compare::recheck(differences.clone(), &second, &with_itself) {
            Rechecked::Stays(differences) => {
                let verdict = locked(&shadow.known).learning.settle(Verdict::Mismatch(differences));
                self.record(job, shadow, pair, verdict, false);
            }
            Rechecked::Noise(differences) => {
                self.record(job, shadow, pair, Verdict::Noise(differences), false);
            }
            Rechecked::Transient => self.record(job, shadow, pair, Verdict::Mismatch(differences), true),
        }
    }

    /// It counts as it is.
    fn stays(&self, recheck: Recheck) {
        let Recheck { job, pair, differences } = recheck;
        let state = Arc::clone(&job.state);
        if let Some(shadow) = &state.route(Some(job.route)).shadow {
            self.record(job, shadow, pair, Verdict::Mismatch(differences), false);
        }
    }

    fn record(
        &self,
        mut job: Box<Shadowed>,
        shadow: &LiveShadow,
        pair: Pair,
        verdict: Verdict,
        is_transient: bool,
    ) {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
        let Pair { legacy, candidate, mut held } = pair;
        held.append(&mut job.held);
        {
            let evidence = &mut locked(&shadow.known).evidence;
            if is_transient {
                evidence.record_transient(&legacy, &candidate, now_ms);
            } else {
                evidence.record(&verdict, &legacy, &candidate, now_ms);
            }
        }
        let counted = ShadowVerdict::of(&verdict, is_transient);
        if let Verdict::Incomparable(incomparable) = &verdict {
            shadow.metrics.incomparable(self.worker, incomparable.reason);
        }
        self.comparisons.tell(Compared {
            route: Arc::clone(&job.state.route(Some(job.route)).name),
            at: job.at,
            shown: job.shown,
            request: asked(&job),
            legacy,
            candidate,
            verdict,
            is_transient,
            redact: Arc::clone(&shadow.comparing.redact),
            held: Held::of(held),
        });
        // Last: whoever sees the count finds all else there.
        shadow.metrics.verdict(self.worker, counted);
    }

    /// What is known of a candidate is known of one build of it.
    fn look_for_builds(&self, job: &Shadowed, shadow: &LiveShadow, heard: &Heard) {
        let build = match job.shown {
            Arm::Candidate => job.answer.headers.get(BANYAN_BUILD),
            _ => heard.build.as_ref(),
        };
        let named = |build: &&HeaderValue| build.len() <= NAME_BYTES;
        let Some(build) = build.filter(named) else { return };
        let Ok(name) = build.to_str() else { return };
        let table = &job.state.table;
        let upstream = &table.upstream(shadow.candidate).name;
        let mut builds = self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        if builds.upstreams() > table.upstreams().len() {
            builds.retain(|name| table.upstreams().iter().any(|upstream| upstream.name == name));
        }
        let before = locked(&shadow.known).evidence.subject.build.replace(name.to_owned());
        let is_same = |before: &String| before == name || builds.has_heard(upstream, before);
        // Such as before Banyan started anew.
        let is_unheard = !before.as_ref().is_none_or(is_same);
        if !builds.is_new(upstream, build, Instant::now()) && !is_unheard {
            return;
        }
        let is_of_it = |destination: &Destination| match destination {
            Destination::Split(split) => split.candidate == shadow.candidate,
            Destination::Legacy | Destination::Retired(_) => false,
        };
        for route in table.routes().iter().filter(|route| is_of_it(&route.destination)) {
            if self.comparisons.reset_for(&route.name, name) {
                tracing::info!(route = %route.name, %upstream, ?build, "a new build: comparisons begin anew");
            }
        }
    }
}

impl Pair {
    fn of(job: &Shadowed, shadow: &LiveShadow, heard: Heard) -> Self {
        let shown = as_shown(job, shadow, job.shown, Observation::Answered(job.answer.clone()));
        let copied = as_shown(job, shadow, other(job.shown), heard.observation);
        let (legacy, candidate) = if job.shown == Arm::Candidate { (copied, shown) } else { (shown, copied) };
        Self { legacy, candidate, held: heard.held }
    }

    fn both(job: &Shadowed, shadow: &LiveShadow, legacy: Heard, candidate: Heard) -> Self {
        let held = legacy.held.into_iter().chain(candidate.held).collect();
        let legacy = as_shown(job, shadow, Arm::Legacy, legacy.observation);
        let candidate = as_shown(job, shadow, Arm::Candidate, candidate.observation);
        Self { legacy, candidate, held }
    }

    fn compared(&self, job: &Shadowed, shadow: &LiveShadow) -> Verdict {
        compared(job, shadow, &self.legacy, &self.candidate)
    }
}

fn compared(job: &Shadowed, shadow: &LiveShadow, legacy: &Observation, candidate: &Observation) -> Verdict {
    match conditional(&job.headers, legacy, candidate) {
        Some(incomparable) => Verdict::Incomparable(incomparable),
        None => compare(legacy, candidate, &shadow.comparing.rules, today()),
    }
}

fn learn(shadow: &LiveShadow, verdict: Verdict, twice: Option<&Verdict>) -> Verdict {
    let learning = &mut locked(&shadow.known).learning;
    if let Some(twice) = twice {
        learning.asked_twice(twice);
    }
    learning.compared(&verdict);
    learning.settle(verdict)
}

/// Waits until one more may be on its way. Who has a mismatch in hand does not give up where a match would not have to wait:
/// then only mismatches would be lost.
async fn flight(shadow: &LiveShadow, landed: &Arc<Notify>) -> Option<Portion> {
    let deadline = Instant::now() + shadow.settings.timeout;
    let _due = shadow.bounds.is_due(landed);
    loop {
        let flight = shadow.bounds.inflight.take(1);
        if flight.is_some() || Instant::now() >= deadline {
            return flight;
        }
        sleep(FLIGHT_AFTER).await;
    }
}

/// As a client would be shown it: with addresses as seen from outside. `Banyan-*` is said to Banyan, and no part of the
/// answer.
fn as_shown(job: &Shadowed, shadow: &LiveShadow, arm: Arm, mut observation: Observation) -> Observation {
    if let Observation::Answered(answer) = &mut observation {
        remove_ours(&mut answer.headers);
        let (head, table) = (&job.head, &job.state.table);
        let outside = Outside::new(SaidBy::Fields);
        outside.fit_unseen(head, &mut answer.headers, table, job.route, arm, shadow.upstream(arm));
    }
    observation
}

fn remove_ours(headers: &mut HeaderMap) {
    let ours: Vec<_> = headers.keys().filter(|name| name.as_str().starts_with("banyan-")).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
}

fn asked(job: &Shadowed) -> Asked {
    Asked {
        method: job.head.method.clone(),
        target: job.head.uri.path_and_query().map_or("*", http::uri::PathAndQuery::as_str).to_owned(),
        headers: job.headers.clone(),
        body: Body::Complete(job.body.clone().unwrap_or_default()),
        is_safe: job.is_safe(),
    }
}

/// In UTC: every replica agrees on it.
fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}
