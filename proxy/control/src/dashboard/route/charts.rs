//! Both arms on one time axis, with a mark at every shift. Drawn here as SVG for readers without scripts; the script draws the
//! same numbers again with a cursor.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::RANGES;
use crate::api::{Mark, Series};
use crate::clock;
use crate::dashboard::signs::{Level, note};
use crate::dashboard::words;

/// Of the drawing; it is stretched to fit.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 180.0;

/// Above the highest value.
const HEADROOM: f64 = 1.1;

/// What the script reads.
#[derive(Serialize)]
struct Drawn<'a> {
    from: u64,
    to: u64,
    at: &'a [u64],
    marks: Vec<u64>,
    charts: Vec<Chart<'a>>,
}

#[derive(Serialize)]
struct Chart<'a> {
    id: &'static str,
    title: &'static str,
    unit: Unit,
    lines: Vec<Line<'a>>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Unit {
    PerSecond,
    Ratio,
    Seconds,
}

#[derive(Serialize)]
struct Line<'a> {
    label: &'static str,
    /// Name of the custom property of the style sheet.
    colour: &'static str,
    dashed: bool,
    values: &'a [Option<f64>],
}

impl Unit {
    fn told(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", words::rate(value)),
            Self::Ratio => words::percent(value),
            Self::Seconds => words::seconds(value),
        }
    }
}

/// The section; `range` is what is looked at.
pub(super) fn section(route: &str, series: Option<&Series>, range: &str) -> Markup {
    html! {
        section.panel #over-time data-live aria-labelledby="charts-title" {
            div.head {
                h2 #charts-title { "Over time" }
                span.key.small.legacy { (key(false)) "legacy" }
                span.key.small.candidate { (key(true)) "candidate" }
                span.key.small.mark { (key_of_marks()) "change" }
                span.grow {}
                (ranges(range))
            }
            @match series {
                Some(series) => (charts(series)),
                None => p { (words::no_data()) span.soft { " of " (route) " is remembered" } },
            }
        }
    }
}

fn ranges(current: &str) -> Markup {
    html! {
        nav aria-label="Length of time" {
            ul.row.plain {
                @for (name, _) in RANGES {
                    li {
                        a.button.tiny href={ "?range=" (name) } aria-current=[(name == current).then_some("true")] { (name) }
                    }
                }
            }
        }
    }
}

fn charts(series: &Series) -> Markup {
    let drawn = drawn(series);
    html! {
        @if let Some(problem) = &series.problem {
            (note(Level::Warn, &html! { p { strong { "Not all of this time is known." } " " (problem) } }))
        }
        div.charts {
            @for chart in &drawn.charts { (figure(chart, series)) }
        }
        p.small.soft {
            "From " (words::exact_time(&moment(series.from))) " to " (words::exact_time(&moment(series.to)))
            ", a point every " (words::span(std::time::Duration::from_secs(series.step_seconds)))
            @match series.source.as_str() {
                "memory" => {
                    ", sampled by this process"
                    @if let Some(since) = series.memory_since { " since " (words::exact_time(&moment(since))) }
                },
                other => { ", from " (other) },
            }
        }
        (marks(&series.marks))
        // A block of data, which no policy takes for a script.
        script #series type="application/json" { (PreEscaped(data(&drawn))) }
    }
}

fn drawn(series: &Series) -> Drawn<'_> {
    let arms = |legacy, candidate| vec![line("legacy", false, legacy), line("candidate", true, candidate)];
    let (legacy, candidate) = (&series.legacy, &series.candidate);
    let chart = |id, title, unit, lines| Chart { id, title, unit, lines };
    let set = Line { label: "set", colour: "ink", dashed: false, values: &series.configured_share };
    let seen = Line { label: "seen", colour: "candidate", dashed: true, values: &series.observed_share };
    let mismatch = Line { label: "mismatches", colour: "bad", dashed: false, values: &series.mismatch_ratio };
    Drawn {
        from: series.from,
        to: series.to,
        at: &series.times,
        marks: series.marks.iter().filter_map(|mark| second(&mark.at)).collect(),
        charts: vec![
            chart("chart-share", "Share of the candidate", Unit::Ratio, vec![set, seen]),
            chart(
                "chart-rate",
                "Requests per second",
                Unit::PerSecond,
                arms(&legacy.requests_per_second, &candidate.requests_per_second),
            ),
            chart("chart-errors", "Errors", Unit::Ratio, arms(&legacy.error_ratio, &candidate.error_ratio)),
            chart(
                "chart-p50",
                "Duration, p50",
                Unit::Seconds,
                arms(&legacy.p50_seconds, &candidate.p50_seconds),
            ),
            chart(
                "chart-p99",
                "Duration, p99",
                Unit::Seconds,
                arms(&legacy.p99_seconds, &candidate.p99_seconds),
            ),
            chart("chart-mismatches", "Mismatches of what was compared", Unit::Ratio, vec![mismatch]),
        ],
    }
}

