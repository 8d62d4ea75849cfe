//! One request from its head to the head of its answer.
//!
//! - `job`: what of it has to be waited for.

mod job;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use banyan_routes::{Decision, Destination, Reason, RequestParts};
use futures_util::FutureExt as _;
use http::header::{self, HeaderValue};
use http::{StatusCode, Version};
use http_body::Body as _;

use crate::access_log::Entry;
use crate::answer::{self, Own};
use crate::body::{Progress, RequestBody, ResponseBody};
use crate::connection::{Connection, Turn};
use crate::exchange::Exchange;
use crate::forward::Outgoing;
use crate::forwarding::{Added, Onward, Seen, Told};
use crate::guard::{Refused, RefusedReason};
use crate::http1::Incoming;
use crate::message::{Answer, RequestHead};
use crate::metrics::DEFAULT_ROUTE;
use crate::outside::Outside;
use crate::shadow::{Capture, Witness};
use crate::state::State;
use crate::upgrade::Wanted;
use crate::websocket::{self, Handshake};
use crate::{expect, forwarding, guard};
use job::Job;

/// Answers one request. A panic on the way is a 500 for this request and nothing else.
///
/// All that needs no waiting happens here and now, outside of the future: what is held while waiting stays small.
pub(crate) fn answer(
    connection: &Arc<Connection>,
    head: Box<RequestHead>,
    body: Incoming,
) -> impl Future<Output = Answer> + Send + use<> {
    let turn = Turn::begin(connection);
    let begun = catch_unwind(AssertUnwindSafe(|| begin(turn, head, body)));
    let begun = begun.unwrap_or_else(|_| Begun::Answered(Box::new(panicked(connection))));
    async move {
        let job = match begun {
            Begun::Answered(answer) => return *answer,
            Begun::Forward(job) => job,
        };
        let connection = Arc::clone(job.exchange.connection());
        let forwarding = AssertUnwindSafe(job.forward()).catch_unwind();
        forwarding.await.unwrap_or_else(|_| panicked(&connection))
    }
}

/// What became of a request before anything had to be waited for.
enum Begun {
    Answered(Box<Answer>),
    Forward(Box<Job>),
}

impl From<Answer> for Begun {
    fn from(answer: Answer) -> Self {
        Self::Answered(Box::new(answer))
    }
}

fn panicked(connection: &Connection) -> Answer {
    connection.shared.metrics.panicked(connection.worker);
    own(Own::new(StatusCode::INTERNAL_SERVER_ERROR, "internal-error"), None)
}

/// Refuses what two parsers could read differently; what passes is decided.
fn begin(turn: Turn, mut head: Box<RequestHead>, incoming: Incoming) -> Begun {
    let started = Instant::now();
    let connection = turn.connection();
    let is_websocket = websocket::is_bootstrap(&mut head);
    let seen = Seen::in_request(&head.fields);
    if let Err(refused) = check(connection, &head, seen) {
        return refuse(connection, &head, &refused, started).into();
    }
    guard::to_origin_form(&mut head);
    decided(turn, head, seen, incoming, is_websocket, started)
}

fn check(connection: &Connection, head: &RequestHead, seen: Seen) -> Result<(), Refused> {
    guard::check_size(head, &connection.shared.settings.limits)?;
    guard::check(head, seen)?;
    if seen.has(Seen::HOP) { connection.shared.identity.check_loop(&head.fields) } else { Ok(()) }
}

/// Refused before routing: no arm answers, and no route counts it.
fn refuse(connection: &Connection, head: &RequestHead, refused: &Refused, started: Instant) -> Answer {
    let answer = Own::new(refused.status(), refused.reason().as_str());
    connection.shared.metrics.refused(connection.worker, refused.reason());
    tracing::debug!(client = %connection.peer.address, %refused, "request refused");
    if let Some(log) = &connection.shared.access_log {
        let mut entry = Entry::begin(head, "", connection.peer.address, DEFAULT_ROUTE.into());
        entry.status = answer.status.as_u16();
        entry.banyan_reason = Some(answer.reason);
        entry.duration = started.elapsed();
        log.write(entry);
    }
    let mut answer = own(answer, None);
    if head.version < Version::HTTP_2 {
        // What follows on this connection may be meant as a part of what was refused (RFC 9112 11.2).
        answer.head.fields.insert(&header::CONNECTION, &HeaderValue::from_static("close"));
    }
    answer
}

