//! What is known of a route as text, to be kept across a restart, and back.
//!
//! The text is JSON with a version. What is read is checked, and never trusted: a text of another version, one that
//! was cut, and one with counts that no comparisons can add up to are problems, not panics later on. Lists that are
//! longer than what a route keeps are cut as they would have been when they were counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::{Counts, Evidence, Overflow, Seen, Subject};
use crate::latency::Latency;
use crate::noise::{Disagreed, Learning};
use crate::signature::Signature;
use crate::verdict::IncomparableReason;

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A count above this was never counted: so many comparisons take a thousand years.
const COUNT_MAX: u64 = 1 << 50;

/// Why a text is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredProblem {
    /// Not JSON, or without a part.
    Malformed {
        /// What is wrong, with line and column.
        error: String,
    },
    /// Of another version.
    Version {
        /// The one found.
        found: u32,
    },
    /// A count that is too high to be one.
    Count {
        /// Of what.
        of: &'static str,
        /// The number found.
        found: u64,
        /// The most it can be.
        most: u64,
    },
    /// A reason that does not exist.
    Reason {
        /// The word found.
        found: String,
    },
}

impl fmt::Display for StoredProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { error } => write!(out, "not what was stored: {error}"),
            Self::Version { found } => write!(out, "expected version {VERSION}, found {found}"),
            Self::Count { of, found, most } => {
                write!(out, "`{of}`: expected at most {most}, found {found}")
            }
            Self::Reason { found } => write!(out, "`incomparable`: no such reason: `{found}`"),
        }
    }
}

impl std::error::Error for StoredProblem {}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    evidence: StoredEvidence,
    learning: StoredLearning,
}

/// Read first: a text of another version may have any other parts.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredEvidence {
    /// Absent in what was written before there was one.
    #[serde(default)]
    subject: StoredSubject,
    since_ms: Option<u64>,
    counts: StoredCounts,
    incomparable: BTreeMap<String, u64>,
    signatures: Vec<StoredSeen>,
    /// Legacy's status, the candidate's, how often.
    status_pairs: Vec<(u16, u16, u64)>,
    overflow: StoredOverflow,
    latency: StoredLatency,
}

