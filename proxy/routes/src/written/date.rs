//! A day or a moment, as a string or as a TOML date.

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{Timestamp, civil, tz::TimeZone};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml_edit::Value;

use super::reader::{Found, Node, Read, Reader};
use crate::problem::Draft;

/// An HTTP date (RFC 9110 5.6.7): `Wed, 30 Jun 2027 00:00:00 GMT`.
#[derive(Debug, Clone)]
pub(crate) struct DateText(pub(crate) String);

impl Read for DateText {
    const EXPECTED: &'static str = "a date such as `\"2027-06-30\"`";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text::<Self>(found, reader)?;
        http_date(&text).map(Self).or_else(|| {
            let message = format!("`{}` must be {}, found `{text}`", found.key, Self::EXPECTED);
            let hint = "a day `2027-06-30`, or a moment with its offset `2027-06-30T12:00:00Z`";
            reader.refuse(Draft::error("bad-date", found.spot, message).hint(hint))
        })
    }
}

/// A whole day: `2026-12-31`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day(pub(crate) civil::Date);

impl Read for Day {
    const EXPECTED: &'static str = "a day such as `\"2026-12-31\"`";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = text::<Self>(found, reader)?;
        day(&text).map(Self).or_else(|| {
            let message = format!("`{}` must be {}, found `{text}`", found.key, Self::EXPECTED);
            reader.refuse(
                Draft::error("bad-date", found.spot, message).hint("year, month and day: `2026-12-31`"),
            )
        })
    }
}

/// A date may stand without quotes.
fn text<T: Read>(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<String> {
    match found.node {
        Node::Value(Value::Datetime(date)) => Some(date.value().to_string()),
        _ => reader.text::<T>(found, None),
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$|\$\{" })
    }
}

impl JsonSchema for DateText {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

/// A day is its first moment in UTC; a moment needs its offset.
fn http_date(text: &str) -> Option<String> {
    let moment = match day(text) {
        Some(day) => day.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        None => text.parse::<Timestamp>().ok()?,
    };
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
}

/// `civil::Date` reads the date of a longer text too.
fn day(text: &str) -> Option<civil::Date> {
    text.parse().ok().filter(|_| text.len() == "2027-06-30".len())
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn days_and_moments() {
        let midnight = Some("Wed, 30 Jun 2027 00:00:00 GMT".to_owned());
        assert_eq!(http_date("2027-06-30"), midnight);
        assert_eq!(http_date("2027-06-30T02:00:00+02:00"), midnight);
        for text in ["", "30.6.2027", "2027-06-31", "2027-06-30T12:00:00", "12:00:00", "soon", "-9999-01-01"]
        {
            assert_eq!(http_date(text), None, "{text:?}");
        }
    }
}
