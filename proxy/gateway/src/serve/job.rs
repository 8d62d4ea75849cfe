//! A decided request with an upstream: asked, accounted for, answered.

use std::sync::Arc;
use std::time::Instant;

use banyan_routes::{Arm, Decision, Destination, FallbackCause, RewriteHost};
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{StatusCode, Uri};

use super::own;
use crate::answer::{BANYAN_REASON, FELL_BACK, Own};
use crate::body::ResponseBody;
use crate::exchange::Exchange;
use crate::forward::{Answered, ForwardError, Outgoing, Trail, Way};
use crate::forwarding::Seen;
use crate::message::{Answer, AnswerHead, Fields};
use crate::metrics::{Failure, Outcome, RouteMetrics};
use crate::outside::Outside;
use crate::state::{LiveUpstream, State};
use crate::upgrade::Wanted;
use crate::worker::InForce;
use crate::{fallback, forward, forwarding};

const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// A decided request with an upstream.
pub(super) struct Job {
    pub(super) state: Arc<InForce>,
    pub(super) decision: Decision,
    pub(super) exchange: Exchange,
    pub(super) outgoing: Outgoing,
    pub(super) outside: Outside,
    /// The client asks to change protocols.
    pub(super) wanted: Option<Wanted>,
    pub(super) fresh_id: u64,
    /// What the client asked for, where the candidate is asked for something else.
    pub(super) public_uri: Option<Uri>,
    /// Legacy is asked in place of the candidate.
    pub(super) fell_back: bool,
}

impl Job {
    pub(super) async fn forward(mut self: Box<Self>) -> Answer {
        loop {
            let mut trail = Trail::default();
            let outcome = self.send(&mut trail).await;
            let Self { state, decision, outgoing, .. } = &*self;
            let cause = fallback::cause(&state.table, decision, outgoing, &outcome);
            if cause.is_some() && outcome.is_ok() {
                trail.failures.push(Failure::Discarded);
            }
            self.account(&trail, &outcome, cause.is_none());
            let Some(cause) = cause else { return self.respond(outcome) };
            self.fall_back(cause, outcome);
        }
    }

    /// Makes everything ready to ask legacy.
    fn fall_back(&mut self, cause: FallbackCause, outcome: Result<Answered, ForwardError>) {
        let Self { state, decision, exchange, outgoing, outside, public_uri, .. } = self;
        let worker = exchange.connection().worker;
        if let (Ok(answered), Some(upstream)) = (outcome, decision.upstream) {
            fallback::discard(answered, state.upstream(upstream), worker);
        }
        state.route(decision.route).fallbacks.count(worker, cause);
        *decision = fallback::to_legacy(&state.table, decision);
        exchange.falls_back(*decision, cause);
        outgoing.renew(public_uri.take());
        outside.asks_legacy();
        self.fell_back = true;
    }

    async fn send(&mut self, trail: &mut Trail) -> Result<Answered, ForwardError> {
        let Self { state, decision, exchange, outgoing, .. } = self;
        let Some(upstream) = decision.upstream.map(|index| state.upstream(index)) else {
            return Err(ForwardError::NoTarget);
        };
        // First, so that a request that goes on to legacy is gone from the candidate.
        exchange.takes(None);
        if let Some(room) = &upstream.servers.room {
            let Some(seat) = room.enter() else {
                trail.failures.push(Failure::Busy);
                return Err(ForwardError::Busy);
            };
            exchange.takes(Some(seat));
        }
        let route = decision.route.map(|index| state.table.route(index));
        let way = Way {
            connection: exchange.connection(),
            upstream,
            timeouts: state.timeouts(decision),
            host: route.map_or(&RewriteHost::Keep, |route| &route.rewrite.host),
        };
        let breaker = upstream.servers.breaker.as_ref().filter(|_| decision.arm == Arm::Candidate);
        let ticket = match breaker.map(|breaker| breaker.admit(way.connection.worker)) {
            None => None,
            Some(Ok(ticket)) => Some(ticket),
            Some(Err(stopped)) => {
                trail.failures.push(Failure::BreakerOpen);
                return Err(ForwardError::BreakerOpen(stopped));
            }
        };
        let outcome = outgoing.send(&way, trail).await;
        if let Some(ticket) = ticket {
            ticket.settle(forward::verdict(&outcome), Instant::now());
        }
        outcome
    }

    /// What happened on the way goes into metrics and log.
    fn account(&mut self, trail: &Trail, outcome: &Result<Answered, ForwardError>, is_final: bool) {
        let Self { state, decision, exchange, .. } = self;
        let Some(upstream) = decision.upstream.map(|index| state.upstream(index)) else { return };
        let route = state.route(decision.route);
        let worker = exchange.connection().worker;
        measure(worker, &route.metrics, upstream, decision.arm, trail, is_final && outcome.is_ok());
        exchange.trail(trail, upstream);
        if let Err(error) = outcome {
            let upstream = &upstream.servers.settings.name;
            tracing::debug!(%error, %upstream, route = %route.name, "no answer");
        }
    }

