//! One text for one instant, where a rule says that a value is a date.
//!
//! Read are RFC 3339 and its relatives (`2026-05-01T12:00:00+02:00`, a space for the `T`), dates as e-mail and HTTP
//! write them (RFC 2822, RFC 9110), and whole numbers: seconds since 1970 below 10^11, milliseconds from there.
//! A time without an offset is no instant: it only equals the same time without an offset.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;

const EMAIL: DateTimeParser = DateTimeParser::new();

/// Of a string; none if it is no date.
pub(crate) fn of_text(text: &str) -> Option<String> {
    // The longest of these forms, with nanoseconds and a zone's name.
    if text.len() > 80 || !text.contains(':') {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.to_string());
    }
    if let Ok(instant) = EMAIL.parse_timestamp(text) {
        return Some(instant.to_string());
    }
    text.parse::<DateTime>().ok().map(|local| local.to_string())
}

/// Of a number; none if it is not whole or lies outside of the years that are known.
pub(crate) fn of_number(text: &str) -> Option<String> {
    let number: i64 = text.parse().ok()?;
    let instant = if number.unsigned_abs() < 100_000_000_000 {
        Timestamp::from_second(number)
    } else {
        Timestamp::from_millisecond(number)
    };
    instant.ok().map(|instant| instant.to_string())
}

#[cfg(test)]
mod tests {
    use super::{of_number, of_text};

    #[test]
    fn one_instant_has_one_text() {
        let expected = Some("2026-05-01T10:00:00Z".to_owned());
        for text in [
            "2026-05-01T10:00:00Z",
            "2026-05-01T12:00:00+02:00",
            "2026-05-01 10:00:00.000Z",
            "2026-05-01T12:00:00+0200",
            "Fri, 01 May 2026 10:00:00 GMT",
            "Fri, 1 May 2026 12:00:00 +0200",
        ] {
            assert_eq!(of_text(text), expected, "{text}");
        }
        assert_eq!(of_number("1777629600"), expected);
        assert_eq!(of_number("1777629600000"), expected);
        assert_eq!(of_text("2026-05-01 10:00:00"), Some("2026-05-01T10:00:00".to_owned()));
        for text in ["", "2026-05-01", "10:00", "a:b", "1777629600"] {
            assert_eq!(of_text(text), None, "{text}");
        }
        assert_eq!(of_number("1.5"), None);
    }
}
