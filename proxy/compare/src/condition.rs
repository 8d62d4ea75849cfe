//! Requests that ask for an answer only if something holds (RFC 9110, 13).
//!
//! The tags and dates of one arm say nothing to the other: legacy says that nothing has changed, the candidate sends all of
//! it. Both are right, and nothing can be compared.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, StatusCode};

use crate::observation::{Arm, Observation};
use crate::verdict::{Incomparable, IncomparableReason};

/// Whether one arm alone found a condition of the request to hold, and the other one succeeded as if there was none.
pub fn conditional(
    request: &HeaderMap,
    legacy: &Observation,
    candidate: &Observation,
) -> Option<Incomparable> {
    let (Observation::Answered(legacy), Observation::Answered(candidate)) = (legacy, candidate) else {
        return None;
    };
    let arm = match (is_of_condition(request, legacy.status), is_of_condition(request, candidate.status)) {
        (true, false) if is_whole(candidate.status) => Arm::Legacy,
        (false, true) if is_whole(legacy.status) => Arm::Candidate,
        _ => return None,
    };
    Some(Incomparable { arm, reason: IncomparableReason::Conditional })
}

fn is_of_condition(request: &HeaderMap, status: StatusCode) -> bool {
    match status {
        StatusCode::NOT_MODIFIED => {
            request.contains_key(IF_NONE_MATCH) || request.contains_key(IF_MODIFIED_SINCE)
        }
        StatusCode::PRECONDITION_FAILED => {
            [IF_MATCH, IF_NONE_MATCH, IF_UNMODIFIED_SINCE].iter().any(|name| request.contains_key(name))
        }
        StatusCode::PARTIAL_CONTENT => request.contains_key(IF_RANGE),
        _ => false,
    }
}

/// A fault beside a condition stays one.
fn is_whole(status: StatusCode) -> bool {
    status.is_success()
}
