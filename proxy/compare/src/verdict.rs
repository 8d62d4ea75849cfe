//! What a comparison says.

use std::fmt;

use crate::difference::Difference;
use crate::observation::{Arm, Body, Failure};
use crate::signature::Signature;

/// Signatures that one comparison keeps; the rest is counted in [`Differences::more`].
pub const SIGNATURES_MAX: usize = 64;

/// What a comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing differs after normalising.
    Match,
    /// Only what rules name differs.
    Ignored(Ignored),
    /// Every difference is known noise. [`crate::compare`] never says so: [`crate::Learning::settle`] does.
    Noise(Differences),
    /// Something else differs.
    Mismatch(Differences),
    /// The answers cannot be compared. Never a pass.
    Incomparable(Incomparable),
}

/// How many differences each kind of rule took out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ignored {
    /// By `ignore`.
    pub by_pattern: u64,
    /// By an accepted difference that has not expired.
    pub by_acceptance: u64,
    /// Numbers within their tolerance.
    pub by_tolerance: u64,
}

impl Ignored {
    /// All of them.
    pub fn total(self) -> u64 {
        self.by_pattern.saturating_add(self.by_acceptance).saturating_add(self.by_tolerance)
    }
}

/// What differs: by signature, the first place of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// At most [`SIGNATURES_MAX`], in order of discovery.
    pub kept: Vec<Found>,
    /// Differences of signatures that are not kept: "and N more".
    pub more: u64,
    /// What rules took out beside them.
    pub ignored: Ignored,
}

/// One signature among the differences of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is equal for equal kinds of difference.
    pub signature: Signature,
    /// The first place.
    pub first: Difference,
    /// How often, in this one comparison.
    pub count: u64,
}

impl Differences {
    /// The kept signatures.
    pub fn signatures(&self) -> impl Iterator<Item = &Signature> {
        self.kept.iter().map(|found| &found.signature)
    }

    /// All differences, kept or not.
    pub fn total(&self) -> u64 {
        self.kept.iter().map(|found| found.count).fold(self.more, u64::saturating_add)
    }
}

/// Why answers cannot be compared, and because of whom (legacy, if of both).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incomparable {
    /// Whose answer it is.
    pub arm: Arm,
    /// What is the matter with it.
    pub reason: IncomparableReason,
}

/// What is the matter with an answer that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IncomparableReason {
    /// Above the bound, captured or decoded.
    TooLarge,
    /// A stream without end.
    Streaming,
    /// The body broke off.
    Broken,
    /// Its content coding is unknown, broken or too deep.
    DecodeFailed,
    /// JSON deeper or with more values than is compared.
    TooComplex,
    /// It alone found a condition of the request to hold.
    Conditional,
    /// The arm gave no answer.
    Failed(Failure),
}

impl IncomparableReason {
    /// Every reason: the values of a metric's label.
    pub const ALL: [Self; 11] = [
        Self::TooLarge,
        Self::Streaming,
        Self::Broken,
        Self::DecodeFailed,
        Self::TooComplex,
        Self::Conditional,
        Self::Failed(Failure::TimedOut),
        Self::Failed(Failure::Dropped),
        Self::Failed(Failure::Upgraded),
        Self::Failed(Failure::ConnectError),
        Self::Failed(Failure::BrokenAnswer),
    ];

    /// A fixed word for metrics and APIs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Streaming => "streaming",
            Self::Broken => "broken",
            Self::DecodeFailed => "decode-failed",
            Self::TooComplex => "too-complex",
            Self::Conditional => "conditional",
            Self::Failed(Failure::TimedOut) => "timed-out",
            Self::Failed(Failure::Dropped) => "dropped",
            Self::Failed(Failure::Upgraded) => "upgraded",
            Self::Failed(Failure::ConnectError) => "connect-error",
            Self::Failed(Failure::BrokenAnswer) => "broken-answer",
        }
    }

    /// What keeps a body from being compared, if anything does.
    pub(crate) fn of_body(body: &Body) -> Option<Self> {
        match body {
            Body::Complete(_) | Body::HeadOnly => None,
            Body::TooLarge => Some(Self::TooLarge),
            Body::Streaming => Some(Self::Streaming),
            Body::Broken => Some(Self::Broken),
        }
    }
}

impl fmt::Display for IncomparableReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Incomparable {
    /// Of an arm that gave no answer.
    pub(crate) fn of(arm: Arm, failure: Failure) -> Self {
        Self { arm, reason: IncomparableReason::Failed(failure) }
    }
}
