//! The time of day as the admin API and the history write it.

use jiff::Timestamp;

/// Now, RFC 3339 in UTC, to the millisecond.
pub(crate) fn now() -> String {
    // Always three digits: a column of times lines up.
    format!("{:.3}", Timestamp::now())
}
