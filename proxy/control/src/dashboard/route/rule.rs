//! What is in force for a route, with its defaults filled in, and the lines of the file it was written in.

use banyan_routes::RouteTable;
use maud::{Markup, html};

use crate::admin::Sources;
use crate::api::{BoardRow, KeptSet};
use crate::dashboard::words;
use crate::explain::DEFAULT_ROUTE;

/// Most lines of the file shown.
const LINES_MAX: usize = 80;

/// As found.
pub(super) struct Rule {
    /// Key and value, in the order of the table's own text.
    facts: Vec<(String, String)>,
    /// File, first line, and the lines.
    written: Option<(String, usize, String)>,
}

impl Rule {
    /// Reads the kept file set: not for the admin thread.
    pub(super) fn find(sources: &Sources, name: &str) -> Self {
        let table = sources.gateway.table();
        let set = sources.view.history().set(&sources.view.config().text_hash).ok().flatten();
        Self { facts: facts(&table, name), written: set.and_then(|set| written(&table, name, &set)) }
    }

    /// The section.
    pub(super) fn section(&self, row: &BoardRow) -> Markup {
        html! {
            section.panel #rule data-live aria-labelledby="rule-title" {
                h2 #rule-title { "Rule in force" }
                @if row.name == DEFAULT_ROUTE {
                    p { "What no route has taken goes to " code { (row.legacy_upstream) } "." }
                } @else {
                    dl.facts {
                        @for (key, value) in &self.facts { dt { (key) } dd.code { (value) } }
                    }
                    (self.written())
                }
            }
        }
    }

    fn written(&self) -> Markup {
        html! {
            @match &self.written {
                Some((file, line, text)) => {
                    h3 { "As written in " code { (file) ":" (line) } }
                    pre tabindex="0" { (text) }
                },
                None => p.small { (words::no_data()) span.soft { " of the file: it is no longer kept" } },
            }
        }
    }
}

/// The lines of the table's own text below `route NAME (FILE:LINE)`.
fn facts(table: &RouteTable, name: &str) -> Vec<(String, String)> {
    let text = table.to_string();
    let head = format!("route {name} (");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head)).skip(1);
    let facts =
        lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.trim().split_once(": "));
    facts.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// From the line of the route to the next table.
fn written(table: &RouteTable, name: &str, set: &KeptSet) -> Option<(String, usize, String)> {
    let origin = &table.routes().iter().find(|route| route.name == name)?.origin;
    let files = std::iter::once(&set.main).chain(&set.included);
    // The table names files as they were opened, the set as seen from the main file.
    let is_it = |kept: &str| *origin.file == *kept || origin.file.ends_with(&format!("/{kept}"));
    let file = files.into_iter().find(|file| is_it(&file.name))?;
    let lines: Vec<&str> = file.text.lines().collect();
    // The name may stand some lines below the head of its table.
    let at = origin.line.checked_sub(1).filter(|at| *at < lines.len())?;
    let first = (0..=at).rev().find(|line| lines[*line].trim_start().starts_with("[[")).unwrap_or(at);
    let is_own = |line: &&&str| !line.starts_with('[') || line.starts_with("[route.");
    let own = lines[first + 1..].iter().take(LINES_MAX).take_while(is_own);
    let text: Vec<&str> = std::iter::once(lines[first]).chain(own.copied()).collect();
    Some((file.name.clone(), first + 1, text.join("\n").trim_end().to_owned()))
}
