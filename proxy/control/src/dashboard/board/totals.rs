//! How far the migration is: now, and on the way here.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, html};

use crate::api::{Board, Progress, ProgressPoint};
use crate::clock;
use crate::dashboard::signs::meter;
use crate::dashboard::words;

/// Of the drawing; it is stretched to fit.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 64.0;

/// The three panels above the table.
pub(super) fn totals(board: &Board, progress: &Progress) -> Markup {
    let totals = &board.totals;
    let off = part(totals.routes_off, totals.routes);
    let time = words::span(Duration::from_secs(totals.requests_off_seconds));
    html! {
        div.panel {
            h2.small.soft { "Routes off the monolith" }
            p.figure { (words::count(totals.routes_off)) " " small { "of " (words::count(totals.routes)) " routes" } }
            (meter(off.unwrap_or_default()))
        }
        div.panel {
            h2.small.soft { "Requests not answered by legacy" }
            @match totals.requests_off_ratio {
                Some(ratio) => {
                    p.figure { (words::percent(ratio)) " " small { "in the last " (time) } }
                    (meter(ratio))
                }
                None => {
                    p.figure { (words::no_data()) " " small { "in the last " (time) } }
                }
            }
            p.small.soft { "now: " (words::or_no_data(totals.requests_per_second, words::rate)) " requests/s" }
        }
        div.panel { (burn_down(&up_to_now(board, progress), progress)) }
    }
}

fn part(some: u64, all: u64) -> Option<f64> {
    // Far below 2^52 in any configuration.
    #[allow(clippy::cast_precision_loss)]
    (all > 0).then(|| some as f64 / all as f64)
}

/// What is kept, and where it stands now.
fn up_to_now(board: &Board, progress: &Progress) -> Vec<ProgressPoint> {
    let totals = &board.totals;
    let at = totals.as_of.as_ref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    let now = at.and_then(|at| u64::try_from(at.as_second()).ok()).map(|at| ProgressPoint {
        at,
        routes: totals.routes,
        routes_off: totals.routes_off,
        requests_off_ratio: totals.requests_off_ratio,
    });
    let last = progress.points.last().map_or(0, |point| point.at);
    progress.points.iter().copied().chain(now.filter(|now| now.at > last)).collect()
}

fn burn_down(points: &[ProgressPoint], progress: &Progress) -> Markup {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! {
            h2.small.soft { "Left on the monolith over time" }
            p { (words::no_data()) span.small.soft { " yet: a point is kept every hour and at every change" } }
            (problem(progress))
        };
    };
    let left = |point: &ProgressPoint| part(point.routes.saturating_sub(point.routes_off), point.routes);
    let requests = |point: &ProgressPoint| point.requests_off_ratio.map(|off| 1.0 - off);
    html! {
        h2.small.soft { "Left on the monolith since " (words::exact_time(&clock::told_ms(first.at * 1000))) }
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
            aria-label=(said(first, last)) {
            line.base x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            @for piece in pieces(points, requests) { polyline.requests points=(piece) {} }
            @for piece in pieces(points, left) { polyline.routes points=(piece) {} }
        }
        p.small {
            span.key.candidate { (key(false)) "routes on legacy: " (last.routes.saturating_sub(last.routes_off)) }
            span.key.legacy { (key(true)) "requests to legacy: " (words::or_no_data(requests(last), words::percent)) }
        }
        (problem(progress))
    }
}

fn problem(progress: &Progress) -> Markup {
    html! { @if let Some(problem) = &progress.problem { p.small.warn { (problem) } } }
}

fn said(first: &ProgressPoint, last: &ProgressPoint) -> String {
    let left = |point: &ProgressPoint| point.routes.saturating_sub(point.routes_off);
    format!("from {} of {} routes on legacy to {} of {}", left(first), first.routes, left(last), last.routes)
}

fn key(is_dashed: bool) -> Markup {
    html! {
        svg viewBox="0 0 20 8" aria-hidden="true" { line.dashed[is_dashed] x1="0" x2="20" y1="4" y2="4" {} }
    }
}

/// Lines as points of a drawing: a new one after every hole.
fn pieces(points: &[ProgressPoint], value: impl Fn(&ProgressPoint) -> Option<f64>) -> Vec<String> {
    let (from, to) = match (points.first(), points.last()) {
        (Some(first), Some(last)) if last.at > first.at => (first.at, last.at),
        _ => return Vec::new(),
    };
    let mut pieces = vec![String::new()];
    for point in points {
        match value(point) {
            Some(ratio) => {
                let x = part(point.at - from, to - from).unwrap_or_default() * WIDTH;
                let y = 2.0 + (1.0 - ratio) * (HEIGHT - 4.0);
                let piece = pieces.last_mut().expect("there is always one");
                // Writing to a `String` does not fail.
                let _ = write!(piece, "{x:.1},{y:.1} ");
            }
            None if pieces.last().is_some_and(|piece| !piece.is_empty()) => pieces.push(String::new()),
            None => {}
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}
