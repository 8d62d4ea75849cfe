//! What legacy does not agree on with itself is noise, per signature.
//!
//! Two counts are kept for each signature: of requests that legacy was asked twice, in how many its two answers
//! differed so; of requests that both arms were asked, in how many theirs did. The question is one-sided: does the
//! candidate disagree with legacy more often than legacy with itself?
//!
//! - Never seen between legacy and itself: no noise, however often the candidate differs.
//! - Fewer than [`ASKED_TWICE_MIN`] asked twice, or [`DISAGREED_MIN`] disagreements of legacy with itself: unlearned.
//!   That counts as a mismatch: no data is never a pass.
//! - Else noise, unless the candidate's rate is significantly higher, at [`ALPHA`]. The pooled two-proportion z-test
//!   (NIST/SEMATECH e-Handbook of Statistical Methods, 7.3.3) where every expected count is at least 10; Fisher's
//!   exact test (R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98, 1935)
//!   for smaller samples. `ALPHA` is strict because the question is asked again with every comparison.
//!
//! What it cannot see: a fault that shows as a difference of the same signature as noise, in few of the answers.

use std::collections::BTreeMap;

use crate::signature::Signature;
use crate::verdict::{Differences, Verdict};

/// Requests asked twice before anything is noise.
pub const ASKED_TWICE_MIN: u64 = 5;

/// Disagreements of legacy with itself before a signature is noise.
pub const DISAGREED_MIN: u64 = 2;

/// Probability of taking noise for a fault, for each look.
pub const ALPHA: f64 = 1e-4;

/// The z that belongs to [`ALPHA`], one-sided.
const Z_ALPHA: f64 = 3.719;

/// Expected count below which the test is exact.
const EXPECTED_MIN: f64 = 10.0;

/// Signatures that one route learns. The rest stays unlearned, and is counted.
pub const LEARNED_MAX: usize = 1_024;

/// What one route has learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learning {
    asked_twice: u64,
    compared: u64,
    by_signature: BTreeMap<Signature, Disagreed>,
    overflow: u64,
}

/// How often one signature was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disagreed {
    /// Between two answers of legacy.
    pub with_itself: u64,
    /// Between legacy and the candidate.
    pub with_candidate: u64,
}

/// What the counts say of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseVerdict {
    /// Legacy disagrees with itself about as often.
    Noise,
    /// The candidate differs in its own right.
    NotNoise,
    /// Too little is known: counts as a mismatch.
    Unlearned,
}

/// One signature with its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// Which.
    pub signature: Signature,
    /// How often.
    pub disagreed: Disagreed,
    /// What follows.
    pub verdict: NoiseVerdict,
}

impl Learning {
    /// Legacy was asked twice: what comparing its two answers said. Incomparable teaches nothing.
    pub fn asked_twice(&mut self, verdict: &Verdict) {
        if matches!(verdict, Verdict::Incomparable(_)) {
            return;
        }
        self.asked_twice += 1;
        self.count(verdict, |disagreed| &mut disagreed.with_itself);
    }

    /// Both arms were asked: what comparing them said.
    pub fn compared(&mut self, verdict: &Verdict) {
        if matches!(verdict, Verdict::Incomparable(_)) {
            return;
        }
        self.compared += 1;
        self.count(verdict, |disagreed| &mut disagreed.with_candidate);
    }

    /// A mismatch whose every signature is known noise becomes noise; everything else stays what it is.
    #[must_use]
    pub fn settle(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Mismatch(differences) if self.is_all_noise(&differences) => Verdict::Noise(differences),
            other => other,
        }
    }

    /// What is known of one signature.
    pub fn verdict(&self, signature: &Signature) -> NoiseVerdict {
        self.by_signature.get(signature).map_or(NoiseVerdict::Unlearned, |disagreed| self.judge(*disagreed))
    }

    /// All signatures with their counts.
    pub fn learned(&self) -> impl Iterator<Item = Learned> {
        self.by_signature.iter().map(|(signature, disagreed)| Learned {
            signature: signature.clone(),
            disagreed: *disagreed,
            verdict: self.judge(*disagreed),
        })
    }

    /// Requests that legacy was asked twice.
    pub fn requests_asked_twice(&self) -> u64 {
        self.asked_twice
    }

    /// Requests that both arms were asked.
    pub fn requests_compared(&self) -> u64 {
        self.compared
    }

    /// Sightings of signatures for which there was no room.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// As it was stored. No signature disagreed more often than was asked.
    pub(crate) fn stored(
        asked_twice: u64,
        compared: u64,
        by_signature: BTreeMap<Signature, Disagreed>,
        overflow: u64,
    ) -> Self {
        Self {
            asked_twice,
            compared,
            by_signature: by_signature.into_iter().take(LEARNED_MAX).collect(),
            overflow,
        }
    }

    fn is_all_noise(&self, differences: &Differences) -> bool {
        differences.more == 0
            && differences.signatures().all(|signature| self.verdict(signature) == NoiseVerdict::Noise)
    }

    fn count(&mut self, verdict: &Verdict, field: fn(&mut Disagreed) -> &mut u64) {
        let (Verdict::Mismatch(differences) | Verdict::Noise(differences)) = verdict else { return };
        for signature in differences.signatures() {
            if let Some(disagreed) = self.by_signature.get_mut(signature) {
                *field(disagreed) += 1;
            } else if self.by_signature.len() < LEARNED_MAX {
                *field(self.by_signature.entry(signature.clone()).or_default()) += 1;
            } else {
                self.overflow += 1;
            }
        }
    }

    fn judge(&self, disagreed: Disagreed) -> NoiseVerdict {
        let Disagreed { with_itself, with_candidate } = disagreed;
        if self.asked_twice < ASKED_TWICE_MIN {
            return NoiseVerdict::Unlearned;
        }
        match with_itself {
            0 => NoiseVerdict::NotNoise,
            few if few < DISAGREED_MIN => NoiseVerdict::Unlearned,
            _ if is_higher(with_candidate, self.compared, with_itself, self.asked_twice) => {
                NoiseVerdict::NotNoise
            }
            _ => NoiseVerdict::Noise,
        }
    }
}

