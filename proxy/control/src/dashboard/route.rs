//! `GET /routes/{name}`: one route. What is asked for is in the query: `?range=6h`, and the fields of `explain`.
//!
//! - `charts`: both arms on one time axis. `verdicts`: what comparisons found. `fields`: where the answers differ.
//! - `rule`: what is in force for it, and what was written. `question`: the form of `explain`.

mod charts;
mod fields;
mod question;
mod rule;
mod verdicts;

use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::board::{self, troubles};
use super::frame::{Page, Place};
use super::signs::{Level, note, stage, state};
use super::{address, missing, words};
use crate::admin::Sources;
use crate::admin::mismatches::evidence_of;
use crate::admin::session::{May, Viewer};
use crate::api::{BoardRow, BoardTotals, RouteEvidence, Series};
use crate::explain::DEFAULT_ROUTE;
use crate::timeline::SAMPLE_EVERY;
use question::Question;

/// Seconds between two looks of the script: as long as between two samples.
const EVERY_SECONDS: u32 = 10;

/// Most points of a chart: more than a screen of this width can show apart.
const POINTS_MAX: usize = 360;

/// Lengths of time that can be looked at.
const RANGES: [(&str, u64); 7] = [
    ("5m", 300),
    ("15m", 900),
    ("1h", 3_600),
    ("6h", 21_600),
    ("24h", 86_400),
    ("7d", 604_800),
    ("30d", 2_592_000),
];

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    range: String,
    method: String,
    target: String,
    host: String,
    headers: String,
    client: String,
}

/// Everything that the page is made of.
struct Found {
    row: BoardRow,
    totals: BoardTotals,
    series: Option<Series>,
    evidence: RouteEvidence,
    rule: rule::Rule,
}

pub(super) async fn page(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let question = Question::answered(&asked, &sources.gateway.table());
    let (range, seconds) = range(&asked.range);
    let wanted = name.clone();
    // Charts of a long time may ask Prometheus, evidence and file sets may be on a disk.
    let found = tokio::task::spawn_blocking(move || found(&sources, &wanted, seconds)).await;
    let Ok(Some(found)) = found else {
        return missing(&format!("No route has the name {name}."), &viewer, &headers);
    };
    let troubles = troubles(&found.row);
    let title = match troubles.first() {
        Some((_, words)) => format!("{name}: {words}"),
        None => format!("{name}: {}", found.row.stage),
    };
    let page = Page {
        said: title.clone(),
        title,
        place: Place::BelowBoard,
        every_seconds: Some(EVERY_SECONDS),
        has_charts: true,
        main: main(&found, range, &question, &viewer),
    };
    page.respond(&viewer, &headers)
}

fn range(asked: &str) -> (&'static str, u64) {
    RANGES.into_iter().find(|(name, _)| *name == asked).unwrap_or(RANGES[2])
}

fn found(sources: &Sources, name: &str, seconds: u64) -> Option<Found> {
    let board = sources.board.board().board;
    let row = board.rows.iter().find(|row| row.name == name)?.clone();
    let to = end(SystemTime::now());
    let from = to.checked_sub(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH);
    let series = sources.series(name, (from, to), POINTS_MAX);
    Some(Found {
        series,
        evidence: evidence_of(sources, name),
        rule: rule::Rule::find(sources, name),
        totals: board.totals.clone(),
        row,
    })
}

/// The same between two samples, so that a page with nothing new is the same page.
fn end(now: SystemTime) -> SystemTime {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let step = SAMPLE_EVERY.as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs((since.as_secs() / step + 1) * step)
}

fn main(found: &Found, range: &'static str, question: &Question, viewer: &Viewer) -> Markup {
    let row = &found.row;
    html! {
        p.crumbs { a href="/" { "Board" } " / " (row.name) }
        div.head #head data-live {
            h1 { (row.name) }
            (stage(&row.stage))
            @for (level, words) in troubles(row) { (state(level, &words)) }
            span.grow {}
            span.soft.small {
                @match &found.totals.as_of {
                    Some(at) => { "figures as of " (words::time(at)) },
                    None => { "no sample yet" },
                }
            }
            button #pause.tiny type="button" aria-pressed="false" hidden { "Pause updates" }
        }
        @if let Some(old) = found.totals.stale_seconds {
            (note(Level::Warn, &html! {
                p { strong { "The figures are old." } " The last sample was taken " (words::span(Duration::from_secs(old))) " ago." }
            }))
        }
        div.columns {
            section.panel #share data-live aria-labelledby="share-title" {
                h2 #share-title { "Share" }
                (board::share(row))
                (last_change(row))
            }
            (actions(row, viewer))
        }
        (charts::section(&row.name, found.series.as_ref(), range))
        div.columns {
            (verdicts::section(&found.evidence, row))
            (fields::section(&found.evidence))
        }
        div.columns {
            (found.rule.section(row))
            (question.section(&row.name))
        }
    }
}

fn last_change(row: &BoardRow) -> Markup {
    html! {
        @if let Some(change) = &row.last_change {
            p.small {
                "Last changed " (words::time(&change.at)) " by " strong { (change.who) } ": " (change.line)
                @if let Some(why) = &change.why { " – “" (why) "”" }
            }
        } @else {
            p.small.soft { "The history knows of no change of this route." }
        }
    }
}

fn actions(row: &BoardRow, viewer: &Viewer) -> Markup {
    let is_movable = row.percent.is_some() && row.name != DEFAULT_ROUTE;
    html! {
        section.panel aria-labelledby="actions-title" {
            h2 #actions-title { "Actions" }
            @if !is_movable {
                p.soft { "Nothing to shift: this route has no candidate." }
            } @else if viewer.may == May::Change {
                form.fields method="get" action="/actions/shift" {
                    input type="hidden" name="route" value=(row.name);
                    div.field {
                        label for="percent" { "New share in percent" }
                        input #percent type="text" name="percent" inputmode="decimal" required pattern="[0-9]{1,3}([.][0-9]{1,3})?"
                            title="0 to 100, at most three decimals" size="8" autocomplete="off";
                    }
                    button.main { "Review the shift" }
                    a.button.danger href=(address::rollback(&row.name)) { "Roll back" }
                }
                p.small.soft { "Nothing happens before the next page has said what would." }
            } @else {
                p { (why_not(viewer.may)) }
                p.small { "From a shell: " code { "banyan shift " (row.name) " PERCENT" } ", " code { "banyan rollback " (row.name) } }
            }
        }
    }
}

/// Why this reader changes nothing here.
pub(super) fn why_not(may: May) -> Markup {
    html! {
        @match may {
            May::NoToken => { "Actions are off: no admin token is configured. " a href="/sign-in" { "How to switch them on" } },
            May::ReadToken => { "You are signed in with the read token: it changes nothing." },
            May::ReadOnly => { "This listener runs with " code { "--admin-read-only" } ": nothing is changed over it." },
            May::NotSignedIn => { a href="/sign-in" { "Sign in" } " to change something." },
            May::Change => {},
        }
    }
}
