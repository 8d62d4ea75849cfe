//! `${VAR}` and `${VAR:-default}` in string values; `$$` is a dollar. Any other `$` stands for itself.

use super::reader::{Found, Reader};
use crate::problem::Draft;
use crate::source::Spot;

const DOLLAR_HINT: &str = "write `$$` for a dollar that begins no variable";

/// The text with its variables expanded.
pub(super) fn expand(text: &str, found: &Found<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let Some((inside, after)) = after.split_once('}') else {
                let draft = Draft::error("bad-variable", found.spot, "`${` without a closing `}`");
                return reader.refuse(draft.hint(DOLLAR_HINT));
            };
            expanded.push_str(&value(inside, found, reader)?);
            rest = after;
        } else {
            expanded.push('$');
        }
    }
    expanded.push_str(rest);
    Some(expanded)
}

/// The value of what stands between `${` and `}`.
fn value(inside: &str, found: &Found<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let spot = place(inside, found, reader);
    if !is_name(name) {
        let message = format!("`{name}` is no name of a variable");
        return reader.refuse(Draft::error("bad-variable", spot, message).hint(DOLLAR_HINT));
    }
    let value = reader.variables.get(name).map(String::as_str).or(default).map(str::to_owned);
    value.or_else(|| {
        let hint = format!("set it, or give a default: `${{{name}:-...}}`");
        reader.refuse(Draft::error("unset-variable", spot, format!("`{name}` is not set")).hint(hint))
    })
}

fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// The variable itself where the text stands as it was written, else the whole value.
fn place(inside: &str, found: &Found<'_>, reader: &Reader<'_>) -> Spot {
    let written = format!("${{{inside}}}");
    match reader.raw(found).find(&written) {
        Some(at) => {
            let start = found.spot.start + at;
            Spot { start, end: start + written.len(), ..found.spot }
        }
        None => found.spot,
    }
}
