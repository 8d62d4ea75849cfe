//! `banyan status`

use std::io::IsTerminal;

use banyan_control::api::{ArmCounts, Breaker, Config, ReloadResult, Route, Routes, Target};
use serde::Serialize;

use super::{JSON_VERSION, shares};
use crate::admin::Admin;
use crate::args::StatusArgs;
use crate::failure::{Exit, Failure};
use crate::screen::{self, BOLD, Cell, PLAIN, RED, YELLOW};
use crate::settings::Settings;

/// Clears a terminal: cursor home, then everything below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Every number of a row counts from the time in its last column but one.
const HEADING: [&str; 10] = [
    "ROUTE",
    "STAGE",
    "PERCENT",
    "OBSERVED",
    "LEGACY",
    "CANDIDATE",
    "ERRORS L/C",
    "P99 L/C",
    "COUNTED SINCE",
    "COHORT",
];

#[derive(Serialize)]
struct Status {
    version: u32,
    /// No target is unhealthy or taken out, every breaker is closed, the last reload was accepted, and no rollback is held in memory.
    healthy: bool,
    config: Config,
    routes: Routes,
}

/// Prints what is in force and what it does.
pub(super) fn perform(args: &StatusArgs, settings: &Settings) -> Result<Exit, Failure> {
    let admin = settings.admin()?;
    if args.ready {
        return ready(&admin);
    }
    if !args.watch {
        return show(&look(&admin)?, args.json, "");
    }
    let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
    loop {
        match look(&admin) {
            Ok(status) => drop(show(&status, args.json, clear)?),
            // The proxy may be restarting: keep looking.
            Err(error) => drop(error.tell()),
        }
        std::thread::sleep(args.every.0);
    }
}

/// One word, and the exit code that says the same.
fn ready(admin: &Admin) -> Result<Exit, Failure> {
    let (is_ready, word) = admin.ready()?;
    screen::print_text(&format!("{word}\n"))?;
    Ok(if is_ready { Exit::Ok } else { Exit::Unhealthy })
}

fn look(admin: &Admin) -> Result<Status, Failure> {
    let (config, routes) = (admin.config()?, admin.routes()?);
    let healthy = config.last_reload.result != ReloadResult::Refused
        && !config.floor
        && routes.targets.iter().all(|target| target.healthy && !target.ejected)
        && routes.breakers.iter().all(is_closed);
    Ok(Status { version: JSON_VERSION, healthy, config, routes })
}

fn show(status: &Status, json: bool, clear: &str) -> Result<Exit, Failure> {
    if json {
        screen::print_json(status)?;
    } else {
        screen::print_text(&format!("{clear}{}", told(status)))?;
    }
    Ok(if status.healthy { Exit::Ok } else { Exit::Unhealthy })
}

fn told(status: &Status) -> String {
    let rows: Vec<Vec<Cell>> =
        status.routes.routes.iter().map(|route| row(route, status.config.floor)).collect();
    let mut parts = vec![head(status), screen::table(&HEADING, &rows)];
    if !status.routes.targets.is_empty() {
        let rows: Vec<Vec<Cell>> = status.routes.targets.iter().map(target_row).collect();
        parts.push(screen::table(&["UPSTREAM", "TARGET", "HEALTH", "IN FLIGHT"], &rows));
    }
    if !status.routes.breakers.is_empty() {
        let rows: Vec<Vec<Cell>> = status.routes.breakers.iter().map(breaker_row).collect();
        parts.push(screen::table(&["UPSTREAM", "BREAKER", "REQUESTS", "ERRORS"], &rows));
    }
    parts.join("\n")
}

fn is_closed(breaker: &Breaker) -> bool {
    breaker.state == "closed"
}

