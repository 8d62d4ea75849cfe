//! `banyan diff`

use std::path::Path;

use banyan_control::{Source, change_line, file_set, load};
use banyan_routes::{RouteChange, RouteTable, Share, diff};
use serde::Serialize;

use super::JSON_VERSION;
use super::explain::not_loaded;
use crate::admin::AdminError;
use crate::args::DiffArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{Settings, variables};

#[derive(Serialize)]
struct Difference {
    version: u32,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    /// `added`, `removed`, `shifted`, `changed`, `reordered`.
    kind: &'static str,
    /// `route`, `upstream`, `store`, `cohort`.
    what: &'static str,
    /// Its name; none where routes only stand in another order.
    name: Option<String>,
    /// Percent before.
    from: Option<String>,
    /// Percent after.
    to: Option<String>,
    /// Percent of clients that change arm.
    moves: Option<String>,
    /// Keys that changed.
    keys: Vec<&'static str>,
    /// For people.
    line: String,
}

/// Prints what changes from old to new.
pub(super) fn perform(args: &DiffArgs, settings: &Settings) -> Result<Exit, Failure> {
    let (old, new) = match &args.second {
        Some(second) => (table(&args.first)?, table(second)?),
        None => (in_force(settings)?, table(&args.first)?),
    };
    let changes = diff(&old, &new);
    if args.json {
        let changes = changes.iter().map(for_programs).collect();
        screen::print_json(&Difference { version: JSON_VERSION, changes })?;
        return Ok(Exit::Ok);
    }
    if changes.is_empty() {
        screen::say("no difference in meaning");
    }
    changes.iter().try_for_each(|change| screen::print(&change_line(change)))?;
    Ok(Exit::Ok)
}

fn table(file: &Path) -> Result<RouteTable, Failure> {
    let loaded = load(&Source::File(file.to_owned()), &variables());
    loaded.map(|loaded| loaded.table).map_err(not_loaded)
}

/// The files that made the table in force, as the running proxy keeps them.
fn in_force(settings: &Settings) -> Result<RouteTable, Failure> {
    let admin = settings.admin()?;
    let hash = admin.config()?.text_hash;
    let kept = match admin.kept_set(&hash) {
        Ok(kept) => kept,
        Err(error @ AdminError::Unreachable { .. }) => return Err(error.into()),
        Err(error) => {
            let message = format!("the running proxy does not give its files: {error}");
            return Err(Failure::new(Exit::Failed, message)
                .hint("start it with `--state-dir DIR`, or compare two files: `banyan diff OLD NEW`"));
        }
    };
    let (table, report) = RouteTable::parse(&file_set(&kept), &variables());
    table.ok_or_else(|| {
        let message = format!("the files in force are not valid with the variables of this shell\n{report}");
        Failure::new(Exit::Invalid, message).hint("set the variables that the proxy was started with")
    })
}

fn for_programs(change: &RouteChange) -> Change {
    let blank = |kind, name: &str| Change {
        kind,
        what: "route",
        name: Some(name.to_owned()),
        from: None,
        to: None,
        moves: None,
        keys: Vec::new(),
        line: change_line(change),
    };
    let percent = |share: &Share| Some(share.to_string());
    match change {
        RouteChange::Added { route, share } => {
            Change { to: share.as_ref().and_then(percent), ..blank("added", route) }
        }
        RouteChange::Removed { route, share } => {
            Change { from: share.as_ref().and_then(percent), ..blank("removed", route) }
        }
        RouteChange::Shifted { route, from, to, moves } => {
            Change { from: percent(from), to: percent(to), moves: percent(moves), ..blank("shifted", route) }
        }
        RouteChange::Changed { route, keys, moves, .. } => {
            Change { moves: percent(moves), keys: keys.clone(), ..blank("changed", route) }
        }
        RouteChange::FallsBack { route, .. } => Change { keys: vec!["fallback"], ..blank("changed", route) },
        RouteChange::Shadowed { route, from, to } => {
            let keys = vec!["shadow"];
            Change { from: percent(from), to: percent(to), keys, ..blank("changed", route) }
        }
        RouteChange::Part { kind: what, name, keys } => match keys.as_slice() {
            [kind @ ("added" | "removed")] => Change { what, ..blank(kind, name) },
            keys => Change { what, keys: keys.to_vec(), ..blank("changed", name) },
        },
        RouteChange::Reordered => Change { name: None, ..blank("reordered", "") },
    }
}
