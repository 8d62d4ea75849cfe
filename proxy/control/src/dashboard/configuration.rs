//! `GET /configuration`: what is in force, what came of the last reload, and the history; `?set=HASH` shows what the change that
//! made that file set changed in the text, and `?count=100` more of the history.

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::address::encoded;
use super::frame::{Page, Place};
use super::signs::{Level, note, state};
use super::words;
use crate::admin::Sources;
use crate::admin::session::{May, Viewer};
use crate::api::{Config, HistoryEntry, HistoryKind, KeptSet, Reload, ReloadResult};

/// Seconds between two looks of the script.
const EVERY_SECONDS: u32 = 5;

/// Entries of the history shown at first.
const COUNT: usize = 30;

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    set: String,
    count: Option<usize>,
}

pub(super) async fn page(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let config = sources.view.config();
    let entries = sources.view.history().newest(asked.count.unwrap_or(COUNT).saturating_add(1));
    let shown = entries.iter().find(|entry| !asked.set.is_empty() && entry.text_hash == asked.set).cloned();
    let difference = match shown.clone() {
        // File sets are read from the disk.
        Some(entry) => tokio::task::spawn_blocking(move || difference(&sources, &entry)).await.ok().flatten(),
        None => None,
    };
    let refused = config.last_reload.result == ReloadResult::Refused;
    let title =
        if refused { "Last reload refused".to_owned() } else { format!("Generation {}", config.generation) };
    let main = html! {
        div.head { h1 { "Configuration" } span.grow {} button #pause.tiny type="button" aria-pressed="false" hidden { "Pause updates" } }
        div #config data-live {
            (notes(&config))
            div.columns { (in_force(&config)) (last_reload(&config.last_reload)) }
        }
        (changed_text(shown.as_ref(), difference, &asked))
        (history(&entries, &asked, viewer.may))
    };
    let said = title.clone();
    let page = Page {
        title,
        place: Place::Configuration,
        every_seconds: Some(EVERY_SECONDS),
        has_charts: false,
        said,
        main,
    };
    page.respond(&viewer, &headers)
}

fn notes(config: &Config) -> Markup {
    html! {
        @if config.floor {
            (note(Level::Bad, &html! { p { strong { "A rollback is held in memory." } " Shares are 0 whatever the file says." } }))
        }
        @if let Some(problem) = &config.history_problem {
            (note(Level::Warn, &html! { p { strong { "The history is not being written." } " " (problem) } }))
        }
        @if let Some(problem) = &config.upgrade_problem {
            (note(Level::Warn, &html! { p { strong { "The last upgrade came to nothing." } " " (problem) } }))
        }
    }
}

fn in_force(config: &Config) -> Markup {
    html! {
        section.panel aria-labelledby="in-force-title" {
            h2 #in-force-title { "In force" }
            dl.facts {
                dt { "Generation" } dd { (config.generation) }
                dt { "Hash" } dd { code { (config.hash) } }
                dt { "Since" } dd { (words::time(&config.since)) }
                dt { "File" } dd { @match &config.file { Some(file) => code { (file) }, None => "none: started with --legacy" } }
                dt { "Hash of the text" } dd { code { (config.text_hash) } }
                dt { "History in" } dd { @match &config.state_dir { Some(folder) => code { (folder) }, None => "memory only" } }
                dt { "Process" } dd { (config.process) }
            }
        }
    }
}

fn last_reload(reload: &Reload) -> Markup {
    let (level, words) = match (reload.result, reload.problems.is_empty()) {
        (ReloadResult::Refused, _) => (Level::Bad, "refused: what was in force before still is"),
        (ReloadResult::Applied, true) => (Level::Good, "applied"),
        (ReloadResult::Applied, false) => (Level::Warn, "applied, with warnings"),
        (ReloadResult::Unchanged, true) => (Level::Good, "means what was in force"),
        (ReloadResult::Unchanged, false) => (Level::Warn, "means what was in force, with warnings"),
    };
    html! {
        section.panel aria-labelledby="reload-title" {
            h2 #reload-title { "Last reload" }
            p { (state(level, words)) ", " (words::time(&reload.at)) }
            @if reload.report.is_empty() { p.soft { "Nothing to report." } }
            @else { pre.report tabindex="0" { (reload.report) } }
        }
    }
}

