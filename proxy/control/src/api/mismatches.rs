//! What comparisons of shadowed requests found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /api/v1/mismatches`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mismatches {
    /// Format of this answer.
    pub version: u32,
    /// Every route that shadows or has been compared, by name.
    pub routes: Vec<RouteMismatches>,
    /// Where samples are.
    pub kept: Kept,
}

/// One route, in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteMismatches {
    /// Its name.
    pub route: String,
    /// The table in force sends copies for it.
    pub shadows: bool,
    /// The first comparison, RFC 3339.
    pub since: Option<String>,
    /// By verdict.
    pub counts: VerdictCounts,
    /// Mismatches among what was compared; none if nothing was.
    pub mismatch_ratio: Option<Ratio>,
}

/// Comparisons by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictCounts {
    /// All below but incomparable.
    pub compared: u64,
    /// Nothing differed.
    #[serde(rename = "match")]
    pub matched: u64,
    /// Only what rules name.
    pub ignored: u64,
    /// Only what legacy does not agree on with itself.
    pub noise: u64,
    /// Something else.
    pub mismatch: u64,
    /// A mismatch that was gone when both arms were asked again.
    pub transient: u64,
    /// No comparison.
    pub incomparable: u64,
}

/// A ratio and between what it lies, at 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// As counted, 0..=1.
    pub ratio: f64,
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

/// Where samples are, and what is the matter with that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// `disk`: counts and samples survive a restart; `memory`: they do not.
    pub place: String,
    /// Samples of all routes.
    pub samples: u64,
    /// Samples that were not kept, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Why they are not on disk, if they should be.
    pub problem: Option<String>,
}

/// `GET /api/v1/mismatches/{route}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteEvidence {
    /// Format of this answer.
    pub version: u32,
    /// Its name.
    pub route: String,
    /// The table in force sends copies for it.
    pub shadows: bool,
    /// The first comparison, RFC 3339.
    pub since: Option<String>,
    /// By verdict.
    pub counts: VerdictCounts,
    /// Mismatches among what was compared; none if nothing was.
    pub mismatch_ratio: Option<Ratio>,
    /// By reason.
    pub incomparable: BTreeMap<String, u64>,
    /// Most mismatches first.
    pub signatures: Vec<SeenSignature>,
    /// What was learned of noise.
    pub learned: LearnedNoise,
    /// Most first.
    pub status_pairs: Vec<StatusPair>,
    /// Of requests that both answered; none without one.
    pub latency: Option<Latencies>,
    /// TOML for what looks like noise, to be reviewed before it is pasted.
    pub suggestion: Option<String>,
    /// Sightings for which there was no room.
    pub overflow: Overflow,
    /// Where samples are.
    pub kept: Kept,
}

/// What is equal for equal kinds of difference, and when it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeenSignature {
    /// A place and a kind: `/items/*/price value`.
    pub signature: String,
    /// Comparisons in which it was part of a mismatch.
    pub mismatches: u64,
    /// Comparisons that were noise because of it.
    pub noise: u64,
    /// Mismatches with it among what was compared, 0..=1; none if nothing was.
    pub share: Option<f64>,
    /// RFC 3339.
    pub first_seen: String,
    /// RFC 3339.
    pub last_seen: String,
    /// Ids of samples, oldest first.
    pub samples: Vec<u64>,
}

/// What legacy does not agree on with itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedNoise {
    /// Requests that legacy was asked twice.
    pub asked_twice: u64,
    /// Requests that both arms were asked.
    pub compared: u64,
    /// By signature.
    pub signatures: Vec<LearnedSignature>,
}

/// How often one signature was seen, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedSignature {
    /// Which.
    pub signature: String,
    /// Between two answers of legacy.
    pub with_itself: u64,
    /// Between legacy and the candidate.
    pub with_candidate: u64,
    /// `noise`, `not-noise`, or `unlearned`, which counts as a mismatch.
    pub verdict: String,
}

