//! What a rule names: a place of an answer, and maybe one kind of difference there.

use std::fmt;

use http::HeaderName;

use crate::difference::Difference;
use crate::path::Step;
use crate::signature::Signature;

/// Steps of the longest pointer pattern.
const STEPS_MAX: usize = 64;

/// The kinds that can stand behind a place.
const KINDS: [&str; 6] = ["missing", "extra", "type", "value", "order", "attribute"];

/// A place, and maybe a kind: `header:date`, `cookie:session value`, `/items/*/etag`, `/items/*/id value`, `status`,
/// `body`, or a whole signature such as `status 200 -> 201`.
///
/// A pointer covers what is below it, too. `*` is one step, `**` any number of them, `(root)` the document as a
/// whole without what is in it. A word for a kind at the end is always read as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    place: Place,
    kind: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Status,
    Body,
    Header(HeaderName),
    Cookie(String),
    Pointer(PointerPattern),
    Root,
    Exactly(Signature),
}

/// An RFC 6901 pointer in which `*` is one step and `**` any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerPattern {
    steps: Box<[PatternStep]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PatternStep {
    Literal(Box<str>),
    One,
    Any,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternProblem {
    /// Nothing is written.
    Empty,
    /// It begins like nothing that can be named.
    UnknownPlace {
        /// The text.
        text: String,
    },
    /// No header field has such a name.
    HeaderName {
        /// The name.
        name: String,
    },
    /// No cookie has such a name.
    CookieName {
        /// The name.
        name: String,
    },
    /// It does not begin with `/`.
    NotAPointer {
        /// The text.
        text: String,
    },
    /// `~` without `0` or `1` after it.
    Escape {
        /// The step.
        step: String,
    },
    /// More steps than are looked at.
    TooLong {
        /// How many there are.
        steps: usize,
        /// How many there can be.
        most: usize,
    },
}

impl fmt::Display for PatternProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("a pattern is empty"),
            Self::UnknownPlace { text } => write!(
                out,
                "`{text}` names nothing: write `/a/pointer`, `header:NAME`, `cookie:NAME`, `status`, `body` or a signature"
            ),
            Self::HeaderName { name } => write!(out, "no header field has the name `{name}`"),
            Self::CookieName { name } => write!(out, "no cookie has the name `{name}`"),
            Self::NotAPointer { text } => write!(out, "a pointer begins with `/`, not as `{text}`"),
            Self::Escape { step } => write!(out, "`~` is written `~0`, and `/` in a key `~1`: `{step}`"),
            Self::TooLong { steps, most } => write!(out, "a pointer has at most {most} steps, not {steps}"),
        }
    }
}

impl std::error::Error for PatternProblem {}

impl Pattern {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, PatternProblem> {
        let whole_signature = ["status ", "text ", "form "].iter().any(|start| text.starts_with(start));
        if whole_signature || text == "bytes" {
            return Ok(Self { place: Place::Exactly(Signature::stored(text)), kind: None });
        }
        if let Some((_, _)) = text.split_once(" attribute ").filter(|_| text.starts_with("cookie:")) {
            return Ok(Self { place: Place::Exactly(Signature::stored(text)), kind: None });
        }
        let (place, kind) = split_kind(text);
        Ok(Self { place: Place::parse(place)?, kind })
    }

    /// Whether a difference is meant. `path` is where it is, if it is one of JSON.
    pub(crate) fn covers(&self, difference: &Difference, path: &[Step<'_>]) -> bool {
        self.kind.is_none_or(|kind| kind == difference.kind()) && self.place.covers(difference, path)
    }
}

fn split_kind(text: &str) -> (&str, Option<&'static str>) {
    let Some((place, word)) = text.rsplit_once(' ') else { return (text, None) };
    match KINDS.iter().find(|kind| **kind == word) {
        Some(kind) => (place, Some(*kind)),
        None => (text, None),
    }
}

impl Place {
    fn parse(text: &str) -> Result<Self, PatternProblem> {
        if let Some(name) = text.strip_prefix("header:") {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            return parsed
                .map(Self::Header)
                .map_err(|_| PatternProblem::HeaderName { name: name.to_owned() });
        }
        if let Some(name) = text.strip_prefix("cookie:") {
            let usable =
                !name.is_empty() && !name.contains(['=', ';', ' ']) && !name.contains(char::is_control);
            let problem = || PatternProblem::CookieName { name: name.to_owned() };
            return usable.then(|| Self::Cookie(name.to_owned())).ok_or_else(problem);
        }
        match text {
            "" => Err(PatternProblem::Empty),
            "status" => Ok(Self::Status),
            "body" => Ok(Self::Body),
            "(root)" => Ok(Self::Root),
            pointer if pointer.starts_with('/') => PointerPattern::parse(pointer).map(Self::Pointer),
            other => Err(PatternProblem::UnknownPlace { text: other.to_owned() }),
        }
    }

