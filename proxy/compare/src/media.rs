//! What a content type says of the form of a body.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};

/// How a body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`, `text/json`, anything `+json`.
    Json,
    /// One JSON text on each line.
    JsonLines,
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// HTML.
    Html,
    /// Any other text.
    Text,
    /// Everything else.
    Bytes,
    /// No content type: the body shows it.
    Unsaid,
}

/// The medium, and the label of its charset. The first field counts if there are more.
pub(crate) fn media(headers: &HeaderMap) -> (Media, Option<String>) {
    let Some(line) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else {
        return (Media::Unsaid, None);
    };
    let line = String::from_utf8_lossy(line).to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|label| label.trim_matches('"'));
    (of_essence(essence), charset.map(str::to_owned))
}

pub(crate) fn of_essence(essence: &str) -> Media {
    match essence {
        "application/json" | "text/json" => Media::Json,
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/jsonlines" => {
            Media::JsonLines
        }
        "application/x-www-form-urlencoded" => Media::UrlEncoded,
        "text/html" | "application/xhtml+xml" => Media::Html,
        "application/xml" | "application/javascript" | "application/yaml" | "application/graphql" => {
            Media::Text
        }
        "" => Media::Unsaid,
        other if other.ends_with("+json") => Media::Json,
        other if other.ends_with("+xml") && !other.starts_with("image/") => Media::Text,
        "image/svg+xml" => Media::Text,
        other if other.starts_with("text/") => Media::Text,
        _ => Media::Bytes,
    }
}
