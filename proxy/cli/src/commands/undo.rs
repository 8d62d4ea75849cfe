//! `banyan undo`

use std::path::Path;

use banyan_control::api::{HistoryEntry, KeptSet};
use banyan_control::{change_lines, file_set, kept_set, text_hash};
use banyan_routes::FileSet;

use super::shares;
use crate::admin::{Admin, AdminError};
use crate::args::UndoArgs;
use crate::editing::{self, Editing, Stop};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Takes the last change back, as the running proxy remembers it.
pub(super) fn perform(args: &UndoArgs, settings: &Settings) -> Result<Exit, Failure> {
    let editing = Editing::open(settings, &args.edit, Some(editing::ask(settings)?))?;
    let Some(running) = editing.proxy() else { return Err(nothing()) };
    let entry = last_entry(&running.admin)?;
    let files = inverse(&running.admin, &entry, editing.session.files())?;
    screen::say(&format!("taking back what {} did at {}: {}", entry.who, entry.at, entry.changes.join("; ")));
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
    let before = kept(admin, entry.text_hash_before.as_deref().unwrap_or_default())?;
    let after = kept(admin, &entry.text_hash)?;
    let current = kept_set(files, &text_hash(files));
    let undone = banyan_control::undo(entry, &before, &after, &current)
        .map_err(|refusal| Failure::new(Exit::Failed, refusal.to_string()))?;
    Ok(named_as(files, file_set(&undone.result)))
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

/// Kept files are named from the main file's folder; on this host they are named as they were read.
fn named_as(read: &FileSet, mut kept: FileSet) -> FileSet {
    let folder = Path::new(&read.main.name).parent().unwrap_or(Path::new(""));
    kept.main.name.clone_from(&read.main.name);
    for file in &mut kept.included {
        file.name = folder.join(&file.name).display().to_string();
    }
    kept
}
