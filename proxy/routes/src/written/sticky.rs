//! One entry of `sticky`.

use http::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::reader::{Found, Read, Reader};
use super::table::nearest;
use crate::problem::Draft;
use crate::table::StickySource;

/// `header:NAME`, `cookie:NAME` or `client-ip`.
#[derive(Debug, Clone)]
pub(crate) struct StickyWord(pub(crate) StickySource);

impl Read for StickyWord {
    const EXPECTED: &'static str = "a string";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.text::<Self>(found, None)?;
        if text == "client-ip" {
            return Some(Self(StickySource::ClientIp));
        }
        match text.split_once(':') {
            Some(("header", name)) => header_name(name, found, reader).map(StickySource::Header).map(Self),
            Some(("cookie", name)) => cookie_name(name, found, reader).map(StickySource::Cookie).map(Self),
            _ => unknown(&text, found, reader),
        }
    }
}

impl JsonSchema for StickyWord {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Sticky".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^(header:.+|cookie:.+|client-ip)$|\$\{" })
    }
}

/// A header name (RFC 9110 5.1), in lower case.
pub(crate) fn header_name(name: &str, found: &Found<'_>, reader: &mut Reader<'_>) -> Option<HeaderName> {
    HeaderName::try_from(name).ok().or_else(|| {
        let message = format!("`{name}` is no header name");
        reader.refuse(Draft::error("bad-header-name", found.spot, message))
    })
}

/// A cookie name: a token (RFC 6265 4.1.1), case kept.
pub(crate) fn cookie_name(name: &str, found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Box<str>> {
    // Header names are tokens too.
    HeaderName::try_from(name).ok().map(|_| name.into()).or_else(|| {
        let message = format!("`{name}` is no cookie name");
        reader.refuse(Draft::error("bad-cookie-name", found.spot, message))
    })
}

fn unknown(text: &str, found: &Found<'_>, reader: &mut Reader<'_>) -> Option<StickyWord> {
    let kind = text.split_once(':').map_or(text, |(kind, _)| kind);
    let hint = match (nearest(kind, ["header", "cookie", "client-ip"]), text.split_once(':')) {
        (Some("client-ip"), _) => "did you mean `client-ip`?".to_owned(),
        (Some(near), Some((_, name))) => format!("did you mean `{near}:{name}`?"),
        (Some(near), None) => format!("did you mean `{near}:NAME`?"),
        (None, _) if text.eq_ignore_ascii_case("ip") => "did you mean `client-ip`?".to_owned(),
        (None, _) => format!("did you mean `header:{text}` or `cookie:{text}`?"),
    };
    let message =
        format!("`{text}` identifies no client: expected `header:NAME`, `cookie:NAME` or `client-ip`");
    reader.refuse(Draft::error("bad-sticky", found.spot, message).hint(hint))
}
