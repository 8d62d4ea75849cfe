//! The JSON of the admin API under `/api/v1`: one type per answer, shared by server and commands.
//!
//! Every top-level answer carries `version: 1`.
//!
//! - `mismatches`: what comparisons of shadowed requests found.
//! - `board`: every route in one line. `series`: over time.

mod board;
mod mismatches;
mod series;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use board::{Board, BoardArm, BoardMismatch, BoardRow, BoardTotals, Mark, Trouble};
pub use mismatches::{
    Kept, Latencies, LatencyPair, LearnedNoise, LearnedSignature, Mismatches, Overflow, Ratio, Recorded,
    RecordedRequest, Reset, ResetRequest, RouteEvidence, RouteMismatches, Sample, SampleAnswer,
    SampleDifference, SampleRequest, SeenSignature, StatusPair, StoredRequests, VerdictCounts,
};
pub use series::{Progress, ProgressPoint, Series, SeriesArm};

/// Value of `version` in every answer.
pub const API_VERSION: u32 = 1;

/// `GET /api/v1/config`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Format of this answer.
    pub version: u32,
    /// Number of the configuration in force, from 1, per process.
    pub generation: u64,
    /// Hash of the resolved table in force.
    pub hash: String,
    /// When it took effect, RFC 3339.
    pub since: String,
    /// Main file as an absolute path on the proxy's host, if there is one.
    pub file: Option<String>,
    /// The last attempt to load.
    pub last_reload: Reload,
    /// A rollback is held in memory: some or all shares are 0 whatever the file says.
    pub floor: bool,
    /// Hash of the text that made the table in force.
    pub text_hash: String,
    /// Where history is kept; none keeps it in memory only.
    pub state_dir: Option<String>,
    /// Why history is not being written, if so.
    pub history_problem: Option<String>,
    /// Id of the process that answers.
    #[serde(default)]
    pub process: u32,
    /// Why the last upgrade asked for came to nothing, if so.
    #[serde(default)]
    pub upgrade_problem: Option<String>,
}

/// `POST /api/v1/upgrade`: begun. It has come to its end when `process` of [`Config`] is another, or
/// `upgrade_problem` is there. The request has no fields yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeBegun {
    /// Format of this answer.
    pub version: u32,
    /// Id of the process that is to be replaced.
    pub process: u32,
}

/// Body of `POST /api/v1/upgrade`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpgradeRequest {}

/// One attempt to load; also the answer of `POST /api/v1/reload`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// When, RFC 3339.
    pub at: String,
    /// What came of it.
    pub result: ReloadResult,
    /// Generation in force afterwards.
    pub generation: u64,
    /// Hash in force afterwards.
    pub hash: String,
    /// Hash of the text that was tried (of the bytes, not the table).
    pub text_hash: String,
    /// The whole report as text; empty when there is nothing to say.
    pub report: String,
    /// The same, one by one.
    pub problems: Vec<Problem>,
}

/// Body of `POST /api/v1/reload`. It has no fields yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {}

/// What came of an attempt to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReloadResult {
    /// A new table is in force.
    Applied,
    /// The text means the table already in force.
    Unchanged,
    /// Refused whole; the old table stays.
    Refused,
}

/// One problem of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable word.
    pub code: String,
    /// `error` or `warning`.
    pub severity: String,
    /// One sentence.
    pub message: String,
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// How to put it right.
    pub hint: Option<String>,
}

/// `GET /api/v1/routes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routes {
    /// Format of this answer.
    pub version: u32,
    /// Generation in force.
    pub generation: u64,
    /// In file order, then `default`.
    pub routes: Vec<Route>,
    /// Every target of every upstream.
    pub targets: Vec<Target>,
    /// The breaker of every upstream that has one.
    #[serde(default)]
    pub breakers: Vec<Breaker>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// `legacy`, `shadow`, `canary`, `extracted`, `retired`.
    pub stage: String,
    /// Configured percent as written, for example `12.5`; none without a candidate.
    pub percent: Option<String>,
    /// Its cohort.
    pub cohort: Option<String>,
    /// Name of the candidate's upstream.
    pub candidate: Option<String>,
    /// Name of the legacy upstream.
    pub legacy: String,
    /// Since when `observed_share` and `arms` count, RFC 3339: the last swap that changed this route, or the start of
    /// the process.
    pub counted_since: String,
    /// Observed share: candidate decisions by reason `share`, over all by that reason, 0..=1; none without data.
    pub observed_share: Option<f64>,
    /// True when a pin sends clients to the candidate whatever the share.
    #[serde(default)]
    pub pins_candidate: bool,
    /// Per arm: `legacy`, `candidate`, `banyan`.
    pub arms: BTreeMap<String, ArmCounts>,
    /// File and line, `routes.toml:12`.
    pub origin: Option<String>,
    /// Words for people.
    pub meta: BTreeMap<String, String>,
}

/// Counts of one arm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ArmCounts {
    /// Answers.
    pub requests: u64,
    /// Failures of this arm: answers that are 5xx, and for the candidate what fell back on legacy.
    pub errors: u64,
    /// Requests of the candidate that fell back on legacy; 0 for other arms.
    #[serde(default)]
    pub fallbacks: u64,
    /// Median of the duration in seconds, from the histogram; none without data.
    pub p50_seconds: Option<f64>,
    /// 99th percentile.
    pub p99_seconds: Option<f64>,
}

/// One server of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Upstream.
    pub upstream: String,
    /// `host:port`.
    pub target: String,
    /// By the active check; true without one.
    pub healthy: bool,
    /// Taken out for a while after failures in a row.
    #[serde(default)]
    pub ejected: bool,
    /// Requests in flight.
    pub inflight: u64,
}