    fn covers(&self, difference: &Difference, path: &[Step<'_>]) -> bool {
        use Difference as D;
        match (self, difference) {
            (Self::Status, D::Status { .. })
            | (Self::Body, D::Json { .. } | D::Text { .. } | D::Bytes { .. } | D::Form { .. }) => true,
            (Self::Header(wanted), D::Header { name, .. }) => wanted == name,
            (Self::Cookie(wanted), D::Cookie { name, .. }) => wanted == name,
            (Self::Pointer(pattern), D::Json { .. }) => pattern.covers(path),
            (Self::Root, D::Json { .. }) => path.is_empty(),
            (Self::Exactly(signature), difference) => Signature::of(difference) == *signature,
            _ => false,
        }
    }
}

impl PointerPattern {
    /// Reads one: `/items/*/id`, `/**/updated_at`.
    pub fn parse(text: &str) -> Result<Self, PatternProblem> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PatternProblem::NotAPointer { text: text.to_owned() });
        };
        let steps = rest.split('/').map(step).collect::<Result<Box<[_]>, _>>()?;
        if steps.len() > STEPS_MAX {
            return Err(PatternProblem::TooLong { steps: steps.len(), most: STEPS_MAX });
        }
        Ok(Self { steps })
    }

    /// Whether the place, or one above it, is meant.
    pub(crate) fn covers(&self, path: &[Step<'_>]) -> bool {
        self.walk(path, true)
    }

    /// Whether exactly the place is meant.
    pub(crate) fn is(&self, path: &[Step<'_>]) -> bool {
        self.walk(path, false)
    }

    /// Two hands and one mark, as globs are matched: at most steps times path comparisons.
    fn walk(&self, path: &[Step<'_>], also_below: bool) -> bool {
        let (mut at, mut here) = (0, 0);
        let mut mark = None;
        loop {
            match self.steps.get(at) {
                None if also_below || here == path.len() => return true,
                Some(PatternStep::Any) => {
                    mark = Some((at, here));
                    at += 1;
                    continue;
                }
                Some(step) if path.get(here).is_some_and(|found| step.takes(found)) => {
                    at += 1;
                    here += 1;
                    continue;
                }
                _ => {}
            }
            let Some((any, from)) = mark.filter(|(_, from)| *from < path.len()) else { return false };
            mark = Some((any, from + 1));
            (at, here) = (any + 1, from + 1);
        }
    }
}

impl PatternStep {
    fn takes(&self, step: &Step<'_>) -> bool {
        match (self, step) {
            (Self::One | Self::Any, _) => true,
            (Self::Literal(text), Step::Key(key)) => **text == **key,
            (Self::Literal(text), Step::Index(index)) => text.parse() == Ok(*index),
        }
    }
}

fn step(text: &str) -> Result<PatternStep, PatternProblem> {
    match text {
        "*" => return Ok(PatternStep::One),
        "**" => return Ok(PatternStep::Any),
        _ => {}
    }
    let valid = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if !valid {
        return Err(PatternProblem::Escape { step: text.to_owned() });
    }
    Ok(PatternStep::Literal(text.replace("~1", "/").replace("~0", "~").into()))
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternProblem, PointerPattern};
    use crate::path::Step::{self, Index, Key};

    #[track_caller]
    fn check(pattern: &str, path: &[Step<'_>], covers: bool, is: bool) {
        let parsed = PointerPattern::parse(pattern).unwrap();
        assert_eq!((parsed.covers(path), parsed.is(path)), (covers, is), "{pattern} {path:?}");
    }

    #[test]
    fn pointers_cover_what_is_below_them() {
        check("/a", &[Key("a")], true, true);
        check("/a", &[Key("a"), Index(0)], true, false);
        check("/a", &[Key("ab")], false, false);
        check("/a/b", &[Key("a")], false, false);
        check("/a/*/b", &[Key("a"), Index(7), Key("b")], true, true);
        check("/a/*/b", &[Key("a"), Key("x"), Key("b")], true, true);
        check("/a/*/b", &[Key("a"), Key("b")], false, false);
        check("/a/0", &[Key("a"), Index(0)], true, true);
        check("/a~1b/~0", &[Key("a/b"), Key("~")], true, true);
        check("/**/id", &[Key("id")], true, true);
        check("/**/id", &[Key("a"), Index(1), Key("id")], true, true);
        check("/**/id", &[Key("a"), Key("idx")], false, false);
        check("/**/a/**/b", &[Key("a"), Key("a"), Key("c"), Key("b")], true, true);
        check("/**", &[], true, true);
        check("/a/**", &[Key("a"), Key("b")], true, true);
    }

    #[test]
    fn problems_say_what_is_wrong() {
        let problem = |text| Pattern::parse(text).unwrap_err();
        assert_eq!(problem(""), PatternProblem::Empty);
        assert_eq!(problem("items"), PatternProblem::UnknownPlace { text: "items".to_owned() });
        assert_eq!(problem("header:a b"), PatternProblem::HeaderName { name: "a b".to_owned() });
        assert_eq!(problem("cookie:"), PatternProblem::CookieName { name: String::new() });
        assert_eq!(problem("/a/~2"), PatternProblem::Escape { step: "~2".to_owned() });
        assert_eq!(problem(&"/a".repeat(65)), PatternProblem::TooLong { steps: 65, most: 64 });
        assert!(Pattern::parse("/a value").is_ok() && Pattern::parse("status 200 -> 201").is_ok());
    }
}
