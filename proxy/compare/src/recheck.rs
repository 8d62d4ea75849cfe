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
/// What cannot be compared takes nothing away. A mismatch with more differences than are kept stays one, and so does one in
/// whose place another came: an answer that is wrong in a new way each time is no passing trouble.
pub fn recheck(first: Differences, again: &Verdict, legacy: &Verdict) -> Rechecked {
    let wavering: BTreeSet<&Signature> = signatures(legacy).into_iter().flatten().collect();
    let is_own = |signature: &Signature| !wavering.contains(signature);
    if first.more == 0 && !first.signatures().any(is_own) {
        return Rechecked::Noise(first);
    }
    let Some(found) = signatures(again) else { return Rechecked::Stays(own(first, is_own)) };
    let found: BTreeSet<&Signature> = found.into_iter().filter(|signature| is_own(signature)).collect();
    if found.is_empty() && more(again) == 0 {
        return Rechecked::Transient;
    }
    let first = own(first, is_own);
    if first.signatures().any(|signature| found.contains(signature)) {
        return Rechecked::Stays(own(first, |signature| found.contains(signature)));
    }
    Rechecked::Stays(first)
}

/// Only these of the kept ones.
fn own(differences: Differences, is_one: impl Fn(&Signature) -> bool) -> Differences {
    let kept = differences.kept.into_iter().filter(|found| is_one(&found.signature)).collect();
    Differences { kept, ..differences }
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

/// Differences that are not kept.
fn more(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Noise(differences) | Verdict::Mismatch(differences) => differences.more,
        Verdict::Match | Verdict::Ignored(_) | Verdict::Incomparable(_) => 0,
    }
}
