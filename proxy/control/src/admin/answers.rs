//! What each endpoint answers.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use banyan_routes::{Route, RouteTable};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Phase, Sources};
use crate::api::{self, API_VERSION};
use crate::counts::Counted;
use crate::explain::{DEFAULT_ROUTE, pins_candidate, place, split};
use crate::metrics::CONTENT_TYPE as METRICS_CONTENT_TYPE;
use crate::reload::Busy;
use crate::upgrade::UpgradeRefused;

/// Longest `who` and `why`.
const WORDS_BYTES_MAX: usize = 1024;

/// A refusal with its status.
pub(super) struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = api::Refusal { version: API_VERSION, code: self.code.to_owned(), message: self.message };
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            // RFC 9110, 11.6.1: a 401 names the scheme.
            response.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) type Answer<T> = Result<Json<T>, Refused>;
pub(super) type Body = Result<Bytes, BytesRejection>;

pub(super) async fn metrics(State(sources): State<Sources>) -> Result<Response, Refused> {
    let text = sources.scrape.text().map_err(|error| {
        tracing::error!("cannot write the metrics: {error}");
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", error.to_string())
    })?;
    Ok(([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], text).into_response())
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(sources): State<Sources>) -> (StatusCode, &'static str) {
    match *sources.phase.borrow() {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Phase::Ready => (StatusCode::OK, "ready\n"),
        Phase::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    }
}

pub(super) async fn config(State(sources): State<Sources>) -> Json<api::Config> {
    Json(sources.view.config())
}

pub(super) async fn routes(State(sources): State<Sources>) -> Json<api::Routes> {
    let (table, counts) = (sources.gateway.table(), &sources.counts);
    let named = table.routes().iter().map(|route| told(&table, route, counts.of(&route.name)));
    let targets = sources.gateway.targets().into_iter().map(|found| api::Target {
        upstream: found.upstream,
        target: found.target,
        healthy: found.healthy,
        ejected: found.ejected,
        inflight: found.inflight,
    });
    let breakers = sources.gateway.breakers().into_iter().map(|found| api::Breaker {
        upstream: found.upstream,
        state: found.state.as_str().to_owned(),
        probes_in_seconds: found.probes_in.map(|left| left.as_secs_f64()),
        requests: found.requests,
        errors: found.errors,
    });
    Json(api::Routes {
        version: API_VERSION,
        generation: sources.view.config().generation,
        routes: named.chain([default_route(&table, counts.of(DEFAULT_ROUTE))]).collect(),
        targets: targets.collect(),
        breakers: breakers.collect(),
    })
}

pub(super) async fn explain(State(sources): State<Sources>, body: Body) -> Answer<api::Explained> {
    let question: api::ExplainRequest = parsed(body)?;
    let explained = crate::explain::explain(&sources.gateway.table(), &question);
    explained.map(Json).map_err(|problem| bad_request("question", problem.to_string()))
}

pub(super) async fn reload(State(sources): State<Sources>, body: Body) -> Answer<api::Reload> {
    // An empty body is as good as `{}`.
    if !body.as_ref().is_ok_and(Bytes::is_empty) {
        let api::ReloadRequest {} = parsed(body)?;
    }
    answered(sources.reload.reload()).await
}

pub(super) async fn rollback(State(sources): State<Sources>, body: Body) -> Answer<api::RolledBack> {
    let mut order: api::Rollback = parsed(body)?;
    (order.who, order.why) = (printable(&order.who), order.why.as_deref().map(printable));
    let Json(rolled) = answered(sources.reload.rollback(order)).await?;
    rolled
        .map(Json)
        .map_err(|unknown| Refused::new(StatusCode::NOT_FOUND, "no-such-route", unknown.to_string()))
}

pub(super) async fn end_rollback(State(sources): State<Sources>, body: Body) -> Answer<api::RolledBack> {
    let mut order: api::EndRollback = parsed(body)?;
    (order.who, order.why) = (printable(&order.who), order.why.as_deref().map(printable));
    answered(sources.reload.end_rollback(order)).await
}

/// How long the run may take to look up; it waits for nothing else.
const ORDER_WITHIN: Duration = Duration::from_secs(3);

