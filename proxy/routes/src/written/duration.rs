//! Durations as in the Gateway API (GEP-2257): one to four parts of up to five digits with a unit.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::reader::{Found, Read, Reader};
use crate::problem::Draft;

/// A duration longer than zero: `"250ms"`, `"1m30s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl Read for Span {
    const EXPECTED: &'static str = "a duration such as `\"60s\"`";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = reader.raw(found).to_owned();
        let hint = raw
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| format!("say the unit: `{key} = \"{raw}s\"` or `{key} = \"{raw}ms\"`", key = found.key));
        let text = reader.text::<Self>(found, hint)?;
        match parse(&text) {
            Some(Duration::ZERO) => {
                let message = format!("`{}` must be longer than nothing, found `{text}`", found.key);
                reader.refuse(Draft::error("out-of-range", found.spot, message))
            }
            Some(duration) => Some(Self(duration)),
            None => {
                let message = format!("`{}` must be {}, found `{text}`", found.key, Self::EXPECTED);
                let hint = "up to four parts of `h`, `m`, `s` and `ms`, whole numbers: `1m30s`, `1s500ms`";
                reader.refuse(Draft::error("bad-duration", found.spot, message).hint(hint))
            }
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `$` lets variables through: `"${TIMEOUT:-60s}"`.
        schemars::json_schema!({
            "type": "string",
            "description": "a duration: up to four parts of `h`, `m`, `s` and `ms`, for example `1m30s`",
            "pattern": r"^([0-9]{1,5}(h|m|s|ms)){1,4}$|\$\{",
        })
    }
}

/// `None` when the text is no duration.
fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    for _ in 0..4 {
        let (part, after) = part(rest)?;
        total += part;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
    None
}

fn part(text: &str) -> Option<(Duration, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok().filter(|_| digits <= 5)?;
    let rest = &text[digits..];
    // `ms` before `m`: the longer unit wins.
    let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let (unit, millis) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
    Some((Duration::from_millis(number * millis), &rest[unit.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let millis = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1h2m3s4ms"), Some(3_723_004));
        assert_eq!(millis("99999h"), Some(359_996_400_000));
        assert_eq!(millis("0s"), Some(0));
    }

    #[test]
    fn near_misses_are_no_durations() {
        for text in
            ["", "5", "s", "1.5s", "-1s", "+1s", "1 s", "1d", "1us", "100000s", "1s1s1s1s1s", "1S", "1s "]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
