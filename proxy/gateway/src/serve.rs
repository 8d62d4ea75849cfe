//! One request from its head to the head of its answer.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use banyan_routes::{Arm, Decision, Destination, Reason, RequestParts, Rewrite, Route};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode, Version, request};
use hyper::body::{Body as _, Incoming};
use hyper::upgrade::OnUpgrade;

use crate::access_log::Entry;
use crate::answer::{self, Own};
use crate::body::{Progress, RequestBody, ResponseBody};
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::expect::Opener;
use crate::forward::{self, Answered, ForwardError, Outgoing, Trail};
use crate::forwarding::{Onward, Scheme};
use crate::guard::Refused;
use crate::metrics::{DEFAULT_ROUTE, Failure, Outcome, RouteMetrics};
use crate::state::{LiveUpstream, State};
use crate::{expect, forwarding, guard, upgrade};

const SUNSET: HeaderName = HeaderName::from_static("sunset");

/// Answers one request. A panic on the way is a 500 for this request and nothing else.
pub(crate) async fn answer(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let kept = Arc::clone(&connection);
    let answering = AssertUnwindSafe(guarded(connection, request));
    answering.catch_unwind().await.unwrap_or_else(|_| {
        kept.shared.metrics.panicked(kept.worker);
        own(Own::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error"), None)
    })
}

/// Refuses what two parsers could read differently; what passes is decided and forwarded.
async fn guarded(connection: Arc<Connection>, request: Request<Incoming>) -> Response<ResponseBody> {
    let started = Instant::now();
    let (mut parts, incoming) = request.into_parts();
    let loops = connection.shared.identity.check_loop(&parts.headers);
    if let Err(refused) = guard::check(&parts).map(drop).and(loops) {
        return refuse(&connection, &parts, &refused, started);
    }
    guard::to_origin_form(&mut parts);
    decided(connection, parts, incoming, started).await
}

/// Refused before routing: no arm answers, and no route counts it.
fn refuse(
    connection: &Connection,
    parts: &request::Parts,
    refused: &Refused,
    started: Instant,
) -> Response<ResponseBody> {
    let answer = Own::new(refused.status(), refused.reason().as_str());
    connection.shared.metrics.refused(connection.worker, refused.reason());
    tracing::debug!(client = %connection.peer.address, %refused, "request refused");
    if let Some(log) = &connection.shared.access_log {
        let mut entry = Entry::begin(parts, "", connection.peer.address, DEFAULT_ROUTE.into());
        entry.status = answer.status.as_u16();
        entry.banyan_reason = Some(answer.reason);
        entry.duration = started.elapsed();
        log.write(entry);
    }
    let mut response = own(answer, None);
    // What follows on this connection may be meant as a part of what was refused (RFC 9112 11.2).
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn decided(
    connection: Arc<Connection>,
    mut parts: request::Parts,
    incoming: Incoming,
    started: Instant,
) -> Response<ResponseBody> {
    let state = connection.shared.workers.in_force(connection.worker);
    let fresh_id = fastrand::u64(..);
    let client = forwarding::client_address(&parts.headers, &connection.peer, state.table.trusted_proxies());
    let decision = decide(&state, &parts, client, fresh_id);
    let mut entry = log_entry(&connection, &state, &parts, client, &decision);
    let upgrade = forwarding::wanted_upgrade(parts.version, &parts.headers);
    let onward = Onward {
        identity: &connection.shared.identity,
        peer: &connection.peer,
        trusted_proxies: state.table.trusted_proxies(),
        scheme: Scheme::Http,
        version: parts.version,
        upgrade: upgrade.clone(),
    };
    let trace_id = onward.prepare(&mut parts.headers);
    if let Some(entry) = &mut entry {
        entry.trace_id = Some(trace_id);
    }
    let mut exchange = Exchange::begin(Arc::clone(&connection), Arc::clone(&state), decision, entry, started);
    let Some(upstream) = decision.upstream.map(|index| state.upstream(index)) else {
        return answer_alone(&state, &decision, exchange);
    };
    let client_upgrade = upgrade.as_ref().and_then(|_| parts.extensions.remove::<OnUpgrade>());
    let request = Prepared { parts, incoming, decision };
    let mut response = match request.forward(&connection, &state, upstream, &mut exchange).await {
        Ok(answered) if answered.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let wanted = upgrade.as_ref().filter(|wanted| is_wanted(wanted, &answered));
            let client_upgrade = client_upgrade.filter(|_| wanted.is_some());
            switch_protocols(answered, client_upgrade, exchange, &state, &decision)
        }
        Ok(answered) => pass_on(answered, exchange, &state, &decision),
        Err(error) => own(error.answer(), Some(exchange)),
    };
    add_route_fields(response.headers_mut(), &state, &decision, fresh_id);
    response
}

fn is_wanted(wanted: &HeaderValue, answered: &Answered) -> bool {
    forwarding::is_wanted_switch(Some(wanted), answered.response.headers())
}

fn decide(state: &State, parts: &request::Parts, client: IpAddr, fresh_id: u64) -> Decision {
    state.table.decide(&RequestParts {
        method: &parts.method,
        host: host_of(parts),
        target: parts.uri.path_and_query().map_or("*", http::uri::PathAndQuery::as_str),
        headers: &parts.headers,
        client,
        fresh_id,
    })
}

/// Of a request that the guard let pass: the authority of an absolute target is `Host` by now.
fn host_of(parts: &request::Parts) -> &str {
    parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Made only while the access log is on.
fn log_entry(
    connection: &Connection,
    state: &State,
    parts: &request::Parts,
    client: IpAddr,
    decision: &Decision,
) -> Option<Box<Entry>> {
    connection.shared.access_log.as_ref()?;
    let route = Arc::clone(&state.route(decision.route).name);
    let mut entry = Entry::begin(parts, host_of(parts), client, route);
    entry.decided(decision, state.generation);
    Some(entry)
}

/// A decision without an upstream: retired, or a path that cannot be decided.
fn answer_alone(state: &State, decision: &Decision, exchange: Exchange) -> Response<ResponseBody> {
    let refusal = match decision.reason {
        Reason::AmbiguousPath => Own::new(StatusCode::BAD_REQUEST, "ambiguous-path"),
        Reason::InvalidPath => Own::new(StatusCode::BAD_REQUEST, "bad-path"),
        _ => Own::new(StatusCode::GONE, "retired"),
    };
    let route = decision.route.map(|index| state.table.route(index));
    if let Some(Destination::Retired(retire)) = route.map(|route| &route.destination)
        && refusal.status == StatusCode::GONE
    {
        let text = refusal.text();
        exchange.answered_by_banyan(refusal, text.len());
        return answer::gone(retire).map(|()| ResponseBody::own(text));
    }
    own(refusal, Some(exchange))
}

fn own(answer: Own, exchange: Option<Exchange>) -> Response<ResponseBody> {
    let text = answer.text();
    if let Some(exchange) = exchange {
        exchange.answered_by_banyan(answer, text.len());
    }
    answer.head().map(|()| ResponseBody::own(text))
}

/// A request ready to go out.
struct Prepared {
    parts: request::Parts,
    incoming: Incoming,
    decision: Decision,
}

impl Prepared {
    async fn forward(
        self,
        connection: &Arc<Connection>,
        state: &State,
        upstream: &LiveUpstream,
        exchange: &mut Exchange,
    ) -> Result<Answered, ForwardError> {
        let Self { parts, incoming, decision } = self;
        let keep = Rewrite::default();
        let route = decision.route.map(|index| state.table.route(index));
        let (request, progress) = with_body(connection, parts, incoming, state.timeouts(&decision).idle);
        if let Some(progress) = &progress {
            exchange.upload(Arc::clone(progress));
        }
        let outgoing = Outgoing {
            upstream,
            worker: connection.worker,
            timeouts: state.timeouts(&decision),
            host: &route.map_or(&keep, |route: &Route| &route.rewrite).host,
            is_replayable: !route.is_some_and(|route| route.side_effects)
                && forward::is_replayable(request.method(), request.body()),
            progress,
        };
        let mut trail = Trail::default();
        let outcome = outgoing.send(request, &mut trail).await;
        let route = &state.route(decision.route).metrics;
        measure(connection.worker, route, upstream, decision.arm, &trail, outcome.is_ok());
        exchange.trail(&trail, upstream);
        if let Err(error) = &outcome {
            let upstream = &upstream.servers.settings.name;
            tracing::debug!(%error, %upstream, route = %state.route(decision.route).name, "no answer");
        }
        outcome
    }
}

/// The outgoing request; with a body, also how far the upload has come.
fn with_body(
    connection: &Arc<Connection>,
    parts: request::Parts,
    incoming: Incoming,
    idle: Duration,
) -> (Request<RequestBody>, Option<Arc<Progress>>) {
    if incoming.is_end_stream() {
        let mut request = forward::outgoing(parts, RequestBody::Empty);
        watch_interim(connection, None, &mut request);
        return (request, None);
    }
    let progress = Progress::begin();
    let (gate, opener) = expect::is_expected(&parts.headers).then(expect::gate).unzip();
    let body = RequestBody::client(incoming, Arc::clone(&progress), gate, idle);
    let mut request = forward::outgoing(parts, body);
    watch_interim(connection, opener, &mut request);
    (request, Some(progress))
}

/// hyper's server sends `100 Continue` itself, and can send no other interim answer: those are dropped and counted.
fn watch_interim(connection: &Arc<Connection>, opener: Option<Opener>, request: &mut Request<RequestBody>) {
    let connection = Arc::clone(connection);
    hyper::ext::on_informational(request, move |answer| match (&opener, answer.status()) {
        (Some(opener), StatusCode::CONTINUE) => opener.open(),
        (None, StatusCode::CONTINUE) => {}
        _ => connection.shared.metrics.informational_dropped(connection.worker),
    });
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

fn clean(head: &mut http::response::Parts, exchange: &Exchange) {
    forwarding::prepare_answer(head.status, head.version, &mut head.headers, exchange.identity());
    // Ours, whatever the upstream speaks: an HTTP/1.0 server must not cost the client its connection.
    head.version = Version::HTTP_11;
}

/// An ordinary answer: its body streams through.
fn pass_on(
    answered: Answered,
    mut exchange: Exchange,
    state: &State,
    decision: &Decision,
) -> Response<ResponseBody> {
    let Answered { response, lease, place } = answered;
    let (mut head, incoming) = response.into_parts();
    exchange.answered(head.status, place);
    clean(&mut head, &exchange);
    let idle = state.timeouts(decision).idle;
    Response::from_parts(head, ResponseBody::upstream(incoming, lease, exchange, idle))
}

/// A 101: the client asked for it, so both sides are joined; a 101 nobody asked for is nonsense.
fn switch_protocols(
    answered: Answered,
    client: Option<OnUpgrade>,
    mut exchange: Exchange,
    state: &State,
    decision: &Decision,
) -> Response<ResponseBody> {
    let Some(client) = client else {
        exchange.answered(StatusCode::BAD_GATEWAY, answered.place);
        exchange.upstream_failed(Failure::BadAnswer);
        return own(Own::new(StatusCode::BAD_GATEWAY, "bad-answer"), Some(exchange));
    };
    let Answered { mut response, lease, place } = answered;
    let upstream = hyper::upgrade::on(&mut response);
    let (mut head, _) = response.into_parts();
    exchange.answered(head.status, place);
    clean(&mut head, &exchange);
    let idle = state.timeouts(decision).idle;
    lease.is_now_upgraded();
    exchange.connection().upgraded.store(true, Ordering::Release);
    tokio::spawn(async move {
        match upgrade::join(client, upstream, idle).await {
            Ok((_, to_client)) => exchange.upgraded(to_client),
            Err(error) => {
                tracing::debug!(%error, "upgraded stream ended");
                exchange.broken_off("upgraded-stream");
            }
        }
        // The connection counts against the upstream's limit until here.
        drop(lease);
    });
    Response::from_parts(head, ResponseBody::own(Bytes::new()))
}

/// What the route's settings add to every answer.
fn add_route_fields(headers: &mut HeaderMap, state: &State, decision: &Decision, fresh_id: u64) {
    let Some(route) = decision.route.map(|index| state.table.route(index)) else { return };
    if let Some(sunset) = &route.sunset {
        headers.insert(SUNSET, sunset.date.clone());
        if let Some(link) = &sunset.link {
            headers.append(header::LINK, link.clone());
        }
    }
    if decision.issue_cookie
        && let Destination::Split(split) = &route.destination
        && let Some(name) = &split.issue_cookie
        && let Ok(cookie) = HeaderValue::try_from(cookie(name, fresh_id))
    {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// An identity for a client that has none; it never names an arm.
fn cookie(name: &str, id: u64) -> String {
    format!("{name}={id:016x}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax")
}
