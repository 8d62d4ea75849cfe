//! The board, and routes over time.

use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;

use super::Sources;
use super::answers::{Answer, Refused, bad_request};
use super::mismatches::off_thread;
use crate::api;
use crate::clock;
use crate::explain::DEFAULT_ROUTE;
use crate::marks::marks;
use crate::timeline::SAMPLE_EVERY;

/// Asked for when nothing else is said.
const SPAN: Duration = Duration::from_hours(1);
const POINTS: usize = 360;

/// What the proxy remembers itself.
const IN_MEMORY: Duration = Duration::from_hours(24);

/// The begin of a burn-down that nobody asked for otherwise.
const BURN_DOWN: Duration = Duration::from_hours(24 * 365);

pub(super) async fn board(State(sources): State<Sources>, headers: HeaderMap) -> Result<Response, Refused> {
    let made = off_thread(move || sources.board.board()).await?;
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|tag| {
        // Weak comparison, as RFC 9110, 13.1.2 wants it.
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag) == made.etag
    });
    // A browser keeps it, and asks each time whether it still holds.
    let fields = [(ETAG, made.etag), (CACHE_CONTROL, "no-cache".to_owned())];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    Ok((fields, [(CONTENT_TYPE, "application/json")], made.json).into_response())
}

/// `?route=orders&from=2026-11-26T04:00:00Z&to=1795000000&points=300`; moments in RFC 3339 or seconds since 1970.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesQuery {
    route: String,
    from: Option<String>,
    to: Option<String>,
    points: Option<usize>,
}

pub(super) async fn series(
    State(sources): State<Sources>,
    query: Result<Query<SeriesQuery>, QueryRejection>,
) -> Answer<api::Series> {
    let Query(query) = query.map_err(|problem| bad_request("query", problem.body_text()))?;
    let now = SystemTime::now();
    let to = moment(query.to.as_deref(), now)?;
    let from = moment(query.from.as_deref(), to.checked_sub(SPAN).unwrap_or(to))?;
    if from >= to {
        return Err(bad_request("query", "`from` must be before `to`".to_owned()));
    }
    let points = query.points.unwrap_or(POINTS);
    off_thread(move || {
        let missing = || format!("no route named `{}`", query.route);
        let series = sources.series(&query.route, (from, to), points);
        series.map(Json).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "no-such-route", missing()))
    })
    .await?
}

/// `?from=..&points=..`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgressQuery {
    from: Option<String>,
    points: Option<usize>,
}

pub(super) async fn progress(
    State(sources): State<Sources>,
    query: Result<Query<ProgressQuery>, QueryRejection>,
) -> Answer<api::Progress> {
    let Query(query) = query.map_err(|problem| bad_request("query", problem.body_text()))?;
    let from = moment(query.from.as_deref(), SystemTime::now() - BURN_DOWN)?;
    Ok(Json(sources.timeline.progress(from, query.points.unwrap_or(POINTS))))
}

impl Sources {
    /// A route over time: from memory, or from Prometheus where memory does not reach back. None when there is no such
    /// route and nothing is remembered of one. Blocks.
    pub(crate) fn series(
        &self,
        route: &str,
        (from, to): (SystemTime, SystemTime),
        points_max: usize,
    ) -> Option<api::Series> {
        let reaches_back = from + IN_MEMORY + SAMPLE_EVERY >= SystemTime::now();
        let is_there =
            route == DEFAULT_ROUTE || self.gateway.table().routes().iter().any(|known| known.name == route);
        let longer = self.ranges.as_ref().filter(|_| !reaches_back);
        let series = match longer {
            Some(ranges) if is_there => Some(ranges.series(route, (from, to), points_max)),
            _ => self.timeline.series(route, from, to, points_max),
        };
        let mut series =
            series.or_else(|| is_there.then(|| self.timeline.without_data(route, from, to, points_max)))?;
        if !reaches_back && longer.is_none() {
            let problem = "the proxy remembers a day: for more, start it with `--prometheus URL`";
            series.problem.get_or_insert_with(|| problem.to_owned());
        }
        series.marks = marks(self.view.history(), route, &clock::told(from), &clock::told(to));
        Some(series)
    }
}

fn moment(text: Option<&str>, usual: SystemTime) -> Result<SystemTime, Refused> {
    let Some(text) = text else { return Ok(usual) };
    let seconds = || text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let found: Option<Timestamp> = seconds().or_else(|| text.parse().ok());
    found.map(SystemTime::from).filter(|at| *at >= SystemTime::UNIX_EPOCH).ok_or_else(|| {
        bad_request("query", format!("not a moment: `{text}`; expected RFC 3339, or seconds since 1970"))
    })
}
