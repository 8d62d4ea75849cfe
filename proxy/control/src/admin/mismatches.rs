//! What the endpoints of comparisons answer. All of them may wait for a disk, so none does so on the admin thread.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use banyan_compare::{
    Counts, EvidenceSnapshot, Interval, LatencySummary, Learned, Learning, NoiseVerdict, Percentile, Seen,
    suggest,
};
use banyan_gateway::RouteComparisons;
use banyan_routes::{Destination, Route, RouteTable};
use serde::Deserialize;

use super::Sources;
use super::answers::{Answer, Body, Refused, bad_request, failed, parsed};
use crate::api::{self, API_VERSION};
use crate::clock;
use crate::evidence::{EvidenceHandle, RECORDED_MAX};

pub(super) async fn all(State(sources): State<Sources>) -> Answer<api::Mismatches> {
    let table = sources.gateway.table();
    off_thread(move || {
        let mut known = sources.evidence.known();
        for route in table.routes().iter().filter(|route| shadows(route)) {
            known.entry(route.name.clone()).or_default();
        }
        let routes = known.into_iter().map(|(name, known)| in_short(&table, name, &known)).collect();
        Json(api::Mismatches { version: API_VERSION, routes, kept: sources.evidence.kept() })
    })
    .await
}

pub(super) async fn of_route(
    State(sources): State<Sources>,
    Path(route): Path<String>,
) -> Answer<api::RouteEvidence> {
    let table = sources.gateway.table();
    off_thread(move || {
        let known = sources.evidence.known().remove(&route);
        known_route(&table, &route, known.is_some())?;
        Ok(Json(in_full(&table, route, &known.unwrap_or_default(), &sources.evidence)))
    })
    .await?
}

pub(super) async fn sample(
    State(sources): State<Sources>,
    place: Result<Path<(String, u64)>, PathRejection>,
) -> Answer<api::Sample> {
    let Path((route, id)) = place.map_err(|problem| bad_request("path", problem.body_text()))?;
    off_thread(move || {
        let missing = || format!("route `{route}` has no sample {id}; it may have made room for a newer one");
        let found = sources.evidence.sample(&route, id);
        found.map(Json).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "no-such-sample", missing()))
    })
    .await?
}

pub(super) async fn requests(
    State(sources): State<Sources>,
    Path(route): Path<String>,
) -> Answer<api::StoredRequests> {
    off_thread(move || {
        let requests = sources.evidence.requests(&route);
        let has_any = !requests.is_empty() || sources.evidence.known().contains_key(&route);
        known_route(&sources.gateway.table(), &route, has_any)?;
        Ok(Json(api::StoredRequests { version: API_VERSION, route, requests }))
    })
    .await?
}

pub(super) async fn reset(
    State(sources): State<Sources>,
    Path(route): Path<String>,
    body: Body,
) -> Answer<api::Reset> {
    let api::ResetRequest {} = parsed(body)?;
    off_thread(move || {
        known_route(&sources.gateway.table(), &route, sources.evidence.known().contains_key(&route))?;
        sources.evidence.reset(&route).map(Json).map_err(|not_reset| failed(not_reset.to_string()))
    })
    .await?
}

/// `?route=orders&after=17&count=100`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordQuery {
    route: Option<String>,
    after: Option<u64>,
    count: Option<usize>,
}

pub(super) async fn record(
    State(sources): State<Sources>,
    query: Result<Query<RecordQuery>, QueryRejection>,
) -> Answer<api::Recorded> {
    let Query(query) = query.map_err(|problem| bad_request("query", problem.body_text()))?;
    if let Some(route) = &query.route {
        known_route(&sources.gateway.table(), route, false)?;
    }
    let count = query.count.unwrap_or(RECORDED_MAX);
    Ok(Json(sources.evidence.recorded(query.route.as_deref(), query.after, count)))
}

pub(super) async fn off_thread<T: Send + 'static>(
    answer: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(answer).await.map_err(|error| failed(error.to_string()))
}

fn known_route(table: &RouteTable, name: &str, has_evidence: bool) -> Result<(), Refused> {
    if has_evidence || table.routes().iter().any(|route| route.name == name) {
        return Ok(());
    }
    let message = format!("no route has the name `{name}`");
    Err(Refused::new(StatusCode::NOT_FOUND, "no-such-route", message))
}

fn shadows(route: &Route) -> bool {
    matches!(&route.destination, Destination::Split(split) if split.shadow.is_some())
}

fn shadows_by_name(table: &RouteTable, name: &str) -> bool {
    table.routes().iter().any(|route| route.name == name && shadows(route))
}