/// Both arms' statuses for the same requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPair {
    /// Legacy's.
    pub legacy: u16,
    /// The candidate's.
    pub candidate: u16,
    /// How often.
    pub count: u64,
}

/// How long both arms took for the same requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Requests.
    pub count: u64,
    /// Half are faster.
    pub p50: LatencyPair,
    /// 95 of 100 are faster.
    pub p95: LatencyPair,
    /// 99 of 100 are faster.
    pub p99: LatencyPair,
}

/// One percentile of both arms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyPair {
    /// Of legacy.
    pub legacy_seconds: f64,
    /// Of the candidate.
    pub candidate_seconds: f64,
    /// Candidate to legacy: above 1 is slower.
    pub ratio: f64,
}

/// Sightings for which there was no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overflow {
    /// Of signatures.
    pub signatures: u64,
    /// Of pairs of statuses.
    pub status_pairs: u64,
    /// Of signatures to be learned.
    pub learned: u64,
}

/// `GET /api/v1/mismatches/{route}/samples/{id}`: a request that both arms were asked, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Format of this answer.
    pub version: u32,
    /// Its number, never given twice.
    pub id: u64,
    /// Name of the route.
    pub route: String,
    /// When the client asked, RFC 3339.
    pub at: String,
    /// `mismatch` or `noise`.
    pub verdict: String,
    /// Whose answer the client got.
    pub shown: String,
    /// What differs.
    pub differences: Vec<SampleDifference>,
    /// What was asked.
    pub request: SampleRequest,
    /// Legacy's answer.
    pub legacy: SampleAnswer,
    /// The candidate's answer.
    pub candidate: SampleAnswer,
}

/// One signature of a sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleDifference {
    /// Which.
    pub signature: String,
    /// The first place, with the true indices, where it has one.
    pub pointer: Option<String>,
    /// How often, in this sample.
    pub count: u64,
}

/// What was asked, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRequest {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// As they went to the upstream.
    pub headers: Vec<(String, String)>,
    /// Its text; none where there was no body.
    pub body: Option<String>,
    /// Target, header fields and body are all there: what is asked again is the same request, but for secrets of its header
    /// and white space of JSON.
    pub whole: bool,
    /// Neither its method nor its route (`side_effects`) says that it has effects. What does not say so has them.
    #[serde(default)]
    pub safe: bool,
}

/// What one arm answered, without its secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleAnswer {
    /// The status; none if there was no answer.
    pub status: Option<u16>,
    /// Why there is no answer or no body.
    pub problem: Option<String>,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Its text.
    pub body: Option<String>,
    /// From the end of the request to the head of the answer.
    pub seconds: Option<f64>,
}

/// `GET /api/v1/mismatches/{route}/requests`: what was asked in all samples of a route, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRequests {
    /// Format of this answer.
    pub version: u32,
    /// Name of the route.
    pub route: String,
    /// What was asked.
    pub requests: Vec<SampleRequest>,
}

/// Body of `POST /api/v1/mismatches/{route}/reset`. It has no fields yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetRequest {}

/// `POST /api/v1/mismatches/{route}/reset`: counts, what was learned, and samples are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Format of this answer.
    pub version: u32,
    /// Name of the route.
    pub route: String,
    /// There was something.
    pub had_counts: bool,
    /// Samples deleted.
    pub samples: u64,
}

/// `GET /api/v1/record?route=..&after=..&count=..`: shadowed requests as they come.
///
/// Without `after` nothing is given but the place to go on from: recording begins. It ends ten seconds after the last
/// question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Format of this answer.
    pub version: u32,
    /// What was asked since `after`, at most `count`.
    pub requests: Vec<RecordedRequest>,
    /// `after` of the next question.
    pub next: u64,
    /// Requests since `after` that were gone before they were asked for, of any route.
    pub lost: u64,
    /// Comparisons since the start of the process that came too fast to be looked at, of any route.
    pub missed: u64,
}

/// A line of `banyan record`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Name of the route.
    pub route: String,
    /// When the client asked, RFC 3339.
    pub at: String,
    /// What it asked.
    pub request: SampleRequest,
}
