//! The board: every route in one line, and what they come to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Reload;

/// `GET /api/v1/board`. Made once per sample and configuration, whoever asks; carries an `ETag`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Format of this answer.
    pub version: u32,
    /// What the rows come to.
    pub totals: BoardTotals,
    /// In file order, then `default`.
    pub rows: Vec<BoardRow>,
}

/// What the rows of the board come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardTotals {
    /// Routes in the configuration, without `default`.
    pub routes: u64,
    /// Of these, off the monolith: extracted or retired.
    pub routes_off: u64,
    /// Requests that legacy did not answer, among all of the last `requests_off_seconds`, 0..=1; none without requests.
    pub requests_off_ratio: Option<f64>,
    /// What time `requests_off_ratio` is about.
    pub requests_off_seconds: u64,
    /// Of all routes and `default`; none without a sample.
    pub requests_per_second: Option<f64>,
    /// What time the numbers of the rows are about, at most: they begin anew where a route was changed.
    pub window_seconds: u64,
    /// The newest sample, RFC 3339; none before the first.
    pub as_of: Option<String>,
    /// Its age, when it is older than it should be; none while it is fresh.
    pub stale_seconds: Option<u64>,
    /// Generation in force.
    pub generation: u64,
    /// Hash of the table in force.
    pub hash: String,
    /// When it took effect, RFC 3339.
    pub since: String,
    /// A rollback is held in memory.
    pub floor: bool,
    /// The last attempt to load.
    pub last_reload: Reload,
    /// `starting`, `ready` or `draining`.
    pub phase: String,
    /// Why history is not being written, if so.
    pub history_problem: Option<String>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoardRow {
    /// Its name.
    pub name: String,
    /// `legacy`, `shadow`, `canary`, `extracted`, `retired`.
    pub stage: String,
    /// Its cohort.
    pub cohort: Option<String>,
    /// Name of the legacy upstream.
    pub legacy_upstream: String,
    /// Name of the candidate's upstream.
    pub candidate_upstream: Option<String>,
    /// Share in force, percent as written, for example `12.5`; none without a candidate.
    pub percent: Option<String>,
    /// What the files say, where a rollback in memory holds another share.
    pub percent_in_files: Option<String>,
    /// A rollback in memory holds its share.
    pub floor: bool,
    /// Decisions for the candidate among those that the share made, 0..=1; none without data.
    pub observed_share: Option<f64>,
    /// Decisions that `observed_share` is made of.
    pub observed_requests: u64,
    /// A pin sends clients to the candidate whatever the share.
    pub pins_candidate: bool,
    /// Answers of all arms; none without a sample since the last change.
    pub requests_per_second: Option<f64>,
    /// What legacy answered.
    pub legacy: BoardArm,
    /// What the candidate answered.
    pub candidate: BoardArm,
    /// What Banyan answered itself: 502 to 504, and 410 of a retired route.
    pub banyan: BoardArm,
    /// Mismatches among what was compared, as `banyan mismatches` tells; none if nothing was.
    pub mismatch: Option<BoardMismatch>,
    /// What is the matter with its upstreams; empty when nothing is known to be.
    pub trouble: Vec<Trouble>,
    /// The newest swap that touched it; none if the history knows of none.
    pub last_change: Option<Mark>,
    /// File and line, `routes.toml:12`; none for `default`.
    pub origin: Option<String>,
    /// Words for people.
    pub meta: BTreeMap<String, String>,
}

/// What one arm of a route answered lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BoardArm {
    /// Answers; none without a sample.
    pub requests_per_second: Option<f64>,
    /// Answers that the rest is made of.
    pub requests: u64,
    /// Failures among its requests (`errors` of `GET /api/v1/routes`), 0..=1; none without requests.
    pub error_ratio: Option<f64>,
    /// Median of the duration; none without requests.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
}

/// Mismatches, and between what their ratio lies at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoardMismatch {
    /// As counted, 0..=1.
    pub ratio: f64,
    /// Lower bound (Wilson).
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Comparisons that said something.
    pub compared: u64,
}

/// Something is the matter with an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// `legacy` or `candidate`: which arm of the route it serves.
    pub arm: String,
    /// Upstream.
    pub upstream: String,
    /// `breaker-open`, `breaker-half-open`, `target-unhealthy`, `target-ejected`.
    pub kind: String,
    /// `host:port` of the target; none for a breaker.
    pub target: Option<String>,
}

/// A swap that touched a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When, RFC 3339.
    pub at: String,
    /// Generation it made.
    pub generation: u64,
    /// Who.
    pub who: String,
    /// Why, when announced.
    pub why: Option<String>,
    /// `orders 10 % -> 25 % (15 % of clients move to the candidate)`
    pub line: String,
}
