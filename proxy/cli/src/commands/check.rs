//! `banyan check`

use std::path::Path;

use banyan_control::api::Problem;
use banyan_control::{LoadError, Loaded, Source, load_to_serve};
use banyan_routes::{Report, Severity};
use serde::Serialize;

use super::JSON_VERSION;
use crate::args::CheckArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{Settings, variables};

#[derive(Serialize)]
struct Checked {
    version: u32,
    valid: bool,
    /// Hash of the table; none when there is none.
    hash: Option<String>,
    problems: Vec<Problem>,
}

/// Prints every problem of the file set.
pub(super) fn perform(args: &CheckArgs, settings: &Settings) -> Result<Exit, Failure> {
    let file = args.file.clone().map_or_else(|| settings.needed_routes(), Ok)?;
    match load_to_serve(&Source::File(file.clone()), &variables()) {
        Ok(loaded) => good(args, &file, &loaded),
        Err(LoadError::Refused(report)) => bad(args, &report),
        Err(LoadError::Read(error)) => Err(unread(&error)),
    }
}

/// A file that cannot be read: 3 when its content is at fault.
pub(super) fn unread(error: &banyan_control::ReadError) -> Failure {
    let exit = if error.is_content() { Exit::Invalid } else { Exit::Failed };
    Failure::new(exit, error.to_string()).hint("name another with `--routes FILE`")
}

fn good(args: &CheckArgs, file: &Path, loaded: &Loaded) -> Result<Exit, Failure> {
    let denied = args.deny_warnings && !loaded.report.problems.is_empty();
    let (table, problems) = (&loaded.table, &loaded.report.problems);
    if args.json {
        let hash = Some(table.hash().as_str().to_owned());
        print_checked(!denied, hash, &loaded.report)?;
    } else {
        screen::print_text(&loaded.report.to_string())?;
        let (routes, upstreams) = (table.routes().len(), table.upstreams().len());
        let (routes, upstreams) = (counted(routes, "route"), counted(upstreams, "upstream"));
        let found =
            if problems.is_empty() { "no problems".to_owned() } else { counted(problems.len(), "warning") };
        screen::print(&format!("{}: {routes}, {upstreams}, {found}", file.display()))?;
    }
    Ok(if denied { Exit::Invalid } else { Exit::Ok })
}

fn bad(args: &CheckArgs, report: &Report) -> Result<Exit, Failure> {
    if args.json {
        print_checked(false, None, report)?;
        return Ok(Exit::Invalid);
    }
    screen::print_text(&report.to_string())?;
    let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    Err(Failure::new(Exit::Invalid, format!("{} in the configuration", counted(errors, "error")))
        .hint("put the marked places right, then `banyan check`"))
}

fn print_checked(valid: bool, hash: Option<String>, report: &Report) -> Result<(), Failure> {
    let problems = report.problems.iter().map(api_problem).collect();
    screen::print_json(&Checked { version: JSON_VERSION, valid, hash, problems })
}

fn api_problem(problem: &banyan_routes::Problem) -> Problem {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    Problem {
        code: problem.code.to_owned(),
        severity: severity.to_owned(),
        message: problem.message.clone(),
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        hint: problem.hint.clone(),
    }
}

/// `1 route`, `2 routes`
fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
