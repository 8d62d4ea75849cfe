//! What was written: the keys of routes.toml with their places.
//!
//! Types here hold what a person typed, key by key, and know nothing of other keys: no default is filled in
//! and no name is looked up. That is the business of `meaning`.
//!
//! - `reader`: one TOML value to one typed value. `table`: one declaration per table.
//! - `file`, `defaults`, `upstream`, `store`, `cohort`, `route`, `condition`, `failing`, `shadow`, `compare`: the tables.
//! - `word`, `sticky`, `duration`, `size`, `percent`, `date`: the values that are more than a string.
//! - `variable`: `${VAR}`. `newer`: syntax that editors do not know yet.

pub(crate) mod cohort;
pub(crate) mod compare;
pub(crate) mod condition;
pub(crate) mod date;
pub(crate) mod defaults;
pub(crate) mod duration;
pub(crate) mod failing;
pub(crate) mod file;
mod newer;
mod percent;
pub(crate) mod reader;
pub(crate) mod route;
pub(crate) mod shadow;
pub(crate) mod size;
pub(crate) mod sticky;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod upstream;
mod variable;
pub(crate) mod word;

use toml_edit::Document;

use crate::problem::{Draft, Problems, Report};
use crate::source::{SourceFile, Sources, Spot, Variables};
use file::{IncludedFile, MainFile};
use reader::{Found, Located, Node, Read, Reader};

/// Longest text of one file. Ten thousand routes take about two MiB.
const LONGEST_TEXT: usize = 16 * 1024 * 1024;

/// Reads one file. `None` when its text is no TOML.
fn read<T: Read>(file: usize, text: &str, variables: &Variables, problems: &mut Problems) -> Option<T> {
    let document = document(file, text, problems)?;
    newer::warn(&document, file, problems);
    let mut reader = Reader { file, text, variables, problems };
    let spot = reader.spot(None);
    T::read(&Found { key: "", node: Node::Table(document.as_table()), spot }, &mut reader)
}

/// Reads the main file.
pub(crate) fn main_file(text: &str, variables: &Variables, problems: &mut Problems) -> Option<MainFile> {
    read(0, text, variables, problems)
}

/// Reads an included file, the `file`th of the set.
pub(crate) fn included_file(
    file: usize,
    text: &str,
    variables: &Variables,
    problems: &mut Problems,
) -> Option<IncludedFile> {
    read(file, text, variables, problems)
}

/// Just the `include` of a main file.
pub(crate) fn include_patterns(main: &SourceFile, variables: &Variables) -> Result<Vec<String>, Report> {
    let mut problems = Problems::default();
    let patterns = document(0, &main.text, &mut problems).and_then(|document| {
        let mut reader = Reader { file: 0, text: &main.text, variables, problems: &mut problems };
        let field = table::field::<Vec<Located<String>>>(document.as_table(), "include", &mut reader);
        check_patterns(field.value(), &mut problems);
        Some(field.value()?.iter().map(|pattern| pattern.value.clone()).collect())
    });
    if problems.has_errors() {
        return Err(problems.report(&Sources::new([main])));
    }
    Ok(patterns.unwrap_or_default())
}

/// An empty pattern would name the folder itself.
pub(crate) fn check_patterns(patterns: Option<&Vec<Located<String>>>, problems: &mut Problems) {
    for pattern in patterns.into_iter().flatten().filter(|pattern| pattern.value.is_empty()) {
        let draft = Draft::error("bad-include", pattern.spot, "an empty `include` pattern names no file");
        problems.push(draft.hint("write it like `routes.d/*.toml`"));
    }
}

fn document<'t>(file: usize, text: &'t str, problems: &mut Problems) -> Option<Document<&'t str>> {
    if text.len() > LONGEST_TEXT {
        let message = format!("the file is larger than {} MiB", LONGEST_TEXT / 1024 / 1024);
        problems.push(Draft::error("file-too-large", Spot { file, start: 0, end: 0 }, message));
        return None;
    }
    Document::parse(text).map_err(|error| problems.push(syntax(file, text, &error))).ok()
}

fn syntax(file: usize, text: &str, error: &toml_edit::TomlError) -> Draft {
    let span = error.span().unwrap_or(text.len()..text.len());
    let spot = Spot { file, start: span.start.min(text.len()), end: span.end.min(text.len()) };
    let said = error.message().trim();
    let which = text.get(span).filter(|_| said == "duplicate key").map(|key| format!(" `{key}`"));
    Draft::error("toml-syntax", spot, format!("no valid TOML: {said}{}", which.unwrap_or_default()))
}
