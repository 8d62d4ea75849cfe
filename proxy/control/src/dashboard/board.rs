//! `GET /`: a row per route, and how far the migration is.
//!
//! - `columns`: what is shown of a route, and how it is sorted. `row`: one route. `totals`: all of them.

mod columns;
mod row;
mod totals;

use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Page, Place};
use super::signs::{Level, icon, note, state};
use super::words;
use crate::admin::session::{May, Viewer};
use crate::api::{Board, BoardRow, Progress, ReloadResult};
use columns::{COLUMNS, Column, Order};

pub(super) use row::{share, troubles};

/// Seconds between two looks of the script: half of what lies between two samples.
const EVERY_SECONDS: u32 = 5;

/// Stages in the order of a migration.
const STAGES: [&str; 5] = ["legacy", "shadow", "canary", "extracted", "retired"];

/// `?q=orders&stage=canary&show=attention&sort=errors-candidate&order=desc`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    stage: String,
    show: String,
    sort: String,
    order: String,
}

impl Asked {
    fn is_partial(&self) -> bool {
        !(self.q.is_empty() && self.stage.is_empty() && self.show.is_empty())
    }

    fn wants(&self, row: &BoardRow) -> bool {
        (self.stage.is_empty() || row.stage == self.stage)
            && (self.show.is_empty() || row::level(row) > Level::Good)
            && (self.q.is_empty() || row::findable(row).contains(&self.q.trim().to_lowercase()))
    }

    fn order(&self) -> Order {
        if self.order == "desc" { Order::Descending } else { Order::Ascending }
    }

    fn column(&self) -> Option<&'static Column> {
        COLUMNS.iter().find(|column| column.name == self.sort)
    }
}

/// The page.
pub(super) fn page(
    board: &Board,
    progress: &Progress,
    asked: &Asked,
    viewer: &Viewer,
    headers: &HeaderMap,
) -> Response {
    let attention = board.rows.iter().filter(|row| row::level(row) > Level::Good).count();
    let summary = summary(board, attention);
    let main = html! {
        div.head {
            h1 { "Board" }
            span #state data-live { (judgement(board, attention)) }
            span.grow {}
            span #as-of.soft.small data-live { (as_of(board)) }
            button #pause.tiny type="button" aria-pressed="false" hidden { "Pause updates" }
        }
        div #notes data-live { (notes(board)) }
        section #totals.totals data-live aria-label="Totals" { (totals::totals(board, progress)) }
        (tools(board, asked))
        (table(board, asked, viewer))
    };
    let page = Page {
        title: summary.clone(),
        place: Place::Board,
        every_seconds: Some(EVERY_SECONDS),
        has_charts: false,
        said: summary,
        main,
    };
    page.respond(viewer, headers)
}

/// The state in one line: what is wrong first.
fn summary(board: &Board, attention: usize) -> String {
    if board.totals.floor {
        return "Rolled back in memory".to_owned();
    }
    match attention {
        0 => format!("{} of {} off the monolith", board.totals.routes_off, board.totals.routes),
        1 => "1 route needs attention".to_owned(),
        some => format!("{some} routes need attention"),
    }
}

/// Good only when something was measured.
fn judgement(board: &Board, attention: usize) -> Markup {
    let is_measured = board.rows.iter().any(|row| row.requests_per_second.is_some_and(|rate| rate > 0.0));
    match (attention, is_measured) {
        (0, true) => state(Level::Good, "nothing needs attention"),
        (0, false) => html! { span.state.none { (icon("none")) "no data lately" } },
        (1, _) => state(Level::Warn, "1 route needs attention"),
        (some, _) => state(Level::Warn, &format!("{some} routes need attention")),
    }
}

fn as_of(board: &Board) -> Markup {
    html! {
        @if let Some(at) = &board.totals.as_of { "figures as of " (words::time(at)) } @else { "no sample yet" }
    }
}

fn notes(board: &Board) -> Markup {
    html! {
        @if board.totals.floor {
            (note(Level::Bad, &html! {
                p { strong { "A rollback is held in memory." } " Shares are 0 whatever the file says, until the files mean something else, or this process ends." }
            }))
        }
        @if let Some(old) = board.totals.stale_seconds {
            (note(Level::Warn, &html! {
                p { strong { "The figures are old." } " The last sample was taken " (words::span(Duration::from_secs(old))) " ago: nothing below is about now." }
            }))
        }
        @if board.totals.last_reload.result == ReloadResult::Refused {
            (note(Level::Bad, &html! {
                p { strong { "The last reload was refused." } " What was in force before still is. " a href="/configuration" { "Read the report" } }
            }))
        }
    }
}

fn tools(board: &Board, asked: &Asked) -> Markup {
    let choice = |value: &str, words: &str, chosen: &str| {
        html! { option value=(value) selected[value == chosen] { (words) } }
    };
    let shown = board.rows.iter().filter(|row| asked.wants(row)).count();
    html! {
        form.tools method="get" action="/" role="search" aria-label="Routes" {
            div.field {
                label for="q" { "Filter" }
                input #q type="search" name="q" value=(asked.q) autocomplete="off" spellcheck="false"
                    placeholder="name, upstream, owner, file";
            }
            div.field {
                label for="stage" { "Stage" }
                select #stage name="stage" {
                    (choice("", "all stages", &asked.stage))
                    @for stage in STAGES { (choice(stage, stage, &asked.stage)) }
                }
            }
            div.field {
                label for="show" { "Show" }
                select #show name="show" {
                    (choice("", "all routes", &asked.show))
                    (choice("attention", "what needs attention", &asked.show))
                }
            }
            @if asked.column().is_some() {
                input type="hidden" name="sort" value=(asked.sort);
                input type="hidden" name="order" value=(asked.order);
            }
            button { "Apply" }
            span #count.count { (shown) " of " (words::of(board.rows.len(), "route", "routes")) }
        }
    }
}

fn table(board: &Board, asked: &Asked, viewer: &Viewer) -> Markup {
    let may_change = viewer.may == May::Change;
    let mut rows: Vec<(usize, &BoardRow)> =
        board.rows.iter().enumerate().filter(|(_, row)| asked.wants(row)).collect();
    if let Some(column) = asked.column() {
        rows.sort_by(|(_, one), (_, other)| columns::compare(column, asked.order(), one, other));
    }
    html! {
        table #board.board data-live data-partial[asked.is_partial()] {
            caption.unseen { "Routes, in the order of the file unless sorted" }
            (columns::widths(may_change))
            (columns::head(asked, may_change))
            tbody {
                @for (at, row) in &rows { (row::row(*at, row, may_change)) }
            }
        }
        p #none-left.note hidden[!rows.is_empty() || board.rows.is_empty()] { "No route is like that." }
        @if board.rows.is_empty() {
            (note(Level::Info, &html! { p { "There are no routes yet: legacy answers everything." } }))
        }
    }
}
