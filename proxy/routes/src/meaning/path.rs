//! The `path` or `path_regex` of a route, and regular expressions anywhere.

use regex::Regex;

use crate::path::PathProblem;
use crate::pattern::{PathPattern, PatternProblem, anchored};
use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::table::PathOptions;
use crate::written::reader::{Field, Located};
use crate::written::route::RouteEntry;

/// Exactly one of the two. `None` has left a problem behind.
pub(super) fn pattern(
    entry: &RouteEntry,
    options: PathOptions,
    spot: Spot,
    problems: &mut Problems,
) -> Option<PathPattern> {
    match (&entry.path, &entry.path_regex) {
        (Field::Absent, Field::Absent) if problems.is_misspelt(spot, &["path", "path_regex"]) => None,
        (Field::Absent, Field::Absent) => {
            let draft = Draft::error("missing-path", spot, "a route needs `path` or `path_regex`");
            problems.push(draft.hint("write `path = \"/*\"` to take every path"));
            None
        }
        (Field::Absent, regex) => path_regex(regex.good()?, options, problems),
        (path, Field::Absent) => plain(path.good()?, problems),
        (path, regex) => {
            let message = "a route has `path` or `path_regex`, not both";
            let draft = Draft::error("path-and-path-regex", regex.spot()?, message);
            problems.push(draft.related(path.spot()?, "the other one"));
            None
        }
    }
}

fn plain(text: &Located<String>, problems: &mut Problems) -> Option<PathPattern> {
    PathPattern::parse(&text.value)
        .map_err(|problem| {
            let draft = Draft::error("bad-path", text.spot, problem.to_string());
            problems.push(draft.maybe_hint(hint(&text.value, &problem)));
        })
        .ok()
}

fn hint(text: &str, problem: &PatternProblem) -> Option<String> {
    let words = match problem {
        PatternProblem::NotAbsolute => format!("did you mean `/{text}`?"),
        PatternProblem::Query => "write `when = [{ query = \"NAME\", equals = \"VALUE\" }]`".to_owned(),
        PatternProblem::MisplacedStar if text.ends_with('*') && text.matches('*').count() == 1 => {
            format!("did you mean `{}/*`?", text.trim_end_matches('*'))
        }
        PatternProblem::MisplacedStar => "name a segment in between: `/a/{id}/pdf`".to_owned(),
        PatternProblem::VariableInPrefix | PatternProblem::PartialVariable { .. } => {
            "use `path_regex`".to_owned()
        }
        PatternProblem::UnclosedVariable { .. }
        | PatternProblem::EmptyVariable
        | PatternProblem::VariableName { .. }
        | PatternProblem::DuplicateVariable { .. } => "write variables like `/a/{id}/pdf`".to_owned(),
        PatternProblem::NotNormal { normal } => format!("write `{normal}`"),
        PatternProblem::Path(PathProblem::BadPercent) => "write `%25` for a percent sign".to_owned(),
        PatternProblem::ReadTwoWays | PatternProblem::Path(_) | PatternProblem::Regex { .. } => return None,
    };
    Some(words)
}

fn path_regex(text: &Located<String>, options: PathOptions, problems: &mut Problems) -> Option<PathPattern> {
    match PathPattern::regex(&text.value, options) {
        Ok(pattern) => Some(pattern),
        Err(PatternProblem::Regex { message }) => refuse(text, &message, problems),
        Err(problem) => refuse(text, &problem.to_string(), problems),
    }
}

/// A regular expression for a whole value.
pub(super) fn regex(text: &Located<String>, problems: &mut Problems) -> Option<Regex> {
    anchored(&text.value).map_or_else(|error| refuse(text, &error.to_string(), problems), Some)
}

/// The parser of expressions draws its own caret; our place is the whole value, its place is a character.
fn refuse<T>(text: &Located<String>, said: &str, problems: &mut Problems) -> Option<T> {
    let reason = said
        .lines()
        .last()
        .unwrap_or(said)
        .trim_start_matches("error: ")
        .trim_end_matches('.')
        .to_lowercase();
    let place = match regex_syntax::parse(&text.value) {
        Err(regex_syntax::Error::Parse(error)) => Some(error.span().start.offset),
        Err(regex_syntax::Error::Translate(error)) => Some(error.span().start.offset),
        _ => None,
    };
    let place = place.and_then(|offset| text.value.get(..offset)).map(|before| before.chars().count() + 1);
    let place = place.map_or_else(String::new, |column| format!(" (character {column})"));
    problems.push(Draft::error("bad-regex", text.spot, format!("no regular expression{place}: {reason}")));
    None
}
