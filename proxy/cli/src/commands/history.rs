//! `banyan history`

use banyan_control::api::{History, HistoryEntry};

use crate::args::HistoryArgs;
use crate::failure::{Exit, Failure};
use crate::screen::{self, Cell};
use crate::settings::Settings;

/// Prints the swaps of the table, newest first.
pub(super) fn perform(args: &HistoryArgs, settings: &Settings) -> Result<Exit, Failure> {
    let history = settings.admin()?.history(args.limit)?;
    if args.json {
        screen::print_json(&history)?;
        return Ok(Exit::Ok);
    }
    screen::print_text(&told(&history))?;
    Ok(Exit::Ok)
}

fn told(history: &History) -> String {
    let rows: Vec<Vec<Cell>> = history.entries.iter().flat_map(rows).collect();
    screen::table(&["WHEN", "GENERATION", "WHO", "CHANGE", "WHY"], &rows)
}

/// One row per change; only the first of an entry says when and who.
fn rows(entry: &HistoryEntry) -> Vec<Vec<Cell>> {
    let why = entry.why.clone().unwrap_or_default();
    let generation = entry.generation.to_string();
    let nothing = vec!["no change of a route".to_owned()];
    let changes = if entry.changes.is_empty() { &nothing } else { &entry.changes };
    let first = |change: &String| {
        vec![
            entry.at.clone().into(),
            generation.clone().into(),
            entry.who.clone().into(),
            change.clone().into(),
            why.clone().into(),
        ]
    };
    let later = |change: &String| vec!["".into(), "".into(), "".into(), change.clone().into(), "".into()];
    let each = |(place, change)| if place == 0 { first(change) } else { later(change) };
    changes.iter().enumerate().map(each).collect()
}
