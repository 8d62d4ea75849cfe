//! `banyan rollback`

use banyan_control::api::Rollback;
use banyan_control::edit::{Change, EditError};
use banyan_routes::Share;

use super::shares::{self, Holder};
use crate::args::RollbackArgs;
use crate::editing::{self, Editing, Running, Stop};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Puts one share, or every share, to 0.
pub(super) fn perform(args: &RollbackArgs, settings: &Settings) -> Result<Exit, Failure> {
    match &args.route {
        Some(route) => one(args, settings, route),
        None => all(args, settings),
    }
}

fn one(args: &RollbackArgs, settings: &Settings, route: &str) -> Result<Exit, Failure> {
    let proxy = editing::ask_unless(args.offline, settings)?;
    let editing = Editing::open(settings, &args.edit, proxy)
        .map_err(|stop| Failure::from(stop).hint_if_none("banyan rollback --all"))?;
    let holder = shares::find(editing.session.table(), route)?;
    if holder.share == Share::NONE {
        screen::say(&format!("{} is at 0 % already", holder.title()));
        return Ok(Exit::Ok);
    }
    if !holder.candidate_stores.is_empty() && !args.force {
        return Err(writes_elsewhere(&holder).hint(format!("banyan rollback {route} --force")));
    }
    if holder.is_cohort {
        screen::say(&format!("cohort {} moves together: {}", holder.name, holder.routes.join(", ")));
    }
    write(&editing, args, &[&holder])?;
    Ok(Exit::Ok)
}

fn writes_elsewhere(holder: &Holder) -> Failure {
    let (title, stores) = (holder.title(), holder.candidate_stores.join("`, `"));
    let message = format!(
        "{title} writes the separate store `{stores}` at the candidate: what was written there is not in legacy"
    );
    Failure::new(Exit::Failed, message)
}

fn all(args: &RollbackArgs, settings: &Settings) -> Result<Exit, Failure> {
    let proxy = editing::ask_unless(args.offline, settings)?;
    match in_file(args, settings, proxy) {
        Ok(exit) => Ok(exit),
        Err(Stop::Edit(error)) if !args.offline && cannot_edit(&error) => {
            in_memory(args, settings, &error.to_string())
        }
        Err(stop) => Err(stop.into()),
    }
}

/// A lock that is held and a file that changes under our hands are no reason to wait in an emergency.
fn cannot_edit(error: &EditError) -> bool {
    error.cannot_write() || matches!(error, EditError::Locked { .. } | EditError::ChangedMeanwhile { .. })
}

fn in_file(args: &RollbackArgs, settings: &Settings, proxy: Option<Running>) -> Result<Exit, Stop> {
    let editing = Editing::open(settings, &args.edit, proxy)?;
    let holders = shares::holders(editing.session.table());
    let (kept, moved): (Vec<&Holder>, Vec<&Holder>) = holders
        .iter()
        .filter(|holder| holder.share != Share::NONE)
        .partition(|holder| !holder.candidate_stores.is_empty() && !args.force);
    if moved.is_empty() && kept.is_empty() {
        screen::say("every share is at 0 % already");
        return Ok(Exit::Ok);
    }
    if !moved.is_empty() {
        write(&editing, args, &moved)?;
    }
    let kept = kept.iter().flat_map(|holder| holder.routes.clone()).collect::<Vec<_>>();
    Ok(left_alone(&kept)?)
}

/// Success only when nothing was left where it is.
fn left_alone(kept: &[String]) -> Result<Exit, Failure> {
    if kept.is_empty() {
        return Ok(Exit::Ok);
    }
    let message = format!("left alone, the candidate writes their separate store: {}", kept.join(", "));
    Err(Failure::new(Exit::Failed, message).hint("banyan rollback --all --force"))
}

fn write(editing: &Editing<'_>, args: &RollbackArgs, holders: &[&Holder]) -> Result<(), Stop> {
    let zero = |holder: &&Holder| Change::share(holder.place.clone(), Share::NONE);
    let mut changes: Vec<Change> = holders.iter().map(zero).collect();
    let mut stores: Vec<&String> = holders.iter().flat_map(|holder| &holder.candidate_stores).collect();
    stores.sort();
    stores.dedup();
    changes.extend(stores.iter().map(|store| Change::writer_legacy(store)));
    let plan = editing.session.plan(&changes)?;
    for store in stores {
        screen::say_warning(&format!(
            "legacy becomes the writer of store `{store}` again: what the candidate wrote is not in it"
        ));
    }
    shares::write(editing, &plan, &args.edit, Vec::new())
}

/// The floor of 0 that the running proxy holds.
fn in_memory(args: &RollbackArgs, settings: &Settings, why_not: &str) -> Result<Exit, Failure> {
    let rollback =
        Rollback { route: None, who: editing::who(), why: args.edit.why.clone(), force: args.force };
    let done = settings.admin()?.rollback(&rollback)?;
    screen::say_warning(&format!("the file was not edited: {}", why_not.trim_end()));
    if args.edit.json {
        screen::print_json(&done)?;
    } else {
        for change in &done.changes {
            screen::print(&format!("{change}, generation {}, in memory only", done.generation))?;
        }
        let until = "the proxy holds every share at 0 until the next accepted file";
        screen::say(&format!(
            "{until}\nhint: set the percents in the file to 0 before anything else changes it"
        ));
    }
    left_alone(&done.kept)
}
