//! `banyan status`

use std::io::IsTerminal;

use banyan_control::api::{ArmCounts, Config, ReloadResult, Route, Routes, Target};
use serde::Serialize;

use super::JSON_VERSION;
use crate::admin::Admin;
use crate::args::StatusArgs;
use crate::failure::{Exit, Failure};
use crate::screen::{self, BOLD, Cell, PLAIN, RED, YELLOW};
use crate::settings::Settings;

/// Clears a terminal: cursor home, then everything below.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Serialize)]
struct Status {
    version: u32,
    /// No target is unhealthy, the last reload was accepted, and no rollback is held in memory.
    healthy: bool,
    config: Config,
    routes: Routes,
}

/// Prints what is in force and what it does.
pub(super) fn perform(args: &StatusArgs, settings: &Settings) -> Result<Exit, Failure> {
    let admin = settings.admin()?;
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

fn look(admin: &Admin) -> Result<Status, Failure> {
    let (config, routes) = (admin.config()?, admin.routes()?);
    let healthy = config.last_reload.result != ReloadResult::Refused
        && !config.floor
        && routes.targets.iter().all(|target| target.healthy);
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
    let heading =
        ["ROUTE", "STAGE", "PERCENT", "OBSERVED", "LEGACY", "CANDIDATE", "ERRORS L/C", "P99 L/C", "COHORT"];
    let rows: Vec<Vec<Cell>> =
        status.routes.routes.iter().map(|route| row(route, status.config.floor)).collect();
    let mut parts = vec![head(&status.config), screen::table(&heading, &rows)];
    if !status.routes.targets.is_empty() {
        let rows: Vec<Vec<Cell>> = status.routes.targets.iter().map(target_row).collect();
        parts.push(screen::table(&["UPSTREAM", "TARGET", "HEALTH", "IN FLIGHT"], &rows));
    }
    parts.join("\n")
}

fn head(config: &Config) -> String {
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
    }
    let history = config.history_problem.iter();
    lines.extend(history.map(|problem| format!("{YELLOW}history is not written{YELLOW:#}: {problem}")));
    lines.join("\n") + "\n"
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
        route.cohort.clone().unwrap_or_default().into(),
    ]
}

fn errors(legacy: ArmCounts, candidate: ArmCounts, has_candidate: bool) -> Cell {
    let text = both(&legacy.errors.to_string(), &candidate.errors.to_string(), has_candidate);
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

fn target_row(target: &Target) -> Vec<Cell> {
    let health = if target.healthy { Cell::from("healthy") } else { Cell::styled("unhealthy", RED) };
    vec![
        target.upstream.clone().into(),
        target.target.clone().into(),
        health,
        target.inflight.to_string().into(),
    ]
}
