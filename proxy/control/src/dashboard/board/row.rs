//! One route on the board, and what is the matter with it.

use maud::{Markup, html};

use super::columns::{COLUMNS, Key, configured};
use crate::api::{BoardArm, BoardRow, Trouble};
use crate::dashboard::signs::{Level, icon, share_bar, stage};
use crate::dashboard::{address, words};

/// A candidate that fails this much more often than legacy needs somebody to look.
const MORE_ERRORS: f64 = 0.01;

/// From here on it needs somebody to act.
const MANY_ERRORS: f64 = 0.1;

/// A candidate's p99 that is so many times legacy's, and slow at all.
const SLOWER_TIMES: f64 = 2.0;
const SLOW_SECONDS: f64 = 0.1;

/// Answers from which on ratios of an arm are worth a judgement.
const ANSWERS_MIN: u64 = 20;

/// Mismatches that are surely more than this part of what was compared.
const MISMATCHES: f64 = 0.01;

/// What is the matter with a route, worst first; empty when nothing is known to be.
pub(in crate::dashboard) fn troubles(row: &BoardRow) -> Vec<(Level, String)> {
    let mut found: Vec<(Level, String)> = row.trouble.iter().map(told).collect();
    if row.floor {
        found.push((Level::Bad, "rolled back in memory".to_owned()));
    }
    found.extend(worse(&row.legacy, &row.candidate));
    if row.mismatch.is_some_and(|found| found.low > MISMATCHES) {
        found.push((Level::Warn, "answers differ".to_owned()));
    }
    found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    found
}

/// The worst of it.
pub(super) fn level(row: &BoardRow) -> Level {
    troubles(row).first().map_or(Level::Good, |(level, _)| *level)
}

fn told(trouble: &Trouble) -> (Level, String) {
    let (upstream, target) = (&trouble.upstream, trouble.target.as_deref().unwrap_or("a target"));
    match trouble.kind.as_str() {
        "breaker-open" => (Level::Bad, format!("breaker of {upstream} open")),
        "breaker-half-open" => (Level::Warn, format!("breaker of {upstream} half open")),
        "target-unhealthy" => (Level::Bad, format!("{target} of {upstream} unhealthy")),
        "target-ejected" => (Level::Warn, format!("{target} of {upstream} taken out")),
        other => (Level::Warn, format!("{other} of {upstream}")),
    }
}

/// What the candidate does worse than legacy. Without answers there is nothing to say, and nothing is said.
fn worse(legacy: &BoardArm, candidate: &BoardArm) -> Vec<(Level, String)> {
    let mut found = Vec::new();
    if candidate.requests < ANSWERS_MIN {
        return found;
    }
    let errors = candidate.error_ratio.unwrap_or_default();
    if errors > legacy.error_ratio.unwrap_or_default() + MORE_ERRORS {
        let level = if errors > MANY_ERRORS { Level::Bad } else { Level::Warn };
        found.push((level, "candidate fails more".to_owned()));
    }
    if let (Some(ours), Some(theirs)) = (candidate.p99_seconds, legacy.p99_seconds)
        && legacy.requests >= ANSWERS_MIN
        && ours > SLOW_SECONDS
        && ours > theirs * SLOWER_TIMES
    {
        found.push((Level::Warn, "candidate is slower".to_owned()));
    }
    found
}

/// What the filter looks into, in lower case.
pub(super) fn findable(row: &BoardRow) -> String {
    let words = [Some(&row.name), Some(&row.legacy_upstream), row.candidate_upstream.as_ref()];
    let more = [row.cohort.as_ref(), row.origin.as_ref()];
    let known = words.into_iter().chain(more).flatten().chain(row.meta.values());
    known.map(|word| word.to_lowercase()).collect::<Vec<_>>().join(" ")
}

