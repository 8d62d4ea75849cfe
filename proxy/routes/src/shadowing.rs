//! Copies of requests to the arm that did not answer, and how the two answers are compared.

use std::sync::Arc;
use std::time::Duration;

use banyan_compare::{PointerPattern, Rules};
use http::header::HeaderName;

use crate::table::Share;

/// `shadow` of a route: a copy of some requests goes to the other arm, whose answer nobody is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// Of requests, not of clients.
    pub share: Share,
    /// Most bytes of a body, either way, that are kept for the copy and the comparison. 0 copies and compares heads only.
    pub max_body: u64,
    /// From sending the copy to the end of its answer.
    pub timeout: Duration,
    /// Fields of the request that the copy goes without.
    pub strip_headers: Box<[HeaderName]>,
    /// What becomes of requests that are not safe.
    pub writes: ShadowWrites,
}

/// What becomes of the copies of requests that are not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ShadowWrites {
    /// There are none.
    #[default]
    Never,
    /// They are sent as a dry run to a candidate that has said it honours that.
    DryRun,
}

impl ShadowWrites {
    /// As in routes.toml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::DryRun => "dry-run",
        }
    }
}

/// `compare` of a route: how the two answers to a shadowed request are compared.
#[derive(Debug, Clone)]
pub struct Comparing {
    /// What may differ.
    pub rules: Arc<Rules>,
    /// Share of compared safe requests that legacy is asked twice, to learn what it does not agree on with itself.
    pub noise: Share,
    /// Time after which both arms are asked again about a mismatch.
    pub recheck_after: Duration,
    /// What samples are kept without, beside what is always taken out.
    pub redact: Arc<[PointerPattern]>,
    /// `rules` and `redact` as text, which they cannot be turned back into: for the identity, and for people.
    pub(crate) said: Arc<[Said]>,
}

/// A key of `compare` and what it says, equal for equal meanings: `ignore`, `["header:date"]`.
pub(crate) type Said = (&'static str, String);

/// Before a mismatch is asked again: what passes by itself is mostly gone by then.
const RECHECK_AFTER: Duration = Duration::from_millis(300);

impl Default for Comparing {
    fn default() -> Self {
        Self {
            rules: Arc::default(),
            noise: Share::NONE,
            recheck_after: RECHECK_AFTER,
            redact: Arc::default(),
            said: Arc::default(),
        }
    }
}

impl Comparing {
    /// Whether nothing is said that is not so anyway.
    pub(crate) fn is_default(&self) -> bool {
        let Self { rules: _, noise, recheck_after, redact: _, said } = self;
        said.is_empty() && *noise == Share::NONE && *recheck_after == RECHECK_AFTER
    }
}
