//! What the comparisons of one route add up to. Bounded, mergeable, a plain struct to read.
//!
//! The caller says when: milliseconds since 1970. A new build of the candidate begins with a new `Evidence`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use http::StatusCode;

use crate::interval::{Interval, wilson};
use crate::latency::{Latency, LatencySummary};
use crate::observation::Observation;
use crate::signature::Signature;
use crate::verdict::{Differences, IncomparableReason, Verdict};

/// Signatures that one route keeps.
pub const EVIDENCE_SIGNATURES_MAX: usize = 512;

/// Pairs of statuses that one route keeps.
pub const STATUS_PAIRS_MAX: usize = 128;

/// What the comparisons of one route add up to.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Said by the caller, and kept with the counts.
    pub subject: Subject,
    since_ms: Option<u64>,
    counts: Counts,
    incomparable: BTreeMap<IncomparableReason, u64>,
    signatures: BTreeMap<Signature, Seen>,
    status_pairs: BTreeMap<(u16, u16), u64>,
    overflow: Overflow,
    latency: Latency,
}

/// What the comparisons are about: counts of one candidate say nothing of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Equal for the same arms and the same rules. None when nobody said.
    pub compared: Option<String>,
    /// The build of the candidate that was heard last. None when it did not say.
    pub build: Option<String>,
}

/// Comparisons by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nothing differed.
    pub matched: u64,
    /// Only what rules name.
    pub ignored: u64,
    /// Only what legacy does not agree on with itself.
    pub noise: u64,
    /// Something else, and it stayed when both were asked again (or they were not).
    pub mismatch: u64,
    /// A mismatch that was gone when both were asked again.
    pub transient: u64,
    /// No comparison.
    pub incomparable: u64,
}

/// When and how often a signature was part of a mismatch or of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Comparisons in which it was part of a mismatch.
    pub mismatches: u64,
    /// Comparisons that were noise because of it.
    pub noise: u64,
    /// Milliseconds since 1970.
    pub first_ms: u64,
    /// Milliseconds since 1970.
    pub last_ms: u64,
}

/// What did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overflow {
    /// Sightings of signatures beyond [`EVIDENCE_SIGNATURES_MAX`].
    pub signatures: u64,
    /// Comparisons with pairs of statuses beyond [`STATUS_PAIRS_MAX`].
    pub status_pairs: u64,
}

/// All of it, to be read.
#[derive(Debug, Clone)]
pub struct EvidenceSnapshot {
    /// The first comparison, milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// By verdict.
    pub counts: Counts,
    /// Mismatches among what was compared; none if nothing was.
    pub mismatch_ratio: Option<Interval>,
    /// By reason.
    pub incomparable: Vec<(IncomparableReason, u64)>,
    /// Most mismatches first, then by text.
    pub signatures: Vec<(Signature, Seen)>,
    /// Legacy's status, the candidate's, how often: most first.
    pub status_pairs: Vec<((u16, u16), u64)>,
    /// What did not fit.
    pub overflow: Overflow,
    /// Of requests that both answered.
    pub latency: Option<LatencySummary>,
}

impl Counts {
    /// Comparisons that said something: all but incomparable.
    pub fn compared(&self) -> u64 {
        self.matched + self.ignored + self.noise + self.mismatch + self.transient
    }
}

impl Evidence {
    /// By verdict.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// One comparison, settled by what was learned, with the observations it was made of.
    pub fn record(&mut self, verdict: &Verdict, legacy: &Observation, candidate: &Observation, now_ms: u64) {
        self.since_ms.get_or_insert(now_ms);
        self.observed(legacy, candidate);
        match verdict {
            Verdict::Match => self.counts.matched += 1,
            Verdict::Ignored(_) => self.counts.ignored += 1,
            Verdict::Noise(differences) => {
                self.counts.noise += 1;
                self.saw(differences, now_ms, |seen| &mut seen.noise);
            }
            Verdict::Mismatch(differences) => {
                self.counts.mismatch += 1;
                self.saw(differences, now_ms, |seen| &mut seen.mismatches);
            }
            Verdict::Incomparable(incomparable) => {
                self.counts.incomparable += 1;
                *self.incomparable.entry(incomparable.reason).or_default() += 1;
            }
        }
    }

    /// A mismatch that was gone when both arms were asked again. Called in place of `record`.
    pub fn record_transient(&mut self, legacy: &Observation, candidate: &Observation, now_ms: u64) {
        self.since_ms.get_or_insert(now_ms);
        self.observed(legacy, candidate);
        self.counts.transient += 1;
    }

