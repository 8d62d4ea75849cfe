//! `banyan mismatches`
//!
//! - `tree`: what differs, place by place. `sides`: two answers side by side.

mod sides;
mod tree;

use std::fmt::Write as _;

use banyan_control::api::{Kept, LatencyPair, Mismatches, Ratio, Reset, RouteEvidence, RouteMismatches};

use crate::admin::{Admin, AdminError};
use crate::args::MismatchesArgs;
use crate::failure::{Exit, Failure};
use crate::names::nearest;
use crate::screen::{self, Cell};
use crate::settings::Settings;

/// Prints what comparisons of shadowed requests found.
pub(super) fn perform(args: &MismatchesArgs, settings: &Settings) -> Result<Exit, Failure> {
    let admin = settings.admin()?;
    let Some(route) = &args.route else { return all(args, &admin) };
    let unknown = |error| unknown_route(error, route, &admin);
    if let Some(id) = args.sample {
        let sample = admin.sample(route, id).map_err(|error| no_sample(error, route))?;
        if args.json {
            screen::print_json(&sample)?;
        } else {
            screen::print_text(&sides::told(&sample, screen::width()))?;
        }
    } else if args.reset {
        let reset = admin.reset_evidence(route).map_err(unknown)?;
        if args.json { screen::print_json(&reset)? } else { screen::print(&told_reset(&reset))? }
    } else {
        let evidence = admin.evidence(route).map_err(unknown)?;
        match (args.suggest, args.json) {
            (_, true) => screen::print_json(&evidence)?,
            (true, false) => suggest(&evidence)?,
            (false, false) => screen::print_text(&told(&evidence))?,
        }
    }
    Ok(Exit::Ok)
}

/// With the name that was probably meant.
pub(super) fn unknown_route(error: AdminError, route: &str, admin: &Admin) -> Failure {
    if !error.is_not_found() {
        return error.into();
    }
    let known = admin.mismatches().map(|found| found.routes).unwrap_or_default();
    let near = nearest(route, known.iter().map(|known| known.route.as_str()));
    Failure::from(error).maybe_hint(near.map(|near| format!("banyan mismatches {near}")))
}

fn no_sample(error: AdminError, route: &str) -> Failure {
    let is_gone = error.is_not_found();
    Failure::from(error).maybe_hint(is_gone.then(|| format!("banyan mismatches {route}")))
}

fn all(args: &MismatchesArgs, admin: &Admin) -> Result<Exit, Failure> {
    let found = admin.mismatches()?;
    if args.json {
        screen::print_json(&found)?;
    } else if found.routes.is_empty() {
        screen::print("no route shadows: nothing is compared")?;
    } else {
        screen::print_text(&told_all(&found))?;
    }
    Ok(Exit::Ok)
}

fn told_all(found: &Mismatches) -> String {
    let heading =
        ["ROUTE", "COMPARED", "MISMATCH", "RATIO", "95 % BETWEEN", "NOISE", "INCOMPARABLE", "SINCE"];
    let rows: Vec<Vec<Cell>> = found.routes.iter().map(row).collect();
    screen::table(&heading, &rows) + &trouble(&found.kept)
}

fn row(route: &RouteMismatches) -> Vec<Cell> {
    let counts = &route.counts;
    let number = |count: u64| Cell::from(count.to_string());
    let unknown = || Cell::styled("no data", screen::YELLOW);
    vec![
        screen::printable(&route.route).into(),
        number(counts.compared),
        number(counts.mismatch),
        route.mismatch_ratio.map_or_else(unknown, |ratio| percent(ratio.ratio).into()),
        route.mismatch_ratio.map(between).unwrap_or_default().into(),
        number(counts.noise),
        number(counts.incomparable),
        route.since.clone().unwrap_or_else(|| "-".to_owned()).into(),
    ]
}

fn told(evidence: &RouteEvidence) -> String {
    let mut out = head(evidence);
    if !evidence.signatures.is_empty() {
        out += "\n";
        out += &tree::told(&evidence.signatures);
    }
    let route = screen::printable(&evidence.route);
    if let Some(id) = evidence.signatures.iter().find_map(|seen| seen.samples.last()) {
        let _ = writeln!(out, "\nboth answers side by side: banyan mismatches {route} --sample {id}");
    }
    if evidence.suggestion.is_some() {
        let _ = writeln!(out, "rules for what looks like noise: banyan mismatches {route} --suggest");
    }
    out + &trouble(&evidence.kept)
}

