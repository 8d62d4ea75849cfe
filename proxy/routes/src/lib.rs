//! What `routes.toml` means, and which side answers a request.
//!
//! This crate is pure: text goes in, a [`RouteTable`] or a [`Report`] comes out, and a table turns the
//! parts of a request into a [`Decision`]. No sockets, files, clock, randomness, environment or logging.
//!
//! Floor plan, in the order a configuration travels:
//!
//! - `source`: the texts as the caller read them, and where a place in them is.
//! - `written`: what was written: the keys of routes.toml with their spans. Private.
//! - `meaning`: defaults filled in, names looked up, rules across keys. Private.
//! - `problem`: what is wrong with it: code, place, found, expected, hint; one [`Report`] of all problems.
//! - `table`: what it means: routes, upstreams, stores, cohorts; valid by construction, no setters.
//! - `failing`: what happens when a candidate fails: fallback and breaker.
//! - `shadowing`: copies to the arm that did not answer, and how the answers are compared.
//! - `path`: the one normalisation of a request path. `pattern`: what a route's path can be.
//! - `rewrite`: the path a candidate is asked for instead of the public one, and the way back.
//! - `assemble`: from valid parts to a table.
//! - `precedence`: which of two routes is more specific. `condition`: whether a condition holds.
//! - `index`: the routes of a table arranged so that a match does not slow down with their number.
//! - `sticky`: which client a request belongs to. `bucket`: the client's fixed place in `0..100_000`.
//! - `decide`: the decision, and why. `explain`: the same decision with the routes that nearly matched.
//! - `dump`: a table as text. `diff`: what changes between two tables, and which share of clients moves.
//! - `canonical`: the meaning of each part as bytes. `identity`: the hash of the resolved table.
//! - `rollback`: a table whose candidates get nobody. `schema`: the JSON schema of routes.toml.

// A test that fails may panic where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assemble;
mod bucket;
mod canonical;
mod condition;
mod decide;
mod diff;
mod dump;
mod explain;
mod failing;
mod identity;
mod index;
mod meaning;
mod path;
mod pattern;
mod precedence;
mod problem;
mod rewrite;
mod rollback;
mod schema;
mod shadowing;
mod source;
mod sticky;
mod table;
mod written;

pub use bucket::{BUCKETS, bucket};
pub use decide::{Arm, Decision, Fields, Reason, RequestParts};
pub use diff::{RouteChange, diff};
pub use explain::{Explanation, Loser, Miss};
pub use failing::{Breaker, Fallback, FallbackCause};
pub use path::{NormalPath, PathProblem};
pub use pattern::{PathPattern, PatternProblem, Segment};
pub use problem::{Problem, Report, Severity};
pub use rewrite::PrefixRewrite;
pub use rollback::RolledBack;
pub use schema::schema;
pub use shadowing::{Comparing, Shadow, ShadowWrites};
pub use source::{FileSet, SourceFile, Variables};
pub use table::{
    Check, ClientFiles, Cohort, CohortIndex, Condition, Destination, HealthCheck, HostPattern, MethodSet,
    Origin, PathOptions, Pin, Retire, Rewrite, RewriteHost, Route, RouteIndex, RouteTable, Share, Split,
    Stage, StickySource, Store, StoreIndex, StoreMode, Subject, Sunset, TableHash, Target, Timeouts,
    Upstream, UpstreamIndex, UpstreamTls, Writer,
};
