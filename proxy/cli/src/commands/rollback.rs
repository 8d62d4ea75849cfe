//! `banyan rollback`
//!
//! The file first, because that lasts; where the file does not bring it about, the running proxy holds the zeros
//! in memory.

use std::time::Duration;

use banyan_control::api::{Pinned, ReloadResult, Rollback, RolledBack};
use banyan_control::edit::{EditError, legacy_writes_again, zeros};
use banyan_routes::Share;

use super::shares::{self, Holder};
use crate::args::RollbackArgs;
use crate::editing::{self, Editing, Running, Stop};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Longest wait for another edit: a rollback is an emergency, and memory needs no lock.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// How often the file is tried while somebody else keeps saving it.
const TRIES: usize = 3;

/// Puts one share, or every share, to 0.
pub(super) fn perform(args: &RollbackArgs, settings: &Settings) -> Result<Exit, Failure> {
    match tried(args, settings) {
        Ok(exit) => Ok(exit),
        Err(Stop::Failure(failure)) => Err(failure),
        Err(stop) if args.offline => Err(stop.into()),
        Err(stop) => in_memory(args, settings, stop),
    }
}

fn tried(args: &RollbackArgs, settings: &Settings) -> Result<Exit, Stop> {
    for _ in 1..TRIES {
        match in_file(args, settings) {
            Err(Stop::Edit(EditError::ChangedMeanwhile { .. })) => {}
            ended => return ended,
        }
    }
    in_file(args, settings)
}

fn in_file(args: &RollbackArgs, settings: &Settings) -> Result<Exit, Stop> {
    let proxy: Option<Running> = editing::ask_unless(args.offline, settings)?;
    let wait = args.edit.timeout.0.min(LOCK_WAIT_MAX);
    let editing = Editing::open(settings, &args.edit, proxy, wait)?;
    match &args.route {
        Some(route) => one(&editing, args, route),
        None => all(&editing, args),
    }
}

fn one(editing: &Editing<'_>, args: &RollbackArgs, route: &str) -> Result<Exit, Stop> {
    let holder = shares::find(editing.session.table(), route)?;
    if holder.share == Share::NONE {
        let sentence = format!("{} is at 0 % already", holder.title());
        shares::unchanged(editing, &args.edit, holder.wanted(Share::NONE), &sentence)?;
    } else if let Some(message) = holder.written_elsewhere().filter(|_| !args.force) {
        let failure = Failure::new(Exit::Failed, message);
        return Err(Stop::Failure(failure.hint(format!("banyan rollback {route} --force"))));
    } else {
        shares::tell_company(&holder, route);
        write(editing, args, &[&holder])?;
    }
    warn_of_pins(&[&holder]);
    Ok(Exit::Ok)
}

fn all(editing: &Editing<'_>, args: &RollbackArgs) -> Result<Exit, Stop> {
    let holders = shares::holders(editing.session.table());
    let is_kept = |holder: &&Holder| holder.written_elsewhere().is_some() && !args.force;
    let (kept, back): (Vec<&Holder>, Vec<&Holder>) = holders.iter().partition(is_kept);
    let moved: Vec<&Holder> = back.iter().copied().filter(|holder| holder.share != Share::NONE).collect();
    if moved.is_empty() {
        let sentence = if kept.is_empty() {
            "every share is at 0 % already"
        } else {
            "every other share is at 0 % already"
        };
        let wanted = back.iter().flat_map(|holder| holder.wanted(Share::NONE));
        shares::unchanged(editing, &args.edit, wanted, sentence)?;
    } else {
        write(editing, args, &moved)?;
    }
    warn_of_pins(&back);
    let kept = kept.iter().flat_map(|holder| holder.routes.clone()).collect::<Vec<_>>();
    Ok(left_alone(args, &kept)?)
}

/// Success only when nothing was left where it is.
fn left_alone(args: &RollbackArgs, kept: &[String]) -> Result<Exit, Failure> {
    if kept.is_empty() {
        return Ok(Exit::Ok);
    }
    let message = format!("left alone, the candidate writes their separate store: {}", kept.join(", "));
    let named = args.route.as_deref().unwrap_or("--all");
    Err(Failure::new(Exit::Failed, message).hint(format!("banyan rollback {named} --force")))
}

fn warn_of_pins(holders: &[&Holder]) {
    for (route, place) in holders.iter().flat_map(|holder| &holder.pinned) {
        screen::say_warning(&shares::pins_stay(route, place));
    }
}

fn write(editing: &Editing<'_>, args: &RollbackArgs, holders: &[&Holder]) -> Result<(), Stop> {
    let (changes, stores) = zeros(holders);
    let plan = editing.session.plan(&changes)?;
    for store in stores {
        screen::say_warning(&legacy_writes_again(&store));
    }
    shares::write(editing, &plan, &args.edit, Vec::new())
}

/// The floor of 0 that the running proxy holds.
fn in_memory(args: &RollbackArgs, settings: &Settings, stop: Stop) -> Result<Exit, Failure> {
    let why_not = match &stop {
        Stop::Edit(_) => "the file was not edited",
        Stop::NotInForce(_) | Stop::Failure(_) => "the file does not bring it about",
    };
    screen::say_warning(&format!("{why_not}: {}", Failure::from(stop).message()));
    let (who, why) = (editing::who(), args.edit.why.clone());
    let order = Rollback { route: args.route.clone(), who, why, force: args.force };
    let done = settings.admin()?.rollback(&order)?;
    if args.edit.json {
        screen::print_json(&done)?;
    } else {
        for change in &done.changes {
            screen::print(&format!("{change}, generation {}, in memory only", done.generation))?;
        }
    }
    for Pinned { route, origin } in &done.pinned {
        screen::say_warning(&shares::pins_stay(route, origin));
    }
    screen::say(&held(args, &done));
    left_alone(args, &done.kept)
}

/// What the proxy holds now, no more than that.
fn held(args: &RollbackArgs, done: &RolledBack) -> String {
    let what = match &args.route {
        Some(route) if done.kept.is_empty() => format!("the share of {route}"),
        Some(_) => return "nothing was rolled back".to_owned(),
        None if done.kept.is_empty() => "every share".to_owned(),
        None => "every other share".to_owned(),
    };
    if done.result == ReloadResult::Unchanged {
        return format!("{what} is at 0 in force already");
    }
    format!(
        "the proxy holds {what} at 0 until the next accepted file, `banyan undo`, or a restart\n\
         hint: set the percents in the file to 0 before anything else changes it"
    )
}
