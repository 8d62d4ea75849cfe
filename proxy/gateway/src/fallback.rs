//! When a candidate cannot answer and legacy may.
//!
//! A safe request falls back on each cause that its route lists; an unsafe one only when nothing of it was sent and both
//! arms write one store. Legacy never falls forward. What was sent is sent again only without a body: bodies stream
//! through, and none is kept.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_routes::{Arm, Decision, Destination, FallbackCause, Route, RouteTable, StoreMode};
use http_body::Body as _;
use tokio::time::timeout;

use crate::connect::ConnectError;
use crate::forward::{Answered, ForwardError, Outgoing};
use crate::http1::Incoming;
use crate::state::LiveUpstream;

/// Most of an answer that nobody gets which is read so that its connection may serve again.
const DRAIN_BYTES: usize = 64 * 1024;
/// Longest time spent on it.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Why this request goes to legacy now; `None` when the candidate's outcome stands.
pub(crate) fn cause(
    table: &RouteTable,
    decision: &Decision,
    outgoing: &Outgoing,
    outcome: &Result<Answered, ForwardError>,
) -> Option<FallbackCause> {
    let route = decision.route.filter(|_| decision.arm == Arm::Candidate).map(|route| table.route(route))?;
    let Destination::Split(split) = &route.destination else { return None };
    if split.fallback.on().is_empty() || split.candidate == route.legacy {
        return None;
    }
    let cause = named(outcome)?;
    let may = outgoing.is_replayable()
        || (outgoing.is_unsent() && (outgoing.is_safe() || shares_store(table, route)));
    (may && split.fallback.lists(cause)).then_some(cause)
}

fn named(outcome: &Result<Answered, ForwardError>) -> Option<FallbackCause> {
    Some(match outcome {
        Ok(answered) => FallbackCause::Status(answered.head.status),
        Err(
            ForwardError::Busy
            | ForwardError::Connect(
                ConnectError::Resolve(_)
                | ConnectError::Io(_)
                | ConnectError::Tls(_)
                | ConnectError::Timeout
                | ConnectError::Exhausted,
            ),
        ) => FallbackCause::ConnectError,
        Err(ForwardError::Timeout) => FallbackCause::Timeout,
        Err(ForwardError::Upstream(_) | ForwardError::NoHead) => FallbackCause::Reset,
        Err(ForwardError::NoTarget) => FallbackCause::NoTarget,
        Err(ForwardError::BreakerOpen(_)) => FallbackCause::BreakerOpen,
        Err(ForwardError::UploadIdle | ForwardError::UploadBroken | ForwardError::UploadTooLong) => {
            return None;
        }
    })
}

fn shares_store(table: &RouteTable, route: &Route) -> bool {
    route.store.is_some_and(|store| table.stores()[store.0 as usize].mode == StoreMode::Shared)
}

/// The decision as it is now that legacy takes over.
pub(crate) fn to_legacy(table: &RouteTable, decision: &Decision) -> Decision {
    let upstream = decision.route.map(|route| table.route(route).legacy);
    Decision { arm: Arm::Legacy, upstream, ..*decision }
}

/// Throws an answer away. A short one is read, so that its connection may serve another request; a long one costs it.
pub(crate) fn discard(answered: Answered, upstream: &Arc<LiveUpstream>, worker: usize) {
    let Answered { mut body, lease, place, .. } = answered;
    upstream.left(place, worker);
    if body.size_hint().lower() > DRAIN_BYTES as u64 {
        return;
    }
    let pool = Arc::clone(&upstream.servers.targets[place].pool);
    tokio::spawn(async move {
        if timeout(DRAIN_TIME, drain(&mut body)).await == Ok(true) {
            pool.give_back(lease, Instant::now());
        }
    });
}

/// True when the body came to its end within bounds.
pub(crate) async fn drain(body: &mut Incoming) -> bool {
    let mut read = 0;
    while read <= DRAIN_BYTES {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => return true,
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, bytes::Bytes::len),
            Some(Err(_)) => return false,
        }
    }
    false
}