    fn respond(self: Box<Self>, outcome: Result<Answered, ForwardError>) -> Answer {
        let Self { state, decision, exchange, outgoing, outside, wanted, fresh_id, .. } = *self;
        let (worker, fell_back) = (exchange.connection().worker, self.fell_back && outcome.is_ok());
        let mut seen = None;
        let mut answer = match outcome {
            Ok(answered) if answered.head.status == StatusCode::SWITCHING_PROTOCOLS => {
                let wanted = wanted.filter(|wanted| wanted.is_met_by(&answered.head.fields));
                switch_protocols(answered, wanted, exchange, &state, &decision, &mut seen)
            }
            Ok(answered) if wanted.is_some_and(|wanted| wanted.would_be_met(answered.head.status)) => {
                upgrade_refused(&answered, exchange)
            }
            Ok(answered) => pass_on(answered, exchange, &state, &decision, &mut seen),
            Err(error) => own(error.answer(), Some(exchange)),
        };
        // Only an answer of an upstream names it.
        if seen.is_some_and(|seen| seen.has(Seen::PLACE)) {
            outside.fit(outgoing.fields(), &mut answer.head.fields, &state, &decision, worker);
        }
        if fell_back && !answer.head.fields.contains(&BANYAN_REASON) {
            answer.head.fields.append(&BANYAN_REASON, &HeaderValue::from_static(FELL_BACK));
        }
        add_route_fields(&mut answer.head.fields, &state, &decision, fresh_id);
        answer
    }
}

fn measure(
    worker: usize,
    route: &RouteMetrics,
    upstream: &LiveUpstream,
    arm: Arm,
    trail: &Trail,
    answered: bool,
) {
    for failure in trail.failures.iter() {
        route.attempt(worker, arm, Outcome::Failed(failure), trail.upstream_time);
        upstream.metrics.error(worker, failure);
    }
    if answered {
        route.attempt(worker, arm, Outcome::Answered, trail.upstream_time);
    }
    if trail.retries > 0 {
        route.retried(worker);
    }
}

fn clean(head: &mut AnswerHead, exchange: &Exchange) -> Seen {
    forwarding::prepare_answer(head.status, head.version, &mut head.fields, exchange.identity())
}

/// An ordinary answer: its body streams through.
fn pass_on(
    answered: Answered,
    mut exchange: Exchange,
    state: &State,
    decision: &Decision,
    seen: &mut Option<Seen>,
) -> Answer {
    let Answered { mut head, body, lease, place } = answered;
    exchange.answered(head.status, place);
    exchange.sees_head(&head);
    *seen = Some(clean(&mut head, &exchange));
    let idle = state.timeouts(decision).idle;
    Answer { head, body: ResponseBody::upstream(body, lease, exchange, idle) }
}

/// A 101: the client asked for it, so both sides are joined; a 101 nobody asked for is nonsense.
fn switch_protocols(
    answered: Answered,
    wanted: Option<Wanted>,
    mut exchange: Exchange,
    state: &State,
    decision: &Decision,
    seen: &mut Option<Seen>,
) -> Answer {
    let (Some(wanted), Some(upstream)) = (wanted, answered.lease.switched()) else {
        exchange.answered(StatusCode::BAD_GATEWAY, answered.place);
        exchange.upstream_failed(Failure::BadAnswer);
        return own(Own::new(StatusCode::BAD_GATEWAY, "bad-answer"), Some(exchange));
    };
    let Answered { mut head, lease, place, .. } = answered;
    exchange.answered(head.status, place);
    *seen = Some(clean(&mut head, &exchange));
    let idle = state.timeouts(decision).idle;
    wanted.fit(&mut head);
    lease.is_now_upgraded();
    if wanted.takes_the_connection() {
        exchange.connection().stream.is_now_upgraded();
    }
    tokio::spawn(async move {
        match wanted.join(upstream, idle).await {
            Ok((_, to_client)) => exchange.upgraded(to_client),
            Err(error) => {
                tracing::debug!(%error, "upgraded stream ended");
                exchange.broken_off("upgraded-stream");
            }
        }
        // The connection counts against the upstream's limit until here.
        drop(lease);
    });
    Answer { head, body: ResponseBody::own(Bytes::new()) }
}

/// An ordinary answer to an HTTP/2 client that would read its status as the beginning of a WebSocket.
fn upgrade_refused(answered: &Answered, mut exchange: Exchange) -> Answer {
    exchange.answered(StatusCode::BAD_GATEWAY, answered.place);
    own(Own::new(StatusCode::BAD_GATEWAY, "upgrade-refused"), Some(exchange))
}

/// What the route's settings add to every answer.
fn add_route_fields(fields: &mut Fields, state: &State, decision: &Decision, fresh_id: u64) {
    let Some(route) = decision.route.map(|index| state.table.route(index)) else { return };
    if let Some(sunset) = &route.sunset {
        fields.insert(&SUNSET, &sunset.date);
        if let Some(link) = &sunset.link {
            fields.append(&header::LINK, link);
        }
    }
    if decision.issue_cookie
        && let Destination::Split(split) = &route.destination
        && let Some(name) = &split.issue_cookie
        && let Ok(cookie) = HeaderValue::try_from(cookie(name, fresh_id))
    {
        fields.append(&header::SET_COOKIE, &cookie);
    }
}

/// An identity for a client that has none; it never names an arm.
fn cookie(name: &str, id: u64) -> String {
    format!("{name}={id:016x}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax")
}