/// `None` where a set is no longer kept.
fn difference(sources: &Sources, entry: &HistoryEntry) -> Option<Vec<(String, String)>> {
    let history = sources.view.history();
    let after = history.set(&entry.text_hash).ok()??;
    let before = history.set(entry.text_hash_before.as_ref()?).ok()??;
    Some(differences(&before, &after))
}

/// Per file that changed: its name, and the difference in unified form.
fn differences(before: &KeptSet, after: &KeptSet) -> Vec<(String, String)> {
    let files = |set: &KeptSet| {
        let files = std::iter::once(&set.main).chain(&set.included);
        files.map(|file| (file.name.clone(), file.text.clone())).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (files(before), files(after));
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let text = |files: &std::collections::BTreeMap<String, String>, name: &str| {
        files.get(name).cloned().unwrap_or_default()
    };
    let changed = names.filter(|name| before.get(*name) != after.get(*name));
    let told = |name: &String| {
        let patch = diffy::create_patch(&text(&before, name), &text(&after, name)).to_string();
        // The first two lines name files that nobody has.
        let body: Vec<&str> = patch.lines().skip(2).collect();
        (name.clone(), body.join("\n"))
    };
    changed.map(told).collect()
}

fn changed_text(
    entry: Option<&HistoryEntry>,
    difference: Option<Vec<(String, String)>>,
    asked: &Asked,
) -> Markup {
    if asked.set.is_empty() {
        return html! {};
    }
    html! {
        section.panel #difference aria-labelledby="difference-title" {
            h2 #difference-title { "Text changed" @if let Some(entry) = entry { " at generation " (entry.generation) } }
            @match difference {
                Some(files) if files.is_empty() => p { "No text changed." },
                Some(files) => @for (name, text) in &files { h3 { code { (name) } } (diff(text)) },
                _ => p { (words::no_data()) ": the texts before and after are not both kept." },
            }
        }
    }
}

/// A difference in unified form. `-` and `+` say it; the colours only help.
pub(super) fn diff(text: &str) -> Markup {
    let class = |line: &str| match line.as_bytes().first() {
        Some(b'-') => "gone",
        Some(b'+') => "come",
        Some(b'@') => "at",
        _ => "same",
    };
    html! { pre.diff tabindex="0" { @for line in text.lines() { span class=(class(line)) { (line) } } } }
}

fn history(entries: &[HistoryEntry], asked: &Asked, may: May) -> Markup {
    let count = asked.count.unwrap_or(COUNT);
    html! {
        section.panel #history data-live aria-labelledby="history-title" {
            div.head {
                h2 #history-title { "History" }
                span.grow {}
                @if may == May::Change { a.button.tiny href="/actions/undo" { "Undo the last change" } }
            }
            @if entries.is_empty() { p { (words::no_data()) } }
            @else {
                table.list {
                    thead {
                        tr {
                            th scope="col" { "When" } th.num scope="col" { "Generation" } th scope="col" { "Who" }
                            th scope="col" { "What and why" } th scope="col" { "Text" }
                        }
                    }
                    tbody { @for entry in entries.iter().take(count) { (line(entry, asked)) } }
                }
                @if entries.len() > count {
                    p { a href={ "?count=" (count.saturating_mul(4)) "#history" } { "Show more" } }
                }
            }
        }
    }
}

fn line(entry: &HistoryEntry, asked: &Asked) -> Markup {
    let has_text = entry.text_hash_before.as_ref().is_some_and(|before| *before != entry.text_hash);
    html! {
        tr {
            td { (words::time(&entry.at)) }
            td.num { (entry.generation) }
            td { (entry.who) }
            td {
                @if let Some(kind) = kind(entry.kind) { span.soft { (kind) } br; }
                @for change in &entry.changes { (change) br; }
                @if let Some(why) = &entry.why { span.soft { "“" (why) "”" } }
            }
            td {
                @if has_text {
                    a href={ "?set=" (encoded(&entry.text_hash)) "#difference" }
                        aria-current=[(asked.set == entry.text_hash).then_some("true")] {
                        "Difference" span.unseen { " of generation " (entry.generation) }
                    }
                } @else { span.soft { "same" } }
            }
        }
    }
}

fn kind(kind: HistoryKind) -> Option<&'static str> {
    match kind {
        HistoryKind::Start => Some("start"),
        HistoryKind::Reload => None,
        HistoryKind::Rollback => Some("rollback in memory"),
        HistoryKind::RollbackEnd => Some("end of the rollback in memory"),
    }
}