/// The breaker of one upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breaker {
    /// Upstream.
    pub upstream: String,
    /// `closed`, `half-open` or `open`: whether requests of candidates reach it.
    pub state: String,
    /// Seconds left until the first probe, while it is open.
    pub probes_in_seconds: Option<f64>,
    /// Requests in its window.
    pub requests: u64,
    /// Of these, errors.
    pub errors: u64,
}

/// `POST /api/v1/explain`, question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// `GET`
    pub method: String,
    /// `/api/orders/7?x=1`
    pub target: String,
    /// Host, if any.
    #[serde(default)]
    pub host: String,
    /// Name and value, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Client address; loopback when absent.
    #[serde(default)]
    pub client: Option<std::net::IpAddr>,
}

/// `POST /api/v1/explain`, answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// Format of this answer.
    pub version: u32,
    /// Route, or `default`.
    pub route: String,
    /// Where the route was written.
    pub origin: Option<String>,
    /// `legacy`, `candidate`, `banyan`.
    pub arm: String,
    /// Upstream asked.
    pub upstream: Option<String>,
    /// The client's bucket.
    pub bucket: Option<u32>,
    /// The route's percent.
    pub percent: Option<String>,
    /// Why.
    pub reason: String,
    /// One sentence for people.
    pub sentence: String,
    /// The path as matching saw it.
    pub normal_path: Option<String>,
    /// What other servers may make of the path, and the route each reading gives; empty for an ordinary path.
    #[serde(default)]
    pub other_readings: Vec<(String, Option<String>)>,
    /// The pin that held, as in the file.
    #[serde(default)]
    pub pin: Option<String>,
    /// Which sticky source counted, for example `header:x-user-id`.
    pub sticky: Option<String>,
    /// Routes that nearly matched: name and why they lost.
    pub losers: Vec<(String, String)>,
}

/// `GET /api/v1/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Format of this answer.
    pub version: u32,
    /// Newest first.
    pub entries: Vec<HistoryEntry>,
}

/// One swap of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, RFC 3339.
    pub at: String,
    /// Generation it made.
    pub generation: u64,
    /// Table hash before; none at the first start.
    pub before: Option<String>,
    /// Table hash after.
    pub after: String,
    /// Hash of the file set as text.
    pub text_hash: String,
    /// Hash of the file set in force just before; none at the first start. Both sets can be asked for.
    #[serde(default)]
    pub text_hash_before: Option<String>,
    /// What made the swap.
    #[serde(default)]
    pub kind: HistoryKind,
    /// Who: a user name from an announcement, or `file`.
    pub who: String,
    /// Why, when announced.
    pub why: Option<String>,
    /// One line per change, for people: `orders-read 25 % -> 50 %`.
    pub changes: Vec<String>,
    /// The route of each line of `changes`, in order; empty where a line is of something else. May be shorter, and is
    /// missing in histories of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
}

/// What made a swap of the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryKind {
    /// The proxy started with another configuration than the last one in the history.
    Start,
    /// The files changed.
    #[default]
    Reload,
    /// The in-memory floor of `POST /api/v1/rollback`; the files did not change.
    Rollback,
    /// Its end by `POST /api/v1/rollback/end`; the files did not change.
    RollbackEnd,
}

/// `GET /api/v1/history/sets/{hash}`: a file set as it was applied; also its form on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSet {
    /// Format of this answer.
    pub version: u32,
    /// Hash of the set as text.
    pub text_hash: String,
    /// The main file.
    pub main: KeptFile,
    /// Included files in order of their names.
    pub included: Vec<KeptFile>,
}

/// One file of a kept set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Name as seen from the main file's folder.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// `POST /api/v1/announce`: who is about to write a file whose text will have this hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// Who.
    pub who: String,
    /// Why.
    pub why: Option<String>,
    /// Hash of the file set as it will be.
    pub after_hash: String,
}

/// `POST /api/v1/rollback`: the in-memory floor, for when the file cannot be written.
///
/// It holds until the files mean something else, [`EndRollback`], or a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Only this route or cohort (a route takes its cohort along); none is every route. An unknown name is
    /// refused with status 404 and code `no-such-route`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Who.
    pub who: String,
    /// Why.
    pub why: Option<String>,
    /// Also routes with a separate store whose writer of record is the candidate.
    #[serde(default)]
    pub force: bool,
}

/// `POST /api/v1/rollback/end`: what the files mean is in force again. Answered with [`RolledBack`], which is
/// `unchanged` when no rollback was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndRollback {
    /// Who.
    pub who: String,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
}

/// `POST /api/v1/rollback` and `POST /api/v1/rollback/end`, answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// Format of this answer.
    pub version: u32,
    /// `applied`, or `unchanged` when every share already was 0 (or no rollback was held).
    pub result: ReloadResult,
    /// Generation in force afterwards.
    pub generation: u64,
    /// Hash in force afterwards.
    pub hash: String,
    /// One line per change, for people.
    pub changes: Vec<String>,
    /// Routes left alone because their separate store is written by the candidate.
    pub kept: Vec<String>,
    /// Routes at 0 by this order whose pins go on sending clients to the candidate.
    #[serde(default)]
    pub pinned: Vec<Pinned>,
}

/// A route with a pin to the candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Its name.
    pub route: String,
    /// Where it was written, `routes.toml:12`.
    pub origin: String,
}

/// Any refusal of the admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Format of this answer.
    pub version: u32,
    /// Stable word.
    pub code: String,
    /// One sentence.
    pub message: String,
}
