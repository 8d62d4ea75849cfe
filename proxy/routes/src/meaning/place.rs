//! Places of an answer that rules name: pointers into JSON, headers, cookies.

use banyan_compare::{Pattern, PatternProblem, PointerPattern};

use super::list::Entry;
use crate::problem::{Draft, Problems};
use crate::written::reader::Located;
use crate::written::table::nearest;

/// Any place.
pub(super) fn pattern(word: &Located<String>, problems: &mut Problems) -> Option<Entry<Pattern>> {
    let parsed = Pattern::parse(&word.value).map_err(|problem| problems.push(refusal(&problem, word)));
    let text = same(&word.value);
    Some(Entry { value: parsed.ok()?, about: format!("`{text}`"), text: format!("{text:?}") })
}

/// A place in JSON.
pub(super) fn pointer(word: &Located<String>, problems: &mut Problems) -> Option<Entry<PointerPattern>> {
    let text = &word.value;
    let parsed = PointerPattern::parse(text).map_err(|problem| problems.push(refusal(&problem, word)));
    Some(Entry { value: parsed.ok()?, about: format!("`{text}`"), text: format!("{text:?}") })
}

/// One text for what is one place: names of headers have no case.
pub(super) fn same(pattern: &str) -> String {
    if pattern.starts_with("header:") { pattern.to_ascii_lowercase() } else { pattern.to_owned() }
}

/// Why a text names no place.
pub(super) fn refusal(problem: &PatternProblem, word: &Located<String>) -> Draft {
    Draft::error("bad-place", word.spot, problem.to_string()).maybe_hint(hint(problem, &word.value))
}

fn hint(problem: &PatternProblem, text: &str) -> Option<String> {
    match problem {
        PatternProblem::UnknownPlace { .. } => Some(meant(text)),
        PatternProblem::NotAPointer { .. } if text.starts_with("header:") || text.starts_with("cookie:") => {
            Some("only places in JSON bodies can stand here".to_owned())
        }
        PatternProblem::NotAPointer { .. } if !text.is_empty() => {
            Some(format!("did you mean `{}`?", as_pointer(text)))
        }
        _ => None,
    }
}

fn meant(text: &str) -> String {
    if let Some((kind, name)) = text.split_once(':')
        && let Some(near) = nearest(kind, ["header", "cookie"])
    {
        return format!("did you mean `{near}:{}`?", name.trim());
    }
    match nearest(text, ["status", "body"]) {
        Some(near) => format!("did you mean `{near}`?"),
        None if text.contains(['.', '[', '/']) => format!("did you mean `{}`?", as_pointer(text)),
        None => format!("did you mean `/{text}` or `header:{text}`?"),
    }
}

/// A path as other tools write it: `$.items[*].id` is `/items/*/id`.
fn as_pointer(text: &str) -> String {
    let steps = text.trim_start_matches('$').replace("..", "/**/").replace(['.', '['], "/");
    let steps = steps.replace([']', '\'', '"'], "");
    format!("/{}", steps.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::as_pointer;

    #[test]
    fn paths_of_other_tools() {
        for (path, pointer) in [
            ("items", "/items"),
            ("items/*/id", "/items/*/id"),
            ("$.items[*].id", "/items/*/id"),
            ("$['items'][0]", "/items/0"),
            ("$..id", "/**/id"),
            ("items.0.id", "/items/0/id"),
        ] {
            assert_eq!(as_pointer(path), pointer, "{path}");
        }
    }
}
