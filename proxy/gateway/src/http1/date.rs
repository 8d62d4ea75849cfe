//! The hour of an answer that has none (RFC 9110 6.6.1), written once a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

thread_local! {
    static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

pub(super) fn write(out: &mut Vec<u8>) {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(of, text)| {
        if *of != second {
            let now = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
            let now = now.unwrap_or(Timestamp::UNIX_EPOCH);
            *text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
            *of = second;
        }
        out.extend_from_slice(text.as_bytes());
    });
}