fn head(status: &Status) -> String {
    let config = &status.config;
    let Config { generation, since, hash, .. } = config;
    let file = config.file.as_deref().unwrap_or("no file");
    let mut lines =
        vec![format!("{BOLD}generation {generation}{BOLD:#} of {file}, in force since {since}, hash {hash}")];
    if config.last_reload.result == ReloadResult::Refused {
        lines.push(format!("{RED}last reload refused{RED:#} at {}", config.last_reload.at));
        lines.push(config.last_reload.report.trim_end().to_owned());
    }
    if config.floor {
        let until = "until the next accepted file, `banyan undo`, or a restart";
        lines.push(format!("{RED}a rollback is held in memory{RED:#} {until}"));
        lines.extend(status.routes.routes.iter().filter_map(pinned));
    }
    let history = config.history_problem.iter();
    lines.extend(history.map(|problem| format!("{YELLOW}history is not written{YELLOW:#}: {problem}")));
    lines.join("\n") + "\n"
}

/// The rollback does not reach those clients.
fn pinned(route: &Route) -> Option<String> {
    let is_held = route.pins_candidate && route.percent.as_deref() == Some("0");
    let origin = route.origin.as_deref().unwrap_or_default();
    is_held.then(|| format!("{YELLOW}{}{YELLOW:#}", shares::pins_stay(&route.name, origin)))
}

fn row(route: &Route, floor: bool) -> Vec<Cell> {
    let counts = |arm: &str| route.arms.get(arm).copied().unwrap_or_default();
    let (legacy, candidate) = (counts("legacy"), counts("candidate"));
    let has_candidate = route.candidate.is_some();
    let percent = route.percent.as_ref().map_or("-".to_owned(), |percent| format!("{percent} %"));
    let floored = floor && route.percent.as_deref() == Some("0");
    vec![
        route.name.clone().into(),
        route.stage.clone().into(),
        Cell::styled(percent, if floored { RED } else { PLAIN }),
        // No data is shown as no data.
        route.observed_share.map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0)).into(),
        legacy.requests.to_string().into(),
        if has_candidate { candidate.requests.to_string() } else { "-".to_owned() }.into(),
        errors(legacy, candidate, has_candidate),
        both(&p99(legacy), &p99(candidate), has_candidate).into(),
        to_the_second(&route.counted_since).into(),
        route.cohort.clone().unwrap_or_default().into(),
    ]
}

fn errors(legacy: ArmCounts, candidate: ArmCounts, has_candidate: bool) -> Cell {
    let fell_back = match candidate.fallbacks {
        0 => String::new(),
        some => format!(" ({some} fell back)"),
    };
    let text = both(&legacy.errors.to_string(), &format!("{}{fell_back}", candidate.errors), has_candidate);
    let style = if legacy.errors + candidate.errors > 0 { YELLOW } else { PLAIN };
    Cell::styled(text, style)
}

fn both(legacy: &str, candidate: &str, has_candidate: bool) -> String {
    if has_candidate { format!("{legacy} / {candidate}") } else { legacy.to_owned() }
}

fn p99(counts: ArmCounts) -> String {
    match counts.p99_seconds {
        None => "-".to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

/// `2026-05-01T09:30:00Z`, without the fraction.
fn to_the_second(time: &str) -> String {
    let parsed: Result<jiff::Timestamp, _> = time.parse();
    parsed.map_or_else(|_| time.to_owned(), |time| format!("{time:.0}"))
}

fn target_row(target: &Target) -> Vec<Cell> {
    let health = match (target.healthy, target.ejected) {
        (false, _) => Cell::styled("unhealthy", RED),
        (true, true) => Cell::styled("taken out", RED),
        (true, false) => Cell::from("healthy"),
    };
    vec![
        target.upstream.clone().into(),
        target.target.clone().into(),
        health,
        target.inflight.to_string().into(),
    ]
}

fn breaker_row(breaker: &Breaker) -> Vec<Cell> {
    let state = match breaker.probes_in_seconds {
        None => breaker.state.clone(),
        Some(left) => format!("{}, probes in {} s", breaker.state, left.ceil()),
    };
    vec![
        breaker.upstream.clone().into(),
        Cell::styled(state, if is_closed(breaker) { PLAIN } else { RED }),
        breaker.requests.to_string().into(),
        breaker.errors.to_string().into(),
    ]
}