/// `is_websocket`: of a client with HTTP/2.
fn decided(
    turn: Turn,
    mut head: Box<RequestHead>,
    seen: Seen,
    incoming: Incoming,
    is_websocket: bool,
    started: Instant,
) -> Begun {
    let connection = turn.connection();
    if head.version == Version::HTTP_10 {
        connection.stream.ends_with_close();
    }
    let state = connection.shared.workers.in_force(connection.worker);
    let fresh_id = fastrand::u64(..);
    let client = forwarding::client_address(&head.fields, &connection.peer, state.table.trusted_proxies());
    let decision = decide(&state, &head, client, fresh_id);
    let mut entry = log_entry(connection, &state, &head, client, &decision);
    let onward = Onward {
        identity: &connection.shared.identity,
        peer: &connection.peer,
        trusted_proxies: state.table.trusted_proxies(),
        scheme: connection.scheme,
        version: head.version,
        upgrade: if is_websocket {
            Some(websocket::protocols())
        } else if seen.has(Seen::CONNECTION) {
            forwarding::wanted_upgrade(head.version, &head.fields)
        } else {
            None
        },
    };
    let Told { trace_id, said_by, mut added } = onward.prepare(&mut head.fields, seen);
    let handshake = is_websocket.then(|| Handshake::begin(&mut head.fields));
    let mut outside = Outside::new(said_by);
    if let Some(entry) = &mut entry {
        entry.trace_id = Some(trace_id);
    }
    let upgrade = onward.upgrade;
    let mut exchange = Exchange::begin(turn, Arc::clone(&state), decision, entry, started);
    if decision.upstream.is_none() {
        return answer_alone(&state, &decision, exchange).into();
    }
    if state.max_body(&decision).is_some_and(|most| incoming.size_hint().lower() > most) {
        return too_long(exchange).into();
    }
    if let Some(shadow) = &state.route(decision.route).shadow {
        // A copy goes out with the same fields.
        if let Some(added) = added.take() {
            added.put_into(&mut head.fields);
        }
        let worker = exchange.connection().worker;
        exchange.watch(Witness::begin(shadow, worker, &decision, &head, &incoming, upgrade.is_some()));
    }
    let public_uri = state.table.prefix_rewrite(&decision).map(|_| head.uri.clone());
    if let Err(refusal) = outside.rewrite_target(&state, &decision, &mut head.uri) {
        return own(refusal, Some(exchange)).into();
    }
    let wanted = upgrade.and_then(|protocols| Wanted::of(protocols, handshake, &mut head.extensions));
    let capture = exchange.witness().and_then(|witness| witness.capture(&state));
    let outgoing = outgoing(exchange.connection(), head, added, incoming, &state, &decision, capture);
    if let Some(progress) = &outgoing.progress {
        exchange.upload(Arc::clone(progress));
    }
    Begun::Forward(Box::new(Job {
        state,
        decision,
        exchange,
        outgoing,
        outside,
        wanted,
        fresh_id,
        public_uri,
        fell_back: false,
    }))
}

fn decide(state: &State, head: &RequestHead, client: IpAddr, fresh_id: u64) -> Decision {
    state.table.decide(&RequestParts {
        method: &head.method,
        host: host_of(head),
        target: head.uri.path_and_query().map_or("*", http::uri::PathAndQuery::as_str),
        headers: &head.fields,
        client,
        fresh_id,
    })
}

/// Of a request that the guard let pass: the authority of an absolute target is `Host` by now.
fn host_of(head: &RequestHead) -> &str {
    head.fields.get(&header::HOST).and_then(|host| str::from_utf8(host).ok()).unwrap_or_default()
}

/// Made only while the access log is on.
fn log_entry(
    connection: &Connection,
    state: &State,
    head: &RequestHead,
    client: IpAddr,
    decision: &Decision,
) -> Option<Box<Entry>> {
    connection.shared.access_log.as_ref()?;
    let route = Arc::clone(&state.route(decision.route).name);
    let mut entry = Entry::begin(head, host_of(head), client, route);
    entry.decided(decision, state.generation);
    Some(entry)
}

/// A decision without an upstream: retired, or a path that cannot be decided.
fn answer_alone(state: &State, decision: &Decision, exchange: Exchange) -> Answer {
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
        return Answer { head: answer::gone(retire), body: ResponseBody::own(text) };
    }
    own(refusal, Some(exchange))
}

/// Known from the length alone: nobody is asked, and no byte of it for.
fn too_long(exchange: Exchange) -> Answer {
    let connection = exchange.connection();
    connection.shared.metrics.refused(connection.worker, RefusedReason::BodyTooLong);
    own(Own::new(StatusCode::PAYLOAD_TOO_LARGE, RefusedReason::BodyTooLong.as_str()), Some(exchange))
}

fn own(answer: Own, exchange: Option<Exchange>) -> Answer {
    let text = answer.text();
    if let Some(exchange) = exchange {
        exchange.answered_by_banyan(answer, text.len());
    }
    Answer { head: answer.head(), body: ResponseBody::own(text) }
}

/// The outgoing request, with its body if it has one.
fn outgoing(
    connection: &Arc<Connection>,
    mut head: Box<RequestHead>,
    added: Option<Added>,
    incoming: Incoming,
    state: &State,
    decision: &Decision,
    capture: Option<Capture>,
) -> Outgoing {
    let route = decision.route.map(|index| state.table.route(index));
    let has_side_effects = route.is_some_and(|route| route.side_effects);
    if incoming.is_end_stream() {
        return Outgoing::new(head, RequestBody::Empty, added, None, None, has_side_effects);
    }
    if head.version == Version::HTTP_2 {
        // hyper's HTTP/2 server sends no 100: a client that waited for one would wait in vain.
        head.fields.remove(&header::EXPECT);
    }
    let progress = Progress::begin(capture);
    let (gate, opener) = expect::is_expected(&head.fields).then(expect::gate).unzip();
    let turn = Turn::begin(connection);
    let idle = state.timeouts(decision).idle;
    let most = state.max_body(decision);
    let body = RequestBody::client(turn, incoming, Arc::clone(&progress), gate, idle, most);
    Outgoing::new(head, body, added, Some(progress), opener, has_side_effects)
}