/// The row; `at` is its place in the file.
pub(super) fn row(at: usize, row: &BoardRow, may_change: bool) -> Markup {
    let troubles = troubles(row);
    let worst = troubles.first().map(|(level, _)| *level);
    let key = |place: usize| (COLUMNS[place].key)(row).map(written);
    html! {
        tr id={ "r-" (row.name) } .attention[worst == Some(Level::Warn)] .alarm[worst == Some(Level::Bad)]
            data-at=(at) data-stage=(row.stage) data-find=(findable(row)) {
            th scope="row" data-v=[key(0)] {
                a href=(address::route(&row.name)) { (row.name) }
                @if let Some(cohort) = &row.cohort { span.sub { "cohort " (cohort) } }
                @for (level, words) in &troubles {
                    span class={ "sub " (level.class()) } {
                        (icon(if *level == Level::Bad { "bad" } else { "warn" })) " " (words)
                    }
                }
            }
            td.stage data-v=[key(1)] { (stage(&row.stage)) }
            td.share data-v=[key(2)] { (share(row)) }
            td.num.rate data-v=[key(3)] { (words::or_no_data(row.requests_per_second, words::rate)) }
            (figures(row, &key))
            td.num.group.mismatch data-v=[key(10)] { (mismatches(row)) }
            td.group.change data-v=[key(11)] { (change(row)) }
            @if may_change { td.acts { (actions(row)) } }
        }
    }
}

fn figures(row: &BoardRow, key: &dyn Fn(usize) -> Option<String>) -> Markup {
    let candidate = |value: Option<f64>, told: fn(f64) -> String| match (value, &row.candidate_upstream) {
        (None, None) => words::not_here("no candidate"),
        (value, _) => words::or_no_data(value, told),
    };
    let is_worse = row.candidate.requests >= ANSWERS_MIN
        && row.candidate.error_ratio.unwrap_or_default()
            > row.legacy.error_ratio.unwrap_or_default() + MORE_ERRORS;
    html! {
        td.num.group data-v=[key(4)] { (words::or_no_data(row.legacy.error_ratio, words::percent)) }
        td.num.bad[is_worse] data-v=[key(5)] { (candidate(row.candidate.error_ratio, words::percent)) }
        td.num.group data-v=[key(6)] { (words::or_no_data(row.legacy.p50_seconds, words::seconds)) }
        td.num data-v=[key(7)] { (candidate(row.candidate.p50_seconds, words::seconds)) }
        td.num.group data-v=[key(8)] { (words::or_no_data(row.legacy.p99_seconds, words::seconds)) }
        td.num data-v=[key(9)] { (candidate(row.candidate.p99_seconds, words::seconds)) }
    }
}

/// Enough digits to sort by.
fn written(key: Key) -> String {
    match key {
        Key::Text(text) => text,
        Key::Number(number) => format!("{}", (number * 1e6).round() / 1e6),
    }
}

/// What is configured, and what was seen; both as words beside the bar.
pub(in crate::dashboard) fn share(row: &BoardRow) -> Markup {
    let Some(percent) = &row.percent else {
        let words = if row.stage == "retired" { "answers 410" } else { "no candidate" };
        return html! { span.soft { (words) } };
    };
    let seen = match row.observed_share {
        Some(observed) => format!("seen {}", words::percent(observed)),
        None => "seen: no data".to_owned(),
    };
    let said = format!("share set to {percent} %, {seen}");
    html! {
        (share_bar(configured(row).unwrap_or_default(), row.observed_share, &said))
        span { (percent) "\u{a0}%" } " "
        @if row.observed_share.is_some() {
            span.soft title={ "of " (words::count(row.observed_requests)) " decisions" } { (seen) }
        } @else { span.none { (seen) } }
        @if let Some(files) = &row.percent_in_files { span.sub.bad { (files) "\u{a0}% in the file" } }
        @if row.pins_candidate { span.sub { "and a pin to the candidate" } }
    }
}

fn mismatches(row: &BoardRow) -> Markup {
    let Some(found) = row.mismatch else {
        return if row.candidate_upstream.is_some() {
            words::no_data()
        } else {
            words::not_here("no candidate")
        };
    };
    html! {
        (words::percent(found.ratio))
        span.sub {
            (words::interval(found.low, found.high)) " of " (words::count(found.compared))
        }
    }
}

fn change(row: &BoardRow) -> Markup {
    let Some(change) = &row.last_change else { return html! { span.none { "none known" } } };
    html! {
        (words::time(&change.at)) " by " (change.who)
        span.sub.why title=(change.line) { (change.why.as_deref().unwrap_or(&change.line)) }
    }
}

fn actions(row: &BoardRow) -> Markup {
    html! {
        @if row.percent.is_some() {
            div.row {
                a.button.tiny href=(address::shift(&row.name)) { "Shift" span.unseen { " " (row.name) } }
                a.button.tiny.danger href=(address::rollback(&row.name)) {
                    "Roll back" span.unseen { " " (row.name) }
                }
            }
        }
    }
}