fn head(evidence: &RouteEvidence) -> String {
    let counts = &evidence.counts;
    let since = evidence.since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
    let ratio = match evidence.mismatch_ratio {
        Some(ratio) => format!("{} ({})", percent(ratio.ratio), between(ratio)),
        None => "unknown: nothing was compared".to_owned(),
    };
    let shadows = if evidence.shadows { "" } else { ", which does not shadow now" };
    let mut lines = vec![
        format!("route {}{shadows}: {} compared{since}", screen::printable(&evidence.route), counts.compared),
        format!("  mismatch      {}, {ratio}", counts.mismatch),
        format!(
            "  else          {} match, {} ignored, {} noise, {} transient",
            counts.matched, counts.ignored, counts.noise, counts.transient
        ),
        format!("  incomparable  {}{}", counts.incomparable, reasons(evidence)),
    ];
    lines.extend(learned(evidence));
    lines.extend(statuses(evidence));
    lines.extend(latency(evidence));
    lines.join("\n") + "\n"
}

fn reasons(evidence: &RouteEvidence) -> String {
    let reasons = evidence.incomparable.iter().map(|(reason, count)| format!("{reason} {count}"));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    if reasons.is_empty() { reasons } else { format!(": {reasons}") }
}

fn learned(evidence: &RouteEvidence) -> Option<String> {
    let learned = &evidence.learned;
    let noise = learned.signatures.iter().filter(|one| one.verdict == "noise").count();
    (learned.asked_twice > 0).then(|| {
        format!(
            "  learned       legacy asked twice {} times, signatures that are noise: {noise}",
            learned.asked_twice
        )
    })
}

/// Only pairs that differ.
fn statuses(evidence: &RouteEvidence) -> Option<String> {
    let differ = evidence.status_pairs.iter().filter(|pair| pair.legacy != pair.candidate);
    let told: Vec<_> =
        differ.take(5).map(|pair| format!("{} -> {} {}", pair.legacy, pair.candidate, pair.count)).collect();
    (!told.is_empty()).then(|| format!("  status        {}", told.join(", ")))
}

fn latency(evidence: &RouteEvidence) -> Option<String> {
    let latency = evidence.latency?;
    let told = |name: &str, pair: LatencyPair| {
        let (legacy, candidate) = (pair.legacy_seconds * 1_000.0, pair.candidate_seconds * 1_000.0);
        format!("{name} {legacy:.1} -> {candidate:.1} ms (x{:.2})", pair.ratio)
    };
    let (p50, p95, p99) = (told("p50", latency.p50), told("p95", latency.p95), told("p99", latency.p99));
    Some(format!("  latency       {p50}, {p95}, {p99}"))
}

fn suggest(evidence: &RouteEvidence) -> Result<(), Failure> {
    let Some(suggestion) = &evidence.suggestion else {
        screen::say(
            "nothing looks like noise: legacy agrees with itself, or was not asked twice often enough",
        );
        return Ok(());
    };
    screen::say("review before you paste: what is ignored is never seen again");
    screen::print_text(suggestion)
}

fn told_reset(reset: &Reset) -> String {
    let route = screen::printable(&reset.route);
    if !reset.had_counts && reset.samples == 0 {
        return format!("route {route}: there was nothing to forget");
    }
    format!("route {route}: counts, what was learned and {} samples are forgotten", reset.samples)
}

/// What was not kept, and why.
fn trouble(kept: &Kept) -> String {
    let mut out = String::new();
    let dropped: Vec<_> = kept.dropped.iter().filter(|(_, count)| **count > 0).collect();
    if !dropped.is_empty() {
        let dropped: Vec<_> = dropped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let _ = writeln!(out, "samples not kept: {}", dropped.join(", "));
    }
    if let Some(problem) = &kept.problem {
        let _ = writeln!(out, "{}", screen::printable(problem));
    }
    if kept.place == "memory" && kept.problem.is_none() {
        out += "kept in memory only: `--state-dir` keeps it across a restart\n";
    }
    out
}

/// Two digits that say something.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if percent > 0.0 && percent < 0.1 { format!("{percent:.3} %") } else { format!("{percent:.1} %") }
}

pub(super) fn between(ratio: Ratio) -> String {
    format!("{} to {}", percent(ratio.lower), percent(ratio.upper))
}
