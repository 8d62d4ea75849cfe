//! What is shown of a route, and what a column is sorted by: here and in the script alike.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::{Asked, STAGES};
use crate::api::BoardRow;
use crate::dashboard::signs::icon;

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

impl Order {
    fn opposite(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }

    fn query(self) -> &'static str {
        match self {
            Self::Ascending => "",
            Self::Descending => "&order=desc",
        }
    }
}

/// What a row is sorted by; none has no data and stands last either way.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Key {
    Text(String),
    Number(f64),
}

/// A column that can be sorted by.
pub(super) struct Column {
    /// In the query.
    pub(super) name: &'static str,
    /// Above it.
    label: &'static str,
    /// Two columns below one heading.
    group: Option<&'static str>,
    /// The order of the first click: what one looks for is mostly the largest.
    first: Order,
    pub(super) key: fn(&BoardRow) -> Option<Key>,
}

/// From left to right; a test of the pages knows that the script counts them.
pub(super) const COLUMNS: &[Column] = &[
    single("name", "Route", Order::Ascending, |row| Some(Key::Text(row.name.to_lowercase()))),
    single("stage", "Stage", Order::Ascending, |row| {
        STAGES.iter().position(|stage| row.stage == *stage).map(|place| Key::Number(small(place)))
    }),
    single("share", "Share: set, seen", Order::Descending, |row| number(configured(row))),
    single("requests", "Requests/s", Order::Descending, |row| number(row.requests_per_second)),
    pair("errors-legacy", "Errors", "legacy", |row| number(row.legacy.error_ratio)),
    pair("errors-candidate", "Errors", "candidate", |row| number(row.candidate.error_ratio)),
    pair("p50-legacy", "p50", "legacy", |row| number(row.legacy.p50_seconds)),
    pair("p50-candidate", "p50", "candidate", |row| number(row.candidate.p50_seconds)),
    pair("p99-legacy", "p99", "legacy", |row| number(row.legacy.p99_seconds)),
    pair("p99-candidate", "p99", "candidate", |row| number(row.candidate.p99_seconds)),
    single("mismatches", "Mismatches", Order::Descending, |row| {
        number(row.mismatch.map(|found| found.ratio))
    }),
    single("change", "Last change", Order::Descending, |row| {
        row.last_change.as_ref().map(|change| Key::Text(change.at.clone()))
    }),
];

const fn single(
    name: &'static str,
    label: &'static str,
    first: Order,
    key: fn(&BoardRow) -> Option<Key>,
) -> Column {
    Column { name, label, group: None, first, key }
}

const fn pair(
    name: &'static str,
    group: &'static str,
    label: &'static str,
    key: fn(&BoardRow) -> Option<Key>,
) -> Column {
    Column { name, label, group: Some(group), first: Order::Descending, key }
}

fn number(value: Option<f64>) -> Option<Key> {
    value.map(Key::Number)
}

fn small(place: usize) -> f64 {
    u32::try_from(place).map_or(f64::MAX, f64::from)
}

/// The share in force, 0..=1.
pub(super) fn configured(row: &BoardRow) -> Option<f64> {
    row.percent.as_ref()?.parse().ok().map(|percent: f64| percent / 100.0)
}

/// As the table shows them. Rows that are equal stay in the order of the file.
pub(super) fn compare(column: &Column, order: Order, one: &BoardRow, other: &BoardRow) -> Ordering {
    let ascending = match ((column.key)(one), (column.key)(other)) {
        (None, None) => return Ordering::Equal,
        (None, Some(_)) => return Ordering::Greater,
        (Some(_), None) => return Ordering::Less,
        (Some(Key::Text(one)), Some(Key::Text(other))) => one.cmp(&other),
        (Some(Key::Number(one)), Some(Key::Number(other))) => one.total_cmp(&other),
        (Some(_), Some(_)) => Ordering::Equal,
    };
    if order == Order::Descending { ascending.reverse() } else { ascending }
}

/// The style sheet says how wide each is.
pub(super) fn widths(may_change: bool) -> Markup {
    html! {
        colgroup {
            @for column in COLUMNS { col class={ "col-" (column.name) }; }
            @if may_change { col.col-actions; }
        }
    }
}

/// Two rows of headings: groups, and what is below them.
pub(super) fn head(asked: &Asked, may_change: bool) -> Markup {
    html! {
        thead {
            tr {
                @for (place, column) in COLUMNS.iter().enumerate() {
                    @match column.group {
                        None => (heading(place, column, asked)),
                        Some(group) if column.label == "legacy" => th.group scope="colgroup" colspan="2" { (group) },
                        Some(_) => {},
                    }
                }
                @if may_change { th scope="col" rowspan="2" { "Actions" } }
            }
            tr {
                @for (place, column) in COLUMNS.iter().enumerate().filter(|(_, column)| column.group.is_some()) {
                    (heading(place, column, asked))
                }
            }
        }
    }
}

/// A link, so that it works without scripts and by keyboard.
fn heading(place: usize, column: &Column, asked: &Asked) -> Markup {
    let is_sorted = asked.sort == column.name;
    let sorted = is_sorted.then(|| asked.order());
    let next = sorted.map_or(column.first, Order::opposite);
    let address = format!("?sort={}{}{}", column.name, next.query(), kept(asked));
    let kind = if matches!(column.name, "name" | "change") { "text" } else { "number" };
    let first = if column.first == Order::Descending { "desc" } else { "asc" };
    let is_number = kind == "number" && !matches!(column.name, "stage" | "share");
    let begins_group = column.label == "legacy" || matches!(column.name, "mismatches" | "change");
    let said = match sorted {
        Some(Order::Ascending) => Some("ascending"),
        Some(Order::Descending) => Some("descending"),
        None => None,
    };
    html! {
        th.num[is_number].group[begins_group] scope="col" rowspan=[column.group.is_none().then_some("2")]
            data-sort=(column.name) data-place=(place) data-kind=(kind) data-first=(first) aria-sort=[said] {
            a href=(address) {
                span class=[column.group.map(|_| column.label)] { (column.label) }
                @if let Some(group) = column.group { span.unseen { " " (group) } }
                span.order { (icon("up")) (icon("down")) }
            }
        }
    }
}

/// The filter stays as it is while the order changes.
fn kept(asked: &Asked) -> String {
    let mut query = String::new();
    for (name, value) in [("q", &asked.q), ("stage", &asked.stage), ("show", &asked.show)] {
        if !value.is_empty() {
            query.push('&');
            query.push_str(name);
            query.push('=');
            query.push_str(&crate::dashboard::address::encoded(value));
        }
    }
    query
}