/// Whether `hits` of `trials` is significantly more than `base_hits` of `base_trials`.
#[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose less than a test can tell")]
fn is_higher(hits: u64, trials: u64, base_hits: u64, base_trials: u64) -> bool {
    let (k1, n1, k2, n2) = (hits as f64, trials as f64, base_hits as f64, base_trials as f64);
    // Nothing compared, or not more often: no question. Cross-multiplied, so nothing is divided by 0.
    if k1 * n2 <= k2 * n1 {
        return false;
    }
    let pooled = (k1 + k2) / (n1 + n2);
    if n1.min(n2) * pooled.min(1.0 - pooled) < EXPECTED_MIN {
        return at_most_by_chance(base_hits, base_trials, hits + base_hits, trials + base_trials) < ALPHA;
    }
    let z = (k1 / n1 - k2 / n2) / (pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)).sqrt();
    z > Z_ALPHA
}

/// Probability of at most `k` marked in a draw of `n` of `all`, `marked` of which are marked (hypergeometric).
/// The sum goes down from `k`, where the terms are largest, and ends where they no longer count.
#[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose less than a test can tell")]
fn at_most_by_chance(k: u64, n: u64, marked: u64, all: u64) -> f64 {
    let least = n.saturating_sub(all - marked);
    let mut term = (ln_choose(marked, k) + ln_choose(all - marked, n - k) - ln_choose(all, n)).exp();
    let mut sum = 0.0;
    for x in (least..=k).rev() {
        sum += term;
        if term < sum * 1e-12 {
            break;
        }
        let up = (x as f64) * ((all - marked + x) as f64 - n as f64);
        let down = ((marked - x + 1) as f64) * ((n - x + 1) as f64);
        term *= up / down;
    }
    sum
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Exact to 10 digits: summed below 32, Stirling's series from there (NIST Digital Library, 5.11.1).
#[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose less than a test can tell")]
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|factor| (factor as f64).ln()).sum();
    }
    let n = n as f64;
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[cfg(test)]
mod tests {
    use super::{Disagreed, Learning, NoiseVerdict, at_most_by_chance, is_higher, ln_factorial};

    #[track_caller]
    fn check(itself: (u64, u64), candidate: (u64, u64), expected: NoiseVerdict) {
        let learning = Learning { asked_twice: itself.1, compared: candidate.1, ..Learning::default() };
        let disagreed = Disagreed { with_itself: itself.0, with_candidate: candidate.0 };
        assert_eq!(learning.judge(disagreed), expected, "{itself:?} {candidate:?}");
    }

    #[test]
    fn counts_decide() {
        use NoiseVerdict::{Noise, NotNoise, Unlearned};
        check((0, 4), (300, 300), Unlearned);
        check((4, 4), (300, 300), Unlearned);
        check((0, 6), (10, 300), NotNoise);
        check((1, 6), (10, 300), Unlearned);
        check((6, 6), (300, 300), Noise);
        check((2, 6), (100, 300), Noise);
        check((2, 100), (100, 100), NotNoise);
        check((30, 100), (300, 1_000), Noise);
        check((30, 100), (600, 1_000), NotNoise);
        check((300, 1_000), (310, 1_000), Noise);
        check((2, 10), (0, 0), Noise);
    }

    /// Computed with whole numbers, which lose nothing.
    #[test]
    fn tails_are_right() {
        assert!((at_most_by_chance(1, 5, 5, 10) - 0.103_174_603).abs() < 1e-8);
        assert!((at_most_by_chance(2, 10, 12, 30) - 0.116_998_644).abs() < 1e-8);
        assert!((at_most_by_chance(3, 50, 40, 400) - 0.232_018_546).abs() < 1e-8);
        assert!((at_most_by_chance(6, 6, 306, 306) - 1.0).abs() < 1e-9);
        assert!((ln_factorial(100) - 363.739_375_555_56).abs() < 1e-8);
        assert!(!is_higher(0, 0, 0, 0));
    }
}