fn line<'a>(arm: &'static str, dashed: bool, values: &'a [Option<f64>]) -> Line<'a> {
    Line { label: arm, colour: arm, dashed, values }
}

fn figure(chart: &Chart<'_>, series: &Series) -> Markup {
    let top = chart.lines.iter().flat_map(|line| line.values.iter().flatten()).copied().fold(0.0, f64::max);
    let has_data = chart.lines.iter().any(|line| line.values.iter().any(Option::is_some));
    let title = format!("{}-title", chart.id);
    html! {
        section.chart aria-labelledby=(title) {
            h3 id=(title) {
                (chart.title)
                span.small { @for line in &chart.lines { (latest(chart, line)) } }
            }
            @if has_data {
                div.plot id=(chart.id) role="img" aria-label={ (chart.title) ": up to " (chart.unit.told(top)) } {
                    (drawing(chart, series, if top > 0.0 { top * HEADROOM } else { 1.0 }))
                }
            } @else {
                div.plot id=(chart.id) { p.nothing { "no data" } }
            }
        }
    }
}

/// The newest value in words: what one looks for, with or without eyes.
fn latest(chart: &Chart<'_>, line: &Line<'_>) -> Markup {
    let newest = line.values.iter().rev().find_map(|value| *value);
    html! {
        span class={ "key " (line.colour) } {
            (line.label) ": " (words::or_no_data(newest, |value| chart.unit.told(value)))
        }
    }
}

fn drawing(chart: &Chart<'_>, series: &Series, top: f64) -> Markup {
    let place = Scale { from: series.from, to: series.to, top };
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" aria-hidden="true" {
            line.axis x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
            @for at in series.marks.iter().filter_map(|mark| second(&mark.at)) {
                line.mark x1=(place.x(at)) x2=(place.x(at)) y1="0" y2=(HEIGHT) {}
            }
            @for line in &chart.lines {
                @for points in pieces(&series.times, line.values, &place) {
                    polyline class={ "line-" (if line.dashed { "candidate" } else { "legacy" }) } points=(points) {}
                }
            }
        }
    }
}

/// From values to places of the drawing.
struct Scale {
    from: u64,
    to: u64,
    top: f64,
}

impl Scale {
    fn x(&self, at: u64) -> String {
        let length = self.to.saturating_sub(self.from).max(1);
        // Seconds of a month fit.
        #[allow(clippy::cast_precision_loss)]
        let part = at.saturating_sub(self.from) as f64 / length as f64;
        format!("{:.1}", part * WIDTH)
    }

    fn y(&self, value: f64) -> String {
        format!("{:.1}", (1.0 - value / self.top) * (HEIGHT - 2.0))
    }
}

/// A line per piece without holes: no data is no line.
fn pieces(times: &[u64], values: &[Option<f64>], place: &Scale) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for (at, value) in times.iter().zip(values) {
        match (value, pieces.last_mut()) {
            (Some(value), Some(piece)) => {
                // Writing to a `String` does not fail.
                let _ = write!(piece, "{},{} ", place.x(*at), place.y(*value));
            }
            (None, Some(piece)) if !piece.is_empty() => pieces.push(String::new()),
            _ => {}
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn marks(marks: &[Mark]) -> Markup {
    html! {
        @if marks.is_empty() {
            p.small.soft { "No change in this time." }
        } @else {
            h3 { "Changes in this time" }
            ul.plain.marks {
                @for mark in marks.iter().rev() {
                    li { (words::exact_time(&mark.at)) " by " strong { (mark.who) } ": " (mark.line)
                        @if let Some(why) = &mark.why { span.soft { " – “" (why) "”" } }
                    }
                }
            }
        }
    }
}

fn second(at: &str) -> Option<u64> {
    let moment = at.parse::<jiff::Timestamp>().ok()?;
    u64::try_from(moment.as_second()).ok()
}

fn moment(second: u64) -> String {
    clock::told_ms(second.saturating_mul(1000))
}

/// JSON that cannot end the element it stands in.
fn data(drawn: &Drawn<'_>) -> String {
    // Nothing in it can fail: no maps, no floats but finite ones, which `null` stands in for otherwise.
    serde_json::to_string(drawn).unwrap_or_default().replace('<', "\\u003c")
}

fn key(is_dashed: bool) -> Markup {
    html! {
        svg viewBox="0 0 20 8" aria-hidden="true" { line.dashed[is_dashed] x1="0" x2="20" y1="4" y2="4" {} }
    }
}

fn key_of_marks() -> Markup {
    html! { svg viewBox="0 0 20 8" aria-hidden="true" { line.dashed x1="10" x2="10" y1="0" y2="8" {} } }
}
