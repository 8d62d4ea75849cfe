//! Sizes in bytes: a whole number with a binary unit.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::reader::{Found, Read, Reader};
use crate::problem::Draft;

/// What turns a limit off where a default has turned it on.
const UNLIMITED: &str = "unlimited";

const UNITS: &str = "a whole number of `B`, `KiB`, `MiB` or `GiB`";

/// Most bytes of something: `"64KiB"`, or none at all for `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MostBytes(pub(crate) Option<u64>);

/// Bytes of something that cannot be without end: `"256KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl Read for MostBytes {
    const EXPECTED: &'static str = "a size such as `\"64KiB\"`";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text::<Self>(found, unit_hint(found, reader))?;
        if text == UNLIMITED {
            return Some(Self(None));
        }
        let size = parse(&text).map(|bytes| Self(Some(bytes)));
        size.or_else(|| reader.refuse(no_size(&text, found).hint(format!("{UNITS}, or `{UNLIMITED}`"))))
    }
}

impl Read for Bytes {
    const EXPECTED: &'static str = MostBytes::EXPECTED;

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text::<Self>(found, unit_hint(found, reader))?;
        parse(&text).map(Self).or_else(|| reader.refuse(no_size(&text, found).hint(UNITS)))
    }
}

/// For a bare number.
fn unit_hint(found: &Found<'_>, reader: &Reader<'_>) -> Option<String> {
    let (key, raw) = (found.key, reader.raw(found));
    let bare = raw.bytes().all(|byte| byte.is_ascii_digit());
    bare.then(|| format!("say the unit: `{key} = \"{raw}B\"` or `{key} = \"{raw}KiB\"`"))
}

fn no_size(text: &str, found: &Found<'_>) -> Draft {
    let message = format!("`{}` must be {}, found `{text}`", found.key, MostBytes::EXPECTED);
    Draft::error("bad-size", found.spot, message)
}

impl JsonSchema for MostBytes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `$` lets variables through.
        schemars::json_schema!({
            "type": "string",
            "description": "a size: a whole number of `B`, `KiB`, `MiB` or `GiB`, or `unlimited`",
            "pattern": r"^([0-9]{1,9}(B|KiB|MiB|GiB)|unlimited)$|\$\{",
        })
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^[0-9]{1,9}(B|KiB|MiB|GiB)$|\$\{" })
    }
}

/// `None` when the text is no size.
fn parse(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok().filter(|_| digits <= 9)?;
    let units = [("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (_, shift) = units.into_iter().find(|(unit, _)| *unit == &text[digits..])?;
    Some(number << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        assert_eq!(parse("0B"), Some(0));
        assert_eq!(parse("500B"), Some(500));
        assert_eq!(parse("64KiB"), Some(65_536));
        assert_eq!(parse("10MiB"), Some(10_485_760));
        assert_eq!(parse("999999999GiB"), Some(999_999_999 << 30));
    }

    #[test]
    fn near_misses_are_no_sizes() {
        for text in
            ["", "5", "B", "1.5MiB", "-1B", "1 KiB", "1kB", "1KB", "1kib", "1K", "1TiB", "1000000000B"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