pub(super) async fn upgrade(
    State(sources): State<Sources>,
    body: Body,
) -> Result<(StatusCode, Json<api::UpgradeBegun>), Refused> {
    let api::UpgradeRequest {} = parsed(body)?;
    let (answer, told) = oneshot::channel();
    let busy = || {
        let message = "the proxy is starting, ending or busy, try again".to_owned();
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    };
    sources.upgrades.try_send(answer).map_err(|_| busy())?;
    let begun = timeout(ORDER_WITHIN, told).await.map_err(|_| busy())?.map_err(|_| busy())?;
    begun.map_err(|refused| {
        let code = match refused {
            UpgradeRefused::Floor => "floor",
            UpgradeRefused::UnderWay => "under-way",
            UpgradeRefused::Stopping | UpgradeRefused::System(_) => "upgrade",
        };
        Refused::new(StatusCode::CONFLICT, code, refused.to_string())
    })?;
    let begun = api::UpgradeBegun { version: API_VERSION, process: std::process::id() };
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

pub(super) async fn announce(State(sources): State<Sources>, body: Body) -> Result<StatusCode, Refused> {
    let mut announced: api::Announcement = parsed(body)?;
    (announced.who, announced.why) = (printable(&announced.who), announced.why.as_deref().map(printable));
    sources.view.announce(announced);
    Ok(StatusCode::NO_CONTENT)
}

/// `?limit=20`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    limit: Option<usize>,
}

pub(super) async fn history(
    State(sources): State<Sources>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Answer<api::History> {
    let Query(query) = query.map_err(|problem| bad_request("query", problem.body_text()))?;
    let entries = sources.view.history().newest(query.limit.unwrap_or(usize::MAX));
    Ok(Json(api::History { version: API_VERSION, entries }))
}

pub(super) async fn history_set(
    State(sources): State<Sources>,
    Path(hash): Path<String>,
) -> Answer<api::KeptSet> {
    let history = sources.view.history().clone();
    let missing = format!("no file set with hash `{hash}` is kept");
    let read = tokio::task::spawn_blocking(move || history.set(&hash)).await;
    match read {
        Ok(Ok(Some(set))) => Ok(Json(set)),
        Ok(Ok(None)) => Err(Refused::new(StatusCode::NOT_FOUND, "no-such-set", missing)),
        Ok(Err(error)) => Err(failed(format!("cannot read the file set: {error}"))),
        Err(error) => Err(failed(error.to_string())),
    }
}

pub(super) async fn not_found() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not-found", "no such endpoint".to_owned())
}

pub(super) async fn method_not_allowed() -> Refused {
    let message = "this endpoint does not answer this method".to_owned();
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
}

/// What goes into the history and onto terminals: without control characters, and not without end.
pub(super) fn printable(text: &str) -> String {
    let mut text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    text.truncate(text.floor_char_boundary(WORDS_BYTES_MAX));
    text
}

async fn answered<T>(asked: Result<oneshot::Receiver<T>, Busy>) -> Answer<T> {
    let busy = || {
        let message = "the reload thread is busy or has ended, try again".to_owned();
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
    };
    asked.map_err(|Busy| busy())?.await.map(Json).map_err(|_| busy())
}

pub(super) fn parsed<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let bytes = body.map_err(|problem| Refused::new(problem.status(), "body", problem.body_text()))?;
    serde_json::from_slice(&bytes).map_err(|problem| bad_request("json", problem.to_string()))
}

pub(super) fn bad_request(code: &'static str, message: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, code, message)
}

pub(super) fn failed(message: String) -> Refused {
    tracing::error!("{message}");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

fn told(table: &RouteTable, route: &Route, counted: Counted) -> api::Route {
    let split = split(route);
    let cohort = split.and_then(|split| split.cohort);
    api::Route {
        name: route.name.clone(),
        stage: route.stage().as_str().to_owned(),
        percent: split.map(|split| split.share.to_string()),
        cohort: cohort.map(|index| table.cohorts()[index.0 as usize].name.clone()),
        candidate: split.map(|split| table.upstream(split.candidate).name.clone()),
        legacy: table.upstream(route.legacy).name.clone(),
        counted_since: counted.since,
        observed_share: counted.observed_share,
        pins_candidate: pins_candidate(route),
        arms: counted.arms,
        origin: Some(place(&route.origin)),
        meta: route.meta.clone(),
    }
}

/// What no route has taken.
fn default_route(table: &RouteTable, counted: Counted) -> api::Route {
    api::Route {
        name: DEFAULT_ROUTE.to_owned(),
        stage: banyan_routes::Stage::Legacy.as_str().to_owned(),
        percent: None,
        cohort: None,
        candidate: None,
        legacy: table.upstream(table.legacy()).name.clone(),
        counted_since: counted.since,
        observed_share: counted.observed_share,
        pins_candidate: false,
        arms: counted.arms,
        origin: None,
        meta: BTreeMap::new(),
    }
}
