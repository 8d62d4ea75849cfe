//! `shadow` of a route.

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::duration::Span;
use super::reader::{Found, Located, Read, Reader};
use super::size::Bytes;
use super::sticky;
use super::table::table;
use super::word::ShadowWritesWord;
use crate::table::Share;

table! {
    /// A copy of some requests goes to the arm that did not answer, whose answer nobody is shown.
    ShadowTable in "`shadow`" {
        /// Percent of requests that are copied, 0 to 100, at most three decimals.
        must percent: Share,
        /// Longest body, either way, that is copied and compared, up to `8MiB`, `256KiB` when absent; `0B` is heads only.
        may max_body: Bytes,
        /// From sending a copy to the end of its answer, up to `5m`, `5s` when absent.
        may timeout: Span,
        /// Fields of the request that the copy goes without.
        may strip_headers: Vec<Located<HeaderWord>>,
        /// Copies of unsafe requests: `never` when absent, `dry-run` to a candidate that honours it.
        may writes: ShadowWritesWord,
    }
    later []
    hints [
        "" => "write it like `shadow = { percent = 10 }`",
        "percent" => "write `percent = 1` to copy one request in a hundred",
        "share" => "did you mean `percent`?",
        "sample" => "did you mean `percent`?",
        "to" => "leave it out: a copy goes to the arm that did not answer",
        "headers" => "did you mean `strip_headers`?",
        "strip" => "did you mean `strip_headers`?",
        "compare" => "write `compare` beside `shadow`, not in it",
        "ignore" => "write `compare = { ignore = [...] }` beside `shadow`",
        "dry_run" => "did you mean `writes`? write `writes = \"dry-run\"`",
        "methods" => "leave it out: safe methods are copied, and `writes` is about the others",
    ]
}

/// The name of a header.
#[derive(Debug, Clone)]
pub(crate) struct HeaderWord(pub(crate) HeaderName);

impl Read for HeaderWord {
    const EXPECTED: &'static str = "a string";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text::<Self>(found, None)?;
        sticky::header_name(&text, found, reader).map(Self)
    }
}

impl JsonSchema for HeaderWord {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HeaderName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1 })
    }
}
