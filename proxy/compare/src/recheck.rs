//! A mismatch, looked at again: both arms were asked the same once more.
//!
//! The second answer of legacy tells of this very request what legacy does not agree on with itself: an id, a time. That
//! holds before anything was learned, and for what legacy wavers on too rarely to be learned. It is no statistic: nothing of
//! it goes into [`crate::Learning`], which must not hear of mismatches more often than of matches.

use std::collections::BTreeSet;

use crate::signature::Signature;
use crate::verdict::{Differences, Verdict};

/// What is left of a mismatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rechecked {
    /// These differences came again, and legacy agrees with itself on them.
    Stays(Differences),
    /// Legacy does not agree with itself on any of them.
    Noise(Differences),
    /// They did not come again.
    Transient,
}

/// `first` is the mismatch, `again` what comparing the second answers said, `legacy` what comparing the two answers of
/// legacy said.
///
/// What cannot be compared takes nothing away. A mismatch with more differences than are kept stays one.
pub fn recheck(first: Differences, again: &Verdict, legacy: &Verdict) -> Rechecked {
    let wavering: BTreeSet<&Signature> = signatures(legacy).into_iter().flatten().collect();
    let is_own = |signature: &Signature| !wavering.contains(signature);
    if first.more == 0 && !first.signatures().any(is_own) {
        return Rechecked::Noise(first);
    }
    let came_again = signatures(again).map(|found| found.into_iter().collect::<BTreeSet<_>>());
    let stays = |signature: &Signature| {
        is_own(signature) && came_again.as_ref().is_none_or(|again| again.contains(signature))
    };
    let Differences { kept, more, ignored } = first;
    let kept: Vec<_> = kept.into_iter().filter(|found| stays(&found.signature)).collect();
    if kept.is_empty() && (more == 0 || came_again.is_some_and(|again| again.is_empty())) {
        return Rechecked::Transient;
    }
    Rechecked::Stays(Differences { kept, more, ignored })
}

/// None where nothing was compared.
fn signatures(verdict: &Verdict) -> Option<Vec<&Signature>> {
    match verdict {
        Verdict::Match | Verdict::Ignored(_) => Some(Vec::new()),
        Verdict::Noise(differences) | Verdict::Mismatch(differences) => {
            Some(differences.signatures().collect())
        }
        Verdict::Incomparable(_) => None,
    }
}
