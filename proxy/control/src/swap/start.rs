//! What the history says of a start: nothing, when nothing has changed since the last entry.

use banyan_routes::{RouteTable, Variables, diff};

use crate::api::{HistoryEntry, HistoryKind};
use crate::changes::{change_line, routes_of};
use crate::clock;
use crate::history::{self, History};
use crate::load;

/// A change made while no proxy ran is a swap like any other for whoever reads the history.
pub(super) fn entry_of_start(
    history: &History,
    table: &RouteTable,
    text_hash: &str,
    variables: &Variables,
) -> Option<HistoryEntry> {
    let last = history.last();
    // A floor ends with the process, which is a change even when the files meanwhile mean the same.
    let known =
        |last: &HistoryEntry| last.kind != HistoryKind::Rollback && last.after == table.hash().as_str();
    if last.as_ref().is_some_and(known) {
        return None;
    }
    let (changes, routes) = last.as_ref().map_or_else(
        || (vec!["first start".to_owned()], Vec::new()),
        |last| changes_since(history, last, table, variables),
    );
    Some(HistoryEntry {
        at: clock::now(),
        generation: 1,
        before: last.as_ref().map(|last| last.after.clone()),
        after: table.hash().as_str().to_owned(),
        text_hash: text_hash.to_owned(),
        text_hash_before: last.map(|last| last.text_hash),
        kind: HistoryKind::Start,
        who: "file".to_owned(),
        why: None,
        changes,
        routes,
    })
}

fn changes_since(
    history: &History,
    last: &HistoryEntry,
    table: &RouteTable,
    variables: &Variables,
) -> (Vec<String>, Vec<String>) {
    let (mut told, mut routes) = (Vec::new(), Vec::new());
    if last.kind == HistoryKind::Rollback {
        told.push("the rollback held in memory ended with the restart".to_owned());
        routes.push(String::new());
    }
    let kept = history.view().set(&last.text_hash).ok().flatten();
    let old = kept.and_then(|kept| load::parse(&history::file_set(&kept), variables).0);
    let different = old.map(|old| diff(&old, table)).unwrap_or_default();
    told.extend(different.iter().map(change_line));
    routes.extend(routes_of(&different));
    if told.is_empty() {
        (vec!["started with another configuration".to_owned()], routes)
    } else {
        (told, routes)
    }
}
