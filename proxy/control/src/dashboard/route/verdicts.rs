//! What comparisons of shadowed requests found, counted.

use maud::{Markup, html};

use crate::api::{BoardRow, LatencyPair, RouteEvidence};
use crate::dashboard::words;

/// The section.
pub(super) fn section(evidence: &RouteEvidence, row: &BoardRow) -> Markup {
    let counts = evidence.counts;
    html! {
        section.panel #verdicts data-live aria-labelledby="verdicts-title" {
            h2 #verdicts-title { "Comparisons" }
            @if counts.compared + counts.incomparable == 0 {
                p { (words::no_data()) " " (why_none(evidence, row)) }
            } @else {
                (summary(evidence))
                table.list {
                    thead { tr { th scope="col" { "Verdict" } th.num scope="col" { "Requests" } th scope="col" { "Meaning" } } }
                    tbody {
                        (line("match", counts.matched, "nothing differed"))
                        (line("ignored", counts.ignored, "only what rules name"))
                        (line("noise", counts.noise, "only what legacy does not agree on with itself"))
                        (line("mismatch", counts.mismatch, "something else"))
                        (line("transient", counts.transient, "a mismatch that was gone when asked again"))
                        (line("incomparable", counts.incomparable, "no comparison"))
                    }
                }
                (incomparable(evidence))
                (latency(evidence))
            }
            @if let Some(problem) = &evidence.kept.problem { p.warn.small { "Samples are not kept on disk: " (problem) } }
        }
    }
}

fn why_none(evidence: &RouteEvidence, row: &BoardRow) -> Markup {
    html! {
        @if evidence.shadows {
            span.soft { "yet: copies are sent, none has been compared" }
        } @else if row.candidate_upstream.is_some() {
            span.soft { "and none to come: the route has no " code { "shadow" } }
        } @else {
            span.soft { ": the route has no candidate" }
        }
    }
}

fn summary(evidence: &RouteEvidence) -> Markup {
    html! {
        p {
            @match evidence.mismatch_ratio {
                Some(ratio) => {
                    strong { (words::percent(ratio.ratio)) } " of " (words::count(evidence.counts.compared)) " differ; "
                    (words::interval(ratio.lower, ratio.upper)) " with 95 % confidence"
                },
                None => { (words::no_data()) },
            }
            @if let Some(since) = &evidence.since { span.soft { ", since " (words::time(since)) } }
        }
    }
}

fn line(verdict: &str, count: u64, meaning: &str) -> Markup {
    html! {
        tr { th scope="row" { (verdict) } td.num { (words::count(count)) } td.soft { (meaning) } }
    }
}

fn incomparable(evidence: &RouteEvidence) -> Markup {
    html! {
        @if !evidence.incomparable.is_empty() {
            details #incomparable {
                summary { "Why some were not compared" }
                ul { @for (reason, count) in &evidence.incomparable { li { (reason) ": " (words::count(*count)) } } }
            }
        }
    }
}

fn latency(evidence: &RouteEvidence) -> Markup {
    let Some(latency) = &evidence.latency else { return html! {} };
    let line = |name: &str, pair: &LatencyPair| {
        html! {
            tr {
                th scope="row" { (name) }
                td.num { (words::seconds(pair.legacy_seconds)) }
                td.num { (words::seconds(pair.candidate_seconds)) }
                td.num { (format!("{:.2}", pair.ratio)) "\u{a0}×" }
            }
        }
    };
    html! {
        h3 { "Time for the same requests" }
        table.list {
            thead {
                tr {
                    th scope="col" { "Of " (words::count(latency.count)) }
                    th.num.legacy scope="col" { "legacy" }
                    th.num.candidate scope="col" { "candidate" }
                    th.num scope="col" { "candidate to legacy" }
                }
            }
            tbody { (line("p50", &latency.p50)) (line("p95", &latency.p95)) (line("p99", &latency.p99)) }
        }
    }
}
