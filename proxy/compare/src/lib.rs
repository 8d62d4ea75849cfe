//! Are two answers the same?
//!
//! This crate is pure: two [`Observation`]s and [`Rules`] go in, a [`Verdict`] comes out. No sockets, files, clock,
//! randomness, environment or logging; the day and the time come in as arguments.
//!
//! Floor plan, in the order an answer travels:
//!
//! - `observation`: what one arm answered, or how it failed. `compare`: the comparison as a list of steps.
//! - `condition`: what is asked for only if something holds.
//! - `head`: status and header fields. `cookies`: what is set, by name, value and attribute.
//! - `body`: a body decoded and read as what it is. `media`: what its content type says. `decode`: content codings undone.
//! - `json`: documents as trees that lose nothing. `instant`: dates. `text`: lines. `html`: pages without idle white space.
//! - `rules`: what a route says of its comparison. `pattern`: the places that rules name.
//! - `path`: where in a document a difference is. `difference`: the closed set of them. `findings`: where they collect.
//! - `signature`: what is equal for equal kinds of difference. `verdict`: what a comparison says.
//! - `noise`: what legacy does not agree on with itself. `suggest`: rules for it. `interval`: a ratio and between what it lies.
//! - `recheck`: a mismatch when both arms were asked again.
//! - `evidence`: what the comparisons of a route add up to. `latency`: how long both arms took. `stored`: evidence and
//!   what was learned as text, and back.
//! - `redact`: what is kept as a sample.

// A test that fails may panic where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod body;
mod compare;
mod condition;
mod cookies;
mod decode;
mod difference;
mod evidence;
mod findings;
mod head;
mod html;
mod instant;
mod interval;
mod json;
mod latency;
mod media;
mod noise;
mod observation;
mod path;
mod pattern;
mod recheck;
mod redact;
mod rules;
mod signature;
mod stored;
mod suggest;
mod text;
mod verdict;

pub use compare::compare;
pub use condition::conditional;
pub use decode::DECODED_BYTES_MAX;
pub use difference::{CookieChange, Difference, Form, HeaderChange, JsonChange, LineChange};
pub use evidence::{
    Counts, EVIDENCE_SIGNATURES_MAX, Evidence, EvidenceSnapshot, Overflow, STATUS_PAIRS_MAX, Seen, Subject,
};
pub use interval::{Interval, Z_95, wilson};
pub use json::{DEPTH_MAX, NODES_MAX};
pub use latency::{Latency, LatencySummary, Percentile};
pub use noise::{
    ALPHA, ASKED_TWICE_MIN, DISAGREED_MIN, Disagreed, LEARNED_MAX, Learned, Learning, NoiseVerdict,
};
pub use observation::{Answer, Arm, Body, Failure, Observation};
pub use pattern::{Pattern, PatternProblem, PointerPattern};
pub use recheck::{Rechecked, recheck};
pub use redact::{REDACTED, Redactor, SECRET_HEADERS, SECRET_NAMES, SECRET_WORDS};
pub use rules::{
    Accepted, DEFAULT_EXCEPT, HeaderRules, HeadersProblem, HtmlSpace, NumberForms, RULES_MAX, RuleSet, Rules,
    RulesProblem, Tolerance, Unordered,
};
pub use signature::{SIGNATURE_BYTES_MAX, Signature};
pub use stored::{StoredProblem, restore, store};
pub use suggest::suggest;
pub use verdict::{Differences, Found, Ignored, Incomparable, IncomparableReason, SIGNATURES_MAX, Verdict};
