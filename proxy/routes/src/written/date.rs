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
        let text = match found.node {
            Node::Value(Value::Datetime(date)) => date.value().to_string(),
            _ => reader.text::<Self>(found, None)?,
        };
        http_date(&text).map(Self).or_else(|| {
            let message = format!("`{}` must be {}, found `{text}`", found.key, Self::EXPECTED);
            let hint = "a day `2027-06-30`, or a moment with its offset `2027-06-30T12:00:00Z`";
            reader.refuse(Draft::error("bad-date", found.spot, message).hint(hint))
        })
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

/// A day is its first moment in UTC.
fn http_date(text: &str) -> Option<String> {
    // `civil::Date` reads the date of a longer text too; a moment needs its offset.
    let moment = if text.len() == "2027-06-30".len() {
        text.parse::<civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        text.parse::<Timestamp>().ok()?
    };
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).ok()
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