    /// Begins anew, about the same.
    pub fn reset(&mut self) {
        *self = Self { subject: std::mem::take(&mut self.subject), ..Self::default() };
    }

    /// Adds what another one of the same route holds, such as another worker's.
    pub fn merge(&mut self, other: &Self) {
        self.since_ms = self.since_ms.into_iter().chain(other.since_ms).min();
        self.counts.merge(other.counts);
        for (reason, count) in &other.incomparable {
            *self.incomparable.entry(*reason).or_default() += count;
        }
        for (signature, seen) in &other.signatures {
            self.merge_seen(signature, *seen);
        }
        for (pair, count) in &other.status_pairs {
            self.count_pair(*pair, *count);
        }
        self.overflow.signatures += other.overflow.signatures;
        self.overflow.status_pairs += other.overflow.status_pairs;
        self.latency.merge(&other.latency);
    }

    /// All of it, to be read.
    pub fn snapshot(&self) -> EvidenceSnapshot {
        let mut signatures: Vec<_> = self.signatures.iter().map(|(key, seen)| (key.clone(), *seen)).collect();
        signatures.sort_by_key(|(_, seen)| Reverse(seen.mismatches));
        let mut status_pairs: Vec<_> =
            self.status_pairs.iter().map(|(pair, count)| (*pair, *count)).collect();
        status_pairs.sort_by_key(|(_, count)| Reverse(*count));
        EvidenceSnapshot {
            since_ms: self.since_ms,
            counts: self.counts,
            mismatch_ratio: wilson(self.counts.mismatch, self.counts.compared()),
            incomparable: self.incomparable.iter().map(|(reason, count)| (*reason, *count)).collect(),
            signatures,
            status_pairs,
            overflow: self.overflow,
            latency: self.latency.summary(),
        }
    }

    /// As it was stored, still without its signatures and pairs of statuses.
    pub(crate) fn stored(
        subject: Subject,
        since_ms: Option<u64>,
        counts: Counts,
        incomparable: BTreeMap<IncomparableReason, u64>,
        overflow: Overflow,
        latency: Latency,
    ) -> Self {
        Self { subject, since_ms, counts, incomparable, overflow, latency, ..Self::default() }
    }

    pub(crate) fn latency(&self) -> &Latency {
        &self.latency
    }

    fn observed(&mut self, legacy: &Observation, candidate: &Observation) {
        let (Observation::Answered(legacy), Observation::Answered(candidate)) = (legacy, candidate) else {
            return;
        };
        self.latency.record(legacy.elapsed, candidate.elapsed);
        let number = |status: StatusCode| status.as_u16();
        self.count_pair((number(legacy.status), number(candidate.status)), 1);
    }

    pub(crate) fn count_pair(&mut self, pair: (u16, u16), count: u64) {
        if self.status_pairs.contains_key(&pair) || self.status_pairs.len() < STATUS_PAIRS_MAX {
            *self.status_pairs.entry(pair).or_default() += count;
        } else {
            self.overflow.status_pairs += count;
        }
    }

    fn saw(&mut self, differences: &Differences, now_ms: u64, field: fn(&mut Seen) -> &mut u64) {
        for signature in differences.signatures() {
            let mut seen = Seen { mismatches: 0, noise: 0, first_ms: now_ms, last_ms: now_ms };
            *field(&mut seen) = 1;
            self.merge_seen(signature, seen);
        }
    }

    pub(crate) fn merge_seen(&mut self, signature: &Signature, more: Seen) {
        if let Some(seen) = self.signatures.get_mut(signature) {
            seen.mismatches += more.mismatches;
            seen.noise += more.noise;
            seen.first_ms = seen.first_ms.min(more.first_ms);
            seen.last_ms = seen.last_ms.max(more.last_ms);
        } else if self.signatures.len() < EVIDENCE_SIGNATURES_MAX {
            self.signatures.insert(signature.clone(), more);
        } else {
            self.overflow.signatures += more.mismatches + more.noise;
        }
    }
}

impl Counts {
    fn merge(&mut self, other: Self) {
        self.matched += other.matched;
        self.ignored += other.ignored;
        self.noise += other.noise;
        self.mismatch += other.mismatch;
        self.transient += other.transient;
        self.incomparable += other.incomparable;
    }
}