#[derive(Default, Serialize, Deserialize)]
struct StoredSubject {
    compared: Option<String>,
    build: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredCounts {
    matched: u64,
    ignored: u64,
    noise: u64,
    mismatch: u64,
    transient: u64,
    incomparable: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredSeen {
    signature: String,
    mismatches: u64,
    noise: u64,
    first_ms: u64,
    last_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredOverflow {
    signatures: u64,
    status_pairs: u64,
}

/// Microseconds, and how often.
#[derive(Serialize, Deserialize)]
struct StoredLatency {
    legacy: Vec<(u64, u32)>,
    candidate: Vec<(u64, u32)>,
}

#[derive(Serialize, Deserialize)]
struct StoredLearning {
    asked_twice: u64,
    compared: u64,
    overflow: u64,
    signatures: Vec<StoredDisagreed>,
}

#[derive(Serialize, Deserialize)]
struct StoredDisagreed {
    signature: String,
    with_itself: u64,
    with_candidate: u64,
}

/// What is known of a route, as one line of text that [`restore`] reads.
pub fn store(evidence: &Evidence, learning: &Learning) -> String {
    let stored = Stored {
        version: VERSION,
        evidence: StoredEvidence::of(evidence),
        learning: StoredLearning::of(learning),
    };
    serde_json::to_string(&stored).expect("numbers, texts and lists can always be written")
}

/// What [`store`] wrote.
pub fn restore(text: &str) -> Result<(Evidence, Learning), StoredProblem> {
    let malformed = |error: serde_json::Error| StoredProblem::Malformed { error: error.to_string() };
    let Version { version } = serde_json::from_str(text).map_err(malformed)?;
    if version != VERSION {
        return Err(StoredProblem::Version { found: version });
    }
    let stored: Stored = serde_json::from_str(text).map_err(malformed)?;
    Ok((stored.evidence.read()?, stored.learning.read()?))
}

impl StoredEvidence {
    fn of(evidence: &Evidence) -> Self {
        let snapshot = evidence.snapshot();
        let Counts { matched, ignored, noise, mismatch, transient, incomparable } = snapshot.counts;
        let reasons = snapshot.incomparable.iter();
        let (legacy, candidate) = evidence.latency().recorded();
        let Subject { compared, build } = evidence.subject.clone();
        Self {
            subject: StoredSubject { compared, build },
            since_ms: snapshot.since_ms,
            counts: StoredCounts { matched, ignored, noise, mismatch, transient, incomparable },
            incomparable: reasons.map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect(),
            signatures: snapshot.signatures.iter().map(StoredSeen::of).collect(),
            status_pairs: snapshot.status_pairs.iter().map(|((one, other), n)| (*one, *other, *n)).collect(),
            overflow: StoredOverflow {
                signatures: snapshot.overflow.signatures,
                status_pairs: snapshot.overflow.status_pairs,
            },
            latency: StoredLatency { legacy, candidate },
        }
    }

    fn read(self) -> Result<Evidence, StoredProblem> {
        let StoredSubject { compared, build } = self.subject;
        let mut evidence = Evidence::stored(
            Subject { compared, build },
            self.since_ms,
            self.counts.read()?,
            reasons(self.incomparable)?,
            Overflow {
                signatures: count("signatures beyond the bound", self.overflow.signatures)?,
                status_pairs: count("pairs of statuses beyond the bound", self.overflow.status_pairs)?,
            },
            Latency::of_recorded(&self.latency.legacy, &self.latency.candidate),
        );
        for (legacy, candidate, times) in self.status_pairs {
            evidence.count_pair((legacy, candidate), count("status_pairs", times)?);
        }
        for seen in self.signatures {
            let (signature, seen) = seen.read()?;
            evidence.merge_seen(&signature, seen);
        }
        Ok(evidence)
    }
}

impl StoredCounts {
    fn read(self) -> Result<Counts, StoredProblem> {
        Ok(Counts {
            matched: count("matched", self.matched)?,
            ignored: count("ignored", self.ignored)?,
            noise: count("noise", self.noise)?,
            mismatch: count("mismatch", self.mismatch)?,
            transient: count("transient", self.transient)?,
            incomparable: count("incomparable", self.incomparable)?,
        })
    }
}

impl StoredSeen {
    fn of((signature, seen): &(Signature, Seen)) -> Self {
        let Seen { mismatches, noise, first_ms, last_ms } = *seen;
        Self { signature: signature.as_str().to_owned(), mismatches, noise, first_ms, last_ms }
    }

    fn read(self) -> Result<(Signature, Seen), StoredProblem> {
        let seen = Seen {
            mismatches: count("mismatches", self.mismatches)?,
            noise: count("noise", self.noise)?,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
        };
        Ok((Signature::stored(&self.signature), seen))
    }
}

impl StoredLearning {
    fn of(learning: &Learning) -> Self {
        let signatures = learning.learned().map(|one| StoredDisagreed {
            signature: one.signature.as_str().to_owned(),
            with_itself: one.disagreed.with_itself,
            with_candidate: one.disagreed.with_candidate,
        });
        Self {
            asked_twice: learning.requests_asked_twice(),
            compared: learning.requests_compared(),
            overflow: learning.overflow(),
            signatures: signatures.collect(),
        }
    }

    fn read(self) -> Result<Learning, StoredProblem> {
        let asked_twice = count("asked_twice", self.asked_twice)?;
        let compared = count("compared", self.compared)?;
        let overflow = count("overflow", self.overflow)?;
        let disagreed = |one: StoredDisagreed| {
            let disagreed = Disagreed {
                with_itself: at_most("with_itself", one.with_itself, asked_twice)?,
                with_candidate: at_most("with_candidate", one.with_candidate, compared)?,
            };
            Ok((Signature::stored(&one.signature), disagreed))
        };
        let by_signature = self.signatures.into_iter().map(disagreed).collect::<Result<_, _>>()?;
        Ok(Learning::stored(asked_twice, compared, by_signature, overflow))
    }
}

fn reasons(stored: BTreeMap<String, u64>) -> Result<BTreeMap<IncomparableReason, u64>, StoredProblem> {
    let known = |word: String| {
        let reason = IncomparableReason::ALL.into_iter().find(|reason| reason.as_str() == word);
        reason.ok_or(StoredProblem::Reason { found: word })
    };
    stored.into_iter().map(|(word, times)| Ok((known(word)?, count("incomparable", times)?))).collect()
}

fn count(of: &'static str, found: u64) -> Result<u64, StoredProblem> {
    at_most(of, found, COUNT_MAX)
}

fn at_most(of: &'static str, found: u64, most: u64) -> Result<u64, StoredProblem> {
    if found > most { Err(StoredProblem::Count { of, found, most }) } else { Ok(found) }
}
