//! Which swaps touched a route, from the history.

use std::collections::BTreeMap;

use crate::api::{HistoryEntry, Mark};
use crate::history::HistoryView;

/// Most marks of one chart.
const MARKS_MAX: usize = 200;

/// The newest swap of every route that the history knows one of.
pub(crate) fn last_changes(history: &HistoryView) -> BTreeMap<String, Mark> {
    let mut last = BTreeMap::new();
    history.look(|entry| {
        for (route, line) in lines(entry) {
            if !last.contains_key(route) {
                last.insert(route.to_owned(), mark(entry, line));
            }
        }
        true
    });
    last
}

/// The swaps that touched a route between two moments (RFC 3339), oldest first; the newest, if there are too many.
pub(crate) fn marks(history: &HistoryView, route: &str, from: &str, to: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    history.look(|entry| {
        if entry.at.as_str() <= to {
            let found = lines(entry).find(|(name, _)| *name == route);
            marks.extend(found.map(|(_, line)| mark(entry, line)).filter(|mark| mark.at.as_str() >= from));
        }
        // A clock that was set may put an older one behind: all of them are looked at.
        marks.len() < MARKS_MAX
    });
    marks.reverse();
    marks
}

fn lines(entry: &HistoryEntry) -> impl Iterator<Item = (&str, &str)> {
    let pairs = entry.routes.iter().zip(&entry.changes);
    pairs.filter(|(route, _)| !route.is_empty()).map(|(route, line)| (route.as_str(), line.as_str()))
}

fn mark(entry: &HistoryEntry, line: &str) -> Mark {
    Mark {
        at: entry.at.clone(),
        generation: entry.generation,
        who: entry.who.clone(),
        why: entry.why.clone(),
        line: line.to_owned(),
    }
}
