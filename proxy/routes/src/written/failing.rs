//! `fallback` of a route and `breaker` of an upstream.

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::duration::Span;
use super::reader::{Found, Located, Node, Read, Reader};
use super::table::{nearest, table};
use crate::failing::FallbackCause;
use crate::problem::Draft;

table! {
    /// When a request that the candidate cannot answer goes to legacy.
    FallbackTable in "`fallback`" {
        /// Causes, at least one: `connect-error`, `timeout`, `reset`, `no-target`, `breaker-open`, or a status such as `503`.
        must on: Vec<Located<CauseWord>>,
    }
    later ["max_body"]
    hints [
        "" => "write it like `fallback = { on = [\"connect-error\", \"timeout\"] }`",
        "on" => "write it like `fallback = { on = [\"connect-error\", \"timeout\"] }`",
        "to" => "leave it out: a fallback always goes to legacy",
    ]
}

table! {
    /// When requests of candidates leave the upstream alone.
    BreakerTable in "`breaker`" {
        /// Opens at this many errors in a hundred requests, 1 to 100, `50` when absent.
        may error_percent: u32,
        /// Over the requests of this last time, 100 ms to 10 min, `10s` when absent.
        may window: Span,
        /// But not below this many requests in the window, `20` when absent.
        may min_requests: u32,
        /// Time without any request, until a few probe again, `15s` when absent.
        may open_for: Span,
    }
    later ["statuses", "probes", "slow_start"]
    hints [
        "" => "write it like `breaker = { error_percent = 50, window = \"10s\" }`, or `breaker = {}`",
        "percent" => "did you mean `error_percent`?",
        "threshold" => "did you mean `error_percent`?",
        "interval" => "did you mean `window`?",
        "timeout" => "did you mean `open_for`?",
    ]
}

/// One entry of `on`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CauseWord(pub(crate) FallbackCause);

impl Read for CauseWord {
    const EXPECTED: &'static str = "a string";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let bare = matches!(found.node, Node::Value(toml_edit::Value::Integer(_)));
        let hint = bare.then(|| format!("write `\"{}\"`, with quotes", reader.raw(found)));
        let text = reader.text::<Self>(found, hint)?;
        cause(&text).map(Self).or_else(|| reader.refuse(unknown(&text, found)))
    }
}

impl JsonSchema for CauseWord {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FallbackCause".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words = FallbackCause::WORDS.map(|word| word.to_string()).join("|");
        let pattern = format!(r"^({words}|[45][0-9][0-9])$|\$\{{");
        schemars::json_schema!({ "type": "string", "pattern": pattern })
    }
}

fn cause(text: &str) -> Option<FallbackCause> {
    let word = FallbackCause::WORDS.into_iter().find(|word| word.as_str() == text);
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = || StatusCode::from_bytes(text.as_bytes()).ok().filter(|_| digits);
    let fails = |status: &StatusCode| status.is_client_error() || status.is_server_error();
    word.or_else(|| status().filter(fails).map(FallbackCause::Status))
}

fn unknown(text: &str, found: &Found<'_>) -> Draft {
    if text.parse::<u16>().is_ok() {
        let message = format!("`{text}` is no status that means a failure: expected 400 to 599");
        return Draft::error("bad-fallback-cause", found.spot, message);
    }
    let words = FallbackCause::WORDS.map(|word| format!("`{word}`")).join(", ");
    let message = format!("`{text}` is no cause of a fallback: expected {words} or a status");
    let hint = match (nearest(text, FallbackCause::WORDS.iter().map(FallbackCause::as_str)), text) {
        (_, "5xx") => Some("name each status: `\"500\"`, `\"502\"`, `\"503\"`, `\"504\"`".to_owned()),
        (_, "error" | "connect-failure") => Some("did you mean `connect-error`?".to_owned()),
        (near, _) => near.map(|near| format!("did you mean `{near}`?")),
    };
    Draft::error("bad-fallback-cause", found.spot, message).maybe_hint(hint)
}
