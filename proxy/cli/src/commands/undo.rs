//! `banyan undo`

use banyan_control::api::{EndRollback, HistoryEntry, HistoryKind, KeptSet, ReloadResult};
use banyan_control::change_lines;
use banyan_routes::FileSet;

use super::shares;
use crate::admin::{Admin, AdminError};
use crate::args::UndoArgs;
use crate::editing::{self, Editing, Running, Stop};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Takes the last change back, as the running proxy remembers it.
pub(super) fn perform(args: &UndoArgs, settings: &Settings) -> Result<Exit, Failure> {
    let running = editing::ask(settings)?;
    let entry = last_entry(&running.admin)?;
    match entry.kind {
        HistoryKind::Rollback => end_rollback(args, &running.admin, &entry),
        HistoryKind::RollbackEnd => Err(Failure::new(
            Exit::Failed,
            format!("the last change, by {}, ended a rollback held in memory: no file changed", entry.who),
        )
        .hint("banyan rollback --all")),
        HistoryKind::Start | HistoryKind::Reload => in_files(args, settings, running),
    }
}

/// What the files say is in force again.
fn end_rollback(args: &UndoArgs, admin: &Admin, entry: &HistoryEntry) -> Result<Exit, Failure> {
    screen::say(&taking_back(entry));
    let done = admin.end_rollback(&EndRollback { who: editing::who(), why: args.edit.why.clone() })?;
    if args.edit.json {
        screen::print_json(&done)?;
        return Ok(Exit::Ok);
    }
    if done.result == ReloadResult::Unchanged {
        screen::say("no rollback is held in memory");
    }
    for change in &done.changes {
        screen::print(&format!("{change}, generation {}", done.generation))?;
    }
    Ok(Exit::Ok)
}

fn taking_back(entry: &HistoryEntry) -> String {
    format!("taking back what {} did at {}: {}", entry.who, entry.at, entry.changes.join("; "))
}

fn in_files(args: &UndoArgs, settings: &Settings, running: Running) -> Result<Exit, Failure> {
    let editing = Editing::open(settings, &args.edit, Some(running), args.edit.timeout.0)?;
    let Some(running) = editing.proxy() else { return Err(nothing()) };
    // Asked again: nobody edits any more.
    let entry = last_entry(&running.admin)?;
    let files = inverse(&running.admin, &entry, editing.session.files())?;
    screen::say(&taking_back(&entry));
    let plan = editing.session.plan_files(files).map_err(Stop::from)?;
    let changes = change_lines(editing.session.table(), &plan.table);
    let changes = if changes.is_empty() { vec!["no change of a route".to_owned()] } else { changes };
    shares::write(&editing, &plan, &args.edit, changes)?;
    Ok(Exit::Ok)
}

fn nothing() -> Failure {
    Failure::new(Exit::Failed, "there is no change to take back").hint("banyan history")
}

fn last_entry(admin: &Admin) -> Result<HistoryEntry, Failure> {
    let history = admin.history(1)?;
    history.entries.into_iter().next().filter(|entry| entry.text_hash_before.is_some()).ok_or_else(nothing)
}

/// The files with the entry's change taken back.
fn inverse(admin: &Admin, entry: &HistoryEntry, files: &FileSet) -> Result<FileSet, Failure> {
    let undone = banyan_control::undone(entry, files, |hash| kept(admin, hash))?;
    undone.map_err(|refusal| Failure::new(Exit::Failed, refusal.to_string()).hint_if_none("banyan history"))
}

fn kept(admin: &Admin, hash: &str) -> Result<KeptSet, Failure> {
    admin.kept_set(hash).map_err(|error: AdminError| {
        if !error.is_not_found() {
            return error.into();
        }
        Failure::new(Exit::Failed, "the proxy has not kept the files of the last change")
            .hint("start it with `--state-dir DIR`")
    })
}
