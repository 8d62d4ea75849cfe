//! What is wrong with a configuration, said so that it can be put right without a manual.

use std::collections::BTreeSet;
use std::fmt;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::source::{Sources, Spot};

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The table is used; somebody should look.
    Warning,
    /// The whole set of files is refused.
    Error,
}

/// One problem at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable word for machines and documentation, for example `unknown-key`.
    pub code: &'static str,
    /// Error or warning.
    pub severity: Severity,
    /// One sentence, lowercase, no full stop; names what was found and what was expected.
    pub message: String,
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How to put it right.
    pub hint: Option<String>,
    /// The problem as text: message, place, the line with a caret under the culprit, hint.
    pub rendered: String,
}

/// All problems of one file set, in order of file and place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    /// True when at least one problem refuses the configuration.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// The problems as text, an empty line between two.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            let gap = if place == 0 { "" } else { "\n" };
            writeln!(out, "{gap}{}", problem.rendered)?;
        }
        Ok(())
    }
}

/// A report never holds more problems than this: nobody reads on, and rendering takes memory.
const MOST_PROBLEMS: usize = 1_000;

/// A problem as it is found, before it is written out.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    code: &'static str,
    severity: Severity,
    spot: Spot,
    message: String,
    hint: Option<String>,
    related: Option<(Spot, &'static str)>,
}

impl Draft {
    pub(crate) fn error(code: &'static str, spot: Spot, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, spot, message: message.into(), hint: None, related: None }
    }

    pub(crate) fn warning(code: &'static str, spot: Spot, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, spot, message) }
    }

    /// How to put it right.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As [`Draft::hint`], when there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// A second place that plays a part, and which.
    pub(crate) fn related(mut self, spot: Spot, label: &'static str) -> Self {
        self.related = Some((spot, label));
        self
    }

    fn write_out(self, sources: &Sources<'_>) -> Problem {
        Problem {
            rendered: self.render(sources),
            code: self.code,
            severity: self.severity,
            file: sources.name(self.spot).to_string(),
            line: sources.line(self.spot),
            column: sources.column(self.spot),
            message: self.message,
            hint: self.hint,
        }
    }

    fn render(&self, sources: &Sources<'_>) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(&self.message).id(self.code).element(snippet(
            sources,
            self.spot,
            AnnotationKind::Primary,
            None,
        ));
        if let Some((spot, label)) = self.related {
            group = group.element(snippet(sources, spot, AnnotationKind::Context, Some(label)));
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.with_name(Some("hint")).message(hint));
        }
        Renderer::plain().render(&[group])
    }
}

/// One line only: a report of many problems in a long file must not read the file once per problem.
fn snippet<'s>(
    sources: &Sources<'s>,
    spot: Spot,
    kind: AnnotationKind,
    label: Option<&'static str>,
) -> Snippet<'s, annotate_snippets::Annotation<'s>> {
    let (line, span) = sources.excerpt(spot);
    Snippet::source(line)
        .line_start(sources.line(spot))
        .path(sources.name(spot).to_string())
        .annotation(kind.span(span).label(label))
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    drafts: Vec<Draft>,
    misspelt: BTreeSet<(Spot, &'static str)>,
}

impl Problems {
    pub(crate) fn push(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// An unknown key of the table at `spot` probably means `key`.
    pub(crate) fn misspelt(&mut self, table: Spot, key: &'static str) {
        self.misspelt.insert((table, key));
    }

    /// Whether `key` is only missing because it is misspelt: one mistake is told once.
    pub(crate) fn is_misspelt(&self, table: Spot, keys: &[&'static str]) -> bool {
        keys.iter().any(|key| self.misspelt.contains(&(table, *key)))
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.drafts.iter().any(|draft| draft.severity == Severity::Error)
    }

    /// Puts them in order and writes them out.
    pub(crate) fn report(mut self, sources: &Sources<'_>) -> Report {
        self.drafts.sort_by_key(|draft| draft.spot);
        self.cut();
        Report { problems: self.drafts.into_iter().map(|draft| draft.write_out(sources)).collect() }
    }

    fn cut(&mut self) {
        if self.drafts.len() <= MOST_PROBLEMS {
            return;
        }
        let rest = self.drafts.split_off(MOST_PROBLEMS - 1);
        let message = format!("{} more problems from here on", rest.len());
        let severity = rest.iter().map(|draft| draft.severity).max().unwrap_or(Severity::Warning);
        self.push(Draft { severity, ..Draft::error("too-many-problems", rest[0].spot, message) });
    }
}
