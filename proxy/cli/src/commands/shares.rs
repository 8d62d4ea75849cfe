//! What an edit does to shares, and how it is told.

use std::io::{IsTerminal, Write};

pub(super) use banyan_control::edit::{Holder, holders, pins_stay};
use banyan_control::edit::{NoShare, Plan};
use banyan_control::text_hash;
use banyan_routes::{RouteTable, Share};
use serde::Serialize;

use super::JSON_VERSION;
use crate::args::EditArgs;
use crate::editing::{Editing, Outcome, Stop};
use crate::failure::{Exit, Failure};
use crate::names::nearest;
use crate::screen;

/// The share that a name stands for: a route's, its cohort's, or a cohort's own.
pub(super) fn find(table: &RouteTable, name: &str) -> Result<Holder, Failure> {
    banyan_control::edit::find(table, name).map_err(|none| {
        let hint = match &none {
            NoShare::Unknown { .. } => did_you_mean(table, name),
            NoShare::OfRoute { .. } => None,
        };
        Failure::new(Exit::Failed, none.to_string()).hint(hint.unwrap_or_else(|| none.hint()))
    })
}

fn did_you_mean(table: &RouteTable, name: &str) -> Option<String> {
    let holders = holders(table);
    let names = holders.iter().flat_map(|holder| holder.routes.iter().chain([&holder.name]));
    nearest(name, names.map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
}

/// Says which other routes move.
pub(super) fn tell_company(holder: &Holder, named: &str) {
    if let Some(company) = holder.company(named) {
        screen::say(&company);
    }
}

/// Whether somebody is to be asked: other routes move than the one named, and there is somebody to answer.
pub(super) fn is_to_be_confirmed(holder: &Holder, named: &str, yes: bool) -> bool {
    let others = named != holder.name && holder.company(named).is_some();
    others && !yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks; anything but yes ends the command.
pub(super) fn confirm() -> Result<(), Failure> {
    let _ = write!(std::io::stderr(), "shift them all? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "nothing was changed").hint("`--yes` asks nothing"))
}

/// One share before and after.
#[derive(Debug, Clone, Serialize)]
struct Shift {
    name: String,
    cohort: bool,
    routes: Vec<String>,
    from: String,
    to: String,
    #[serde(skip)]
    line: String,
}

/// `--json` of an edit.
#[derive(Debug, Serialize)]
struct Edited {
    version: u32,
    file: String,
    shifts: Vec<Shift>,
    /// One line per change, for people.
    changes: Vec<String>,
    /// Generation in force; none when no proxy was asked.
    generation: Option<u64>,
    /// Hash of the table.
    hash: String,
    /// Hash of the files.
    text_hash: String,
}

/// Writes the plan, and tells what it did: shares by name, everything else by `other_changes`.
pub(super) fn write(
    editing: &Editing<'_>,
    plan: &Plan,
    args: &EditArgs,
    other_changes: Vec<String>,
) -> Result<(), Stop> {
    let shifts = shifts(editing.session.table(), &plan.table);
    let outcome = editing.write(plan)?;
    let told = shifts.iter().map(|shift| shift.line.clone());
    let changes: Vec<String> = if other_changes.is_empty() { told.collect() } else { other_changes };
    if args.json {
        let edited = edited(editing, outcome, &plan.table, (shifts, changes), plan.after_hash.clone());
        return Ok(screen::print_json(&edited)?);
    }
    let suffix = match outcome.generation {
        Some(generation) => format!(", generation {generation}"),
        None => format!(", written to {}", editing.file()),
    };
    Ok(changes.iter().try_for_each(|change| screen::print(&format!("{change}{suffix}")))?)
}

/// Nothing is to be written: says so once that is what is in force.
pub(super) fn unchanged<'h>(
    editing: &Editing<'_>,
    args: &EditArgs,
    wanted: impl Iterator<Item = (&'h str, Share)>,
    sentence: &str,
) -> Result<(), Stop> {
    let outcome = editing.in_force(&wanted.collect())?;
    screen::say(sentence);
    if args.json {
        let files = text_hash(editing.session.files());
        let edited = edited(editing, outcome, editing.session.table(), Default::default(), files);
        screen::print_json(&edited)?;
    }
    Ok(())
}

fn edited(
    editing: &Editing<'_>,
    outcome: Outcome,
    table: &RouteTable,
    (shifts, changes): (Vec<Shift>, Vec<String>),
    text_hash: String,
) -> Edited {
    let Outcome { generation, hash } = outcome;
    let hash = hash.unwrap_or_else(|| table.hash().as_str().to_owned());
    Edited { version: JSON_VERSION, file: editing.file(), shifts, changes, generation, hash, text_hash }
}

fn shifts(old: &RouteTable, new: &RouteTable) -> Vec<Shift> {
    let before = holders(old);
    let same = |holder: &Holder| {
        before
            .iter()
            .find(|old| old.name == holder.name && old.is_cohort == holder.is_cohort)
            .map(|old| old.share)
    };
    let changed = |holder: Holder| {
        let from = same(&holder)?;
        (from != holder.share).then(|| Shift {
            line: line(&holder, from),
            name: holder.name,
            cohort: holder.is_cohort,
            routes: holder.routes,
            from: from.to_string(),
            to: holder.share.to_string(),
        })
    };
    holders(new).into_iter().filter_map(changed).collect()
}

/// `orders 10 % -> 25 % (15 % of clients move to the candidate)`
fn line(holder: &Holder, from: Share) -> String {
    let to = holder.share;
    let moved = Share::from_thousandths(from.thousandths().abs_diff(to.thousandths())).unwrap_or(Share::ALL);
    let arm = if to > from { "the candidate" } else { "legacy" };
    format!("{} {from} % -> {to} % ({moved} % of clients move to {arm})", holder.title())
}
