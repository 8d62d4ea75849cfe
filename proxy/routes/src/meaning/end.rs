//! `sunset` and `retire`: the end of a route.

use http::HeaderValue;

use super::Told;
use crate::problem::{Draft, Problems};
use crate::table::{Retire, Sunset};
use crate::written::reader::{Field, Located};
use crate::written::route::{RetireTable, SunsetTable};

/// `None` has left a problem behind.
pub(super) fn sunset(table: &SunsetTable, problems: &mut Problems) -> Option<Sunset> {
    let link = link(&table.link, "sunset", problems).ok()?;
    let date = HeaderValue::try_from(table.date.value()?.0.as_str()).ok()?;
    Some(Sunset { date, link })
}

/// `None` has left a problem behind.
pub(super) fn retire(table: &RetireTable, problems: &mut Problems) -> Option<Retire> {
    Some(Retire { link: link(&table.link, "deprecation", problems).ok()? })
}

/// A `Link` value (RFC 8288).
fn link(field: &Field<String>, relation: &str, problems: &mut Problems) -> Result<Option<HeaderValue>, Told> {
    let written = match field {
        Field::Absent => return Ok(None),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) => written,
    };
    let value = is_reference(&written.value).then(|| format!("<{}>; rel=\"{relation}\"", written.value));
    let value = value.and_then(|value| HeaderValue::try_from(value).ok());
    if value.is_none() {
        problems.push(refusal(written));
    }
    value.map(Some).ok_or(Told)
}

/// Characters of a URI reference (RFC 3986 appendix A), and at least one.
fn is_reference(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    !text.is_empty() && text.bytes().all(good)
}

fn refusal(written: &Located<String>) -> Draft {
    let draft = Draft::error("bad-link", written.spot, format!("`{}` is no address", written.value));
    draft.hint("write it like `https://example.com/v2`")
}