fn in_short(table: &RouteTable, name: String, known: &RouteComparisons) -> api::RouteMismatches {
    let snapshot = known.evidence.snapshot();
    api::RouteMismatches {
        shadows: shadows_by_name(table, &name),
        route: name,
        since: snapshot.since_ms.map(clock::told_ms),
        counts: counts(snapshot.counts),
        mismatch_ratio: snapshot.mismatch_ratio.map(ratio),
    }
}

fn in_full(
    table: &RouteTable,
    name: String,
    known: &RouteComparisons,
    evidence: &EvidenceHandle,
) -> api::RouteEvidence {
    let snapshot = known.evidence.snapshot();
    let incomparable = snapshot.incomparable.iter();
    let pairs = snapshot.status_pairs.iter();
    api::RouteEvidence {
        version: API_VERSION,
        shadows: shadows_by_name(table, &name),
        since: snapshot.since_ms.map(clock::told_ms),
        counts: counts(snapshot.counts),
        mismatch_ratio: snapshot.mismatch_ratio.map(ratio),
        incomparable: incomparable.map(|(reason, n)| (reason.as_str().to_owned(), *n)).collect(),
        signatures: signatures(&snapshot, evidence, &name),
        learned: learned(&known.learning),
        status_pairs: pairs
            .map(|((legacy, candidate), count)| api::StatusPair {
                legacy: *legacy,
                candidate: *candidate,
                count: *count,
            })
            .collect(),
        latency: snapshot.latency.map(latencies),
        suggestion: suggest(&known.learning),
        overflow: api::Overflow {
            signatures: snapshot.overflow.signatures,
            status_pairs: snapshot.overflow.status_pairs,
            learned: known.learning.overflow(),
        },
        kept: evidence.kept(),
        route: name,
    }
}

/// One route, as [`of_route`] tells it. May wait for a disk.
pub(crate) fn evidence_of(sources: &Sources, route: &str) -> api::RouteEvidence {
    let known = sources.evidence.known().remove(route).unwrap_or_default();
    in_full(&sources.gateway.table(), route.to_owned(), &known, &sources.evidence)
}

fn counts(counts: Counts) -> api::VerdictCounts {
    let Counts { matched, ignored, noise, mismatch, transient, incomparable } = counts;
    let compared = counts.compared();
    api::VerdictCounts { compared, matched, ignored, noise, mismatch, transient, incomparable }
}

fn ratio(interval: Interval) -> api::Ratio {
    let Interval { ratio, lower, upper } = interval;
    api::Ratio { ratio, lower, upper }
}

fn signatures(
    snapshot: &EvidenceSnapshot,
    evidence: &EvidenceHandle,
    route: &str,
) -> Vec<api::SeenSignature> {
    let mut ids = evidence.ids(route);
    let compared = snapshot.counts.compared();
    let told = |(signature, seen): &(banyan_compare::Signature, Seen)| api::SeenSignature {
        signature: signature.as_str().to_owned(),
        mismatches: seen.mismatches,
        noise: seen.noise,
        share: banyan_compare::wilson(seen.mismatches, compared).map(|interval| interval.ratio),
        first_seen: clock::told_ms(seen.first_ms),
        last_seen: clock::told_ms(seen.last_ms),
        samples: ids.remove(signature.as_str()).unwrap_or_default(),
    };
    snapshot.signatures.iter().map(told).collect()
}

fn learned(learning: &Learning) -> api::LearnedNoise {
    let told = |one: Learned| api::LearnedSignature {
        signature: one.signature.as_str().to_owned(),
        with_itself: one.disagreed.with_itself,
        with_candidate: one.disagreed.with_candidate,
        verdict: match one.verdict {
            NoiseVerdict::Noise => "noise",
            NoiseVerdict::NotNoise => "not-noise",
            NoiseVerdict::Unlearned => "unlearned",
        }
        .to_owned(),
    };
    api::LearnedNoise {
        asked_twice: learning.requests_asked_twice(),
        compared: learning.requests_compared(),
        signatures: learning.learned().map(told).collect(),
    }
}

fn latencies(summary: LatencySummary) -> api::Latencies {
    let pair = |percentile: Percentile| api::LatencyPair {
        legacy_seconds: percentile.legacy.as_secs_f64(),
        candidate_seconds: percentile.candidate.as_secs_f64(),
        ratio: percentile.ratio,
    };
    let LatencySummary { count, p50, p95, p99 } = summary;
    api::Latencies { count, p50: pair(p50), p95: pair(p95), p99: pair(p99) }
}
