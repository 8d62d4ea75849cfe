//! Routes over time: what charts are made of. Columns, one value per point: `null` is "no data", never zero.

use serde::{Deserialize, Serialize};

use super::Mark;

/// `GET /api/v1/series?route=orders&from=..&to=..&points=..`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Format of this answer.
    pub version: u32,
    /// Its route, or `default`.
    pub route: String,
    /// Begin, seconds since 1970.
    pub from: u64,
    /// End, seconds since 1970.
    pub to: u64,
    /// What each point is about: this many seconds up to its time.
    pub step_seconds: u64,
    /// `memory`: the proxy's own samples, since its start and for a day at most; `prometheus`.
    pub source: String,
    /// The oldest sample in memory, seconds since 1970.
    pub memory_since: Option<u64>,
    /// Why there is no data, or less than there should be; a chart must say it.
    pub problem: Option<String>,
    /// Ends of the steps, seconds since 1970, rising. Every column below is as long.
    pub times: Vec<u64>,
    /// Configured share in force at that time, 0..=1.
    pub configured_share: Vec<Option<f64>>,
    /// Observed share, 0..=1.
    pub observed_share: Vec<Option<f64>>,
    /// What legacy answered.
    pub legacy: SeriesArm,
    /// What the candidate answered.
    pub candidate: SeriesArm,
    /// What Banyan answered itself.
    pub banyan: SeriesArm,
    /// Comparisons that said something.
    pub compared: Vec<Option<f64>>,
    /// Mismatches among them, 0..=1.
    pub mismatch_ratio: Vec<Option<f64>>,
    /// Swaps that touched the route, oldest first.
    pub marks: Vec<Mark>,
}

/// One arm over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesArm {
    /// Answers; none without a sample.
    pub requests_per_second: Vec<Option<f64>>,
    /// 0..=1; none without requests.
    pub error_ratio: Vec<Option<f64>>,
    /// None without requests.
    pub p50_seconds: Vec<Option<f64>>,
    /// None without requests.
    pub p99_seconds: Vec<Option<f64>>,
}

/// `GET /api/v1/progress?from=..&points=..`: the burn-down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Format of this answer.
    pub version: u32,
    /// Oldest first: one per hour and one per change that moved a route, thinned to what was asked for.
    pub points: Vec<ProgressPoint>,
    /// Why points are missing, or lost with the process.
    pub problem: Option<String>,
}

/// How far the migration was.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProgressPoint {
    /// Seconds since 1970.
    pub at: u64,
    /// Routes in the configuration.
    pub routes: u64,
    /// Of these, extracted or retired.
    pub routes_off: u64,
    /// Requests of the time up to here (an hour, or since the point before) that legacy did not answer, 0..=1; none
    /// without requests.
    pub requests_off_ratio: Option<f64>,
}
