//! `compare` of a route.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::date::Day;
use super::duration::Span;
use super::reader::{Field, Found, Located, Read, Reader};
use super::shadow::HeaderWord;
use super::table::table;
use super::word::{HtmlSpaceWord, NumbersWord};
use crate::table::Share;

table! {
    /// How the two answers to a shadowed request are compared.
    CompareTable in "`compare`" {
        /// What may differ: `/a/pointer` (`*` is one step, `**` any number), `header:NAME`, `cookie:NAME`, `status`, `body`, or a signature.
        may ignore: Vec<Located<String>>,
        /// Arrays whose order means nothing: `/items`, or `{ array = "/items", key = "id" }`. The first that names a place counts.
        may unordered: Vec<Located<UnorderedEntry>>,
        /// Numbers that may differ a little. The first that names a place counts.
        may tolerance: Vec<Located<ToleranceTable>>,
        /// Whether `1`, `1.0` and `1e0` are one: `written` when absent, where they are not; `value`, where they are.
        may numbers: NumbersWord,
        /// Pointers to dates: one instant written differently is the same.
        may dates: Vec<Located<String>>,
        /// White space in HTML: `kept` when absent, `collapsed` where it does not count.
        may html_space: HtmlSpaceWord,
        /// Which header fields are compared; all but a built-in list when absent.
        may headers: HeadersTable,
        /// What may differ until a day, and why.
        may accepted: Vec<Located<AcceptedTable>>,
        /// Pointers to what samples are kept without, beside what is always taken out.
        may redact: Vec<Located<String>>,
        /// Percent of compared safe requests that legacy is asked twice, to learn what it does not agree on with itself; 0 when absent.
        may noise_percent: Share,
        /// Time after which both arms are asked again about a mismatch, up to `5m`, `300ms` when absent.
        may recheck_after: Span,
    }
    later []
    hints [
        "" => "write it like `compare = { ignore = [\"header:date\", \"/items/*/etag\"] }`",
        "noise" => "did you mean `noise_percent`?",
        "percent" => "did you mean `noise_percent`? how much is compared stands in `shadow`",
        "recheck" => "did you mean `recheck_after`?",
        "tolerances" => "did you mean `tolerance`?",
        "exclude" => "did you mean `ignore`?",
        "except" => "write `headers = { except = [...] }` for headers, `ignore` for all else",
        "only" => "write `headers = { only = [...] }`",
        "also" => "write `headers = { also = [...] }`",
        "accept" => "did you mean `accepted`?",
        "html" => "did you mean `html_space`?",
        "max_body" => "`max_body` belongs to `shadow`",
        "timeout" => "`timeout` belongs to `shadow`",
    ]
}

table! {
    /// An array whose order means nothing.
    UnorderedTable in "an entry of `unordered`" {
        /// Pointer to the array.
        must array: String,
        /// Items belong together whose members of this name are equal.
        may key: String,
    }
    later []
    hints [
        "array" => "write it like `{ array = \"/items\", key = \"id\" }`",
        "path" => "did you mean `array`?",
        "by" => "did you mean `key`?",
    ]
}

table! {
    /// How far two numbers may be apart: `absolute`, `relative`, or both, where either is enough.
    ToleranceTable in "an entry of `tolerance`" {
        /// Pointer to the numbers; all numbers when absent.
        may path: String,
        /// By this much.
        may absolute: f64,
        /// By this part of the larger one: `0.001` is one in a thousand.
        may relative: f64,
    }
    later []
    hints [
        "" => "write it like `{ path = \"/price\", absolute = 0.01 }`",
        "what" => "did you mean `path`?",
        "percent" => "did you mean `relative`? one percent is `relative = 0.01`",
    ]
}

table! {
    /// Which header fields are compared: `only` alone, or the built-in list made longer or shorter.
    HeadersTable in "`headers`" {
        /// These alone.
        may only: Vec<Located<HeaderWord>>,
        /// Left out, beside the built-in list.
        may except: Vec<Located<HeaderWord>>,
        /// Compared although the built-in list leaves them out.
        may also: Vec<Located<HeaderWord>>,
    }
    later []
    hints [
        "" => "write it like `headers = { except = [\"x-shard\"] }`",
        "ignore" => "did you mean `except`?",
        "exclude" => "did you mean `except`?",
        "include" => "did you mean `also`?",
    ]
}

table! {
    /// A difference that somebody agreed to.
    AcceptedTable in "an entry of `accepted`" {
        /// What may differ, as in `ignore`.
        must what: String,
        /// Why, for people.
        must reason: String,
        /// The last day on which it may, `2026-12-31`; from the next on it counts again.
        must until: Day,
    }
    later []
    hints [
        "" => "write it like `{ what = \"/total\", reason = \"rounding, see MIG-7\", until = \"2026-12-31\" }`",
        "what" => "name what may differ, as in `ignore`: `what = \"/total\"`",
        "reason" => "say why, for who reads it next year: `reason = \"...\"`",
        "until" => "say how long: `until = \"2026-12-31\"`; what may differ for ever stands in `ignore`",
        "path" => "did you mean `what`?",
        "expires" => "did you mean `until`?",
        "why" => "did you mean `reason`?",
    ]
}

/// One entry of `unordered`: a pointer, or a pointer and a key.
#[derive(Debug, Clone)]
pub(crate) struct UnorderedEntry {
    pub(crate) array: Located<String>,
    pub(crate) key: Field<String>,
}

impl Read for UnorderedEntry {
    const EXPECTED: &'static str = "a string or a table";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if found.node.table().is_some() {
            let UnorderedTable { array, key } = UnorderedTable::read(found, reader)?;
            return array.good().cloned().map(|array| Self { array, key });
        }
        let array = reader.text::<Self>(found, None)?;
        Some(Self { array: Located { value: array, spot: found.spot }, key: Field::Absent })
    }
}

impl JsonSchema for UnorderedEntry {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Unordered".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<UnorderedTable>();
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
