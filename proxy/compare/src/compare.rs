//! Are two answers the same?

use jiff::civil::Date;

use crate::findings::Findings;
use crate::observation::{Arm, Observation};
use crate::rules::Rules;
use crate::verdict::{Incomparable, Verdict};
use crate::{body, head};

/// Compares what both arms answered to one request. `today` decides which accepted differences have expired.
///
/// An arm without an answer, or a body that cannot be compared, is incomparable, unless the status differs in a way
/// that counts: that is a mismatch whatever the bodies say.
///
/// Bounds: bodies of [`crate::DECODED_BYTES_MAX`] bytes, [`crate::NODES_MAX`] JSON values, [`crate::DEPTH_MAX`]
/// levels, [`crate::SIGNATURES_MAX`] signatures. Time is linear in the bodies but for sorting, and for a table of
/// 65 536 pairs of array items.
pub fn compare(legacy: &Observation, candidate: &Observation, rules: &Rules, today: Date) -> Verdict {
    let (legacy, candidate) = match (legacy, candidate) {
        (Observation::Answered(legacy), Observation::Answered(candidate)) => (legacy, candidate),
        (Observation::Failed(failure), _) => {
            return Verdict::Incomparable(Incomparable::of(Arm::Legacy, *failure));
        }
        (_, Observation::Failed(failure)) => {
            return Verdict::Incomparable(Incomparable::of(Arm::Candidate, *failure));
        }
    };
    let mut findings = Findings::new(rules, today);
    head::differ_status(legacy, candidate, &mut findings);
    let status_differs = !findings.is_empty();
    head::differ_headers(&legacy.headers, &candidate.headers, &mut findings);
    match body::differ(legacy, candidate, &mut findings) {
        Err(incomparable) if !status_differs => Verdict::Incomparable(incomparable),
        _ => findings.into_verdict(),
    }
}
