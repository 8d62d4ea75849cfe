//! The time of day as the admin API and the history write it.

use std::time::SystemTime;

use jiff::Timestamp;

/// Now, RFC 3339 in UTC, to the millisecond.
pub(crate) fn now() -> String {
    // Always three digits: a column of times lines up.
    format!("{:.3}", Timestamp::now())
}

/// That moment, written alike.
pub(crate) fn told(at: SystemTime) -> String {
    told_ms(ms(at))
}

/// Milliseconds since 1970, written alike. A moment that has no date is the last one that has.
pub(crate) fn told_ms(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", at.unwrap_or(Timestamp::MAX))
}

/// Milliseconds since 1970; a clock that is set before that counts as 1970.
pub(crate) fn ms(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
