//! Percent in thousandths, read from the text of the number: a float would round it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml_edit::Value;

use super::reader::{Found, Node, Read, Reader};
use crate::problem::Draft;
use crate::table::Share;

impl Read for Share {
    const EXPECTED: &'static str = "a number from 0 to 100";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = reader.raw(found).to_owned();
        let Node::Value(Value::Integer(_) | Value::Float(_)) = found.node else {
            let number = found.node.string().map(|text| text.trim_end_matches('%').trim());
            let number = number.filter(|text| parse(text).is_ok());
            let hint = number.map(|number| format!("write `{} = {number}`, without quotes", found.key));
            return reader.wrong_type(found, hint);
        };
        parse(&raw).map_err(|wrong| reader.problems.push(wrong.draft(&raw, found))).ok()
    }
}

impl JsonSchema for Share {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // No `multipleOf`: validators compute it in floats and refuse 12.345.
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 100 })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wrong {
    Range,
    Decimals,
    Spelling,
}

impl Wrong {
    fn draft(&self, raw: &str, found: &Found<'_>) -> Draft {
        let key = found.key;
        match self {
            Self::Range => {
                let message = format!("`{key}` must be from 0 to 100, found `{raw}`");
                Draft::error("percent-out-of-range", found.spot, message)
            }
            Self::Decimals => {
                let message = format!("`{key}` has at most three decimals, found `{raw}`");
                Draft::error("percent-too-fine", found.spot, message)
                    .hint("the smallest step is 0.001: one client in 100 000")
            }
            Self::Spelling => {
                let message = format!("`{key}` must be a plain decimal number, found `{raw}`");
                Draft::error("bad-percent", found.spot, message).hint("write it like `12.5`")
            }
        }
    }
}

fn parse(raw: &str) -> Result<Share, Wrong> {
    let text = raw.replace('_', "");
    let text = text.strip_prefix('+').unwrap_or(&text);
    let (unsigned, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
    let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return Err(Wrong::Spelling);
    }
    if decimals.len() > 3 {
        return Err(Wrong::Decimals);
    }
    let thousandths = format!("{whole}{decimals:0<3}").parse().ok().filter(|_| !negative);
    thousandths.and_then(Share::from_thousandths).ok_or(Wrong::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let thousandths = |raw| parse(raw).map(Share::thousandths);
        let good =
            [("0", 0), ("100", 100_000), ("100.000", 100_000), ("0.001", 1), ("12.5", 12_500), ("+5", 5_000)];
        for (raw, expected) in good {
            assert_eq!(thousandths(raw), Ok(expected), "{raw}");
        }
        // 33.333 and 99.999 are not floats.
        assert_eq!(thousandths("33.333"), Ok(33_333));
        assert_eq!(thousandths("99.999"), Ok(99_999));
    }

    #[test]
    fn near_misses() {
        for raw in ["100.001", "101", "-1", "-0", "99999999999999999999"] {
            assert_eq!(parse(raw), Err(Wrong::Range), "{raw}");
        }
        for raw in ["0.0001", "12.5000"] {
            assert_eq!(parse(raw), Err(Wrong::Decimals), "{raw}");
        }
        for raw in ["1e1", "inf", "nan", "0x10", "0b1", ""] {
            assert_eq!(parse(raw), Err(Wrong::Spelling), "{raw}");
        }
    }
}
