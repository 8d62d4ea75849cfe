//! What changes between two tables, and which share of clients moves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::canonical::{self, Field};
use crate::identity::ties;
use crate::shadowing::Shadow;
use crate::table::{Destination, Route, RouteTable, Share, Split};

/// What happened to one route or another part of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteChange {
    /// New in this table.
    Added {
        /// Its name.
        route: String,
        /// Its share, if it has a candidate.
        share: Option<Share>,
    },
    /// Gone.
    Removed {
        /// Its name.
        route: String,
        /// The share it had.
        share: Option<Share>,
    },
    /// Another share, with the same bucket assignment: exactly the clients in between move.
    Shifted {
        /// Its name.
        route: String,
        /// Before.
        from: Share,
        /// After.
        to: Share,
        /// Share of clients that change arm.
        moves: Share,
    },
    /// Something else changed: which keys, and which share of clients changes arm through it.
    Changed {
        /// Its name, or `default`.
        route: String,
        /// Keys as in the file: `to`, `path`, `sticky`, ...
        keys: Vec<&'static str>,
        /// Share of clients that change arm, by their buckets.
        moves: Share,
        /// `moves` is what is to be expected, because clients have other buckets now.
        expected: bool,
    },
    /// Other causes send a request to legacy that the candidate cannot answer. Nobody changes arm through it.
    FallsBack {
        /// Its name.
        route: String,
        /// All causes now, as in the file; none when it no longer falls back.
        on: Vec<String>,
    },
    /// Another share of requests is copied. Nobody changes arm through it.
    Shadowed {
        /// Its name.
        route: String,
        /// Before.
        from: Share,
        /// After.
        to: Share,
    },
    /// An upstream, store or cohort.
    Part {
        /// `upstream`, `store` or `cohort`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Keys that changed, or `added`, or `removed`.
        keys: Vec<&'static str>,
    },
    /// Equally specific routes stand in another order.
    Reordered,
}

impl fmt::Display for RouteChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { route, share: None } => write!(out, "{route} added"),
            Self::Added { route, share: Some(share) } => write!(out, "{route} added at {share} %"),
            Self::Removed { route, share: None } => write!(out, "{route} removed"),
            Self::Removed { route, share: Some(share) } => write!(out, "{route} removed (was {share} %)"),
            Self::Shifted { route, from, to, moves } => {
                let arm = if to > from { "the candidate" } else { "legacy" };
                write!(out, "{route} {from} % -> {to} % ({moves} % of clients move to {arm})")
            }
            Self::Changed { route, keys, moves, expected } => {
                write!(out, "{route} changed: {}", keys.join(", "))?;
                match (moves, expected) {
                    (&Share::NONE, false) => Ok(()),
                    (moves, false) => write!(out, " ({moves} % of clients change arm)"),
                    (moves, true) => {
                        write!(out, " (about {moves} % of clients change arm: their buckets are new)")
                    }
                }
            }
            Self::FallsBack { route, on } if on.is_empty() => write!(out, "{route} no longer falls back"),
            Self::FallsBack { route, on } => write!(out, "{route} falls back on {}", on.join(", ")),
            Self::Shadowed { route, from, to } => write!(out, "{route} shadow {from} % -> {to} %"),
            Self::Part { kind, name, keys } => match keys.as_slice() {
                [what @ ("added" | "removed")] => write!(out, "{kind} {name} {what}"),
                keys => write!(out, "{kind} {name} changed: {}", keys.join(", ")),
            },
            Self::Reordered => out.write_str("equally specific routes stand in another order"),
        }
    }
}

/// What changes from `old` to `new`: routes in the order of the new file, removed ones, then everything else.
///
/// Empty exactly when both tables have the same identity.
pub fn diff(old: &RouteTable, new: &RouteTable) -> Vec<RouteChange> {
    let before: BTreeMap<&str, &Route> = old.routes().iter().map(|it| (it.name.as_str(), it)).collect();
    let after: BTreeMap<&str, &Route> = new.routes().iter().map(|it| (it.name.as_str(), it)).collect();
    let mut changes = Vec::new();
    for route in new.routes() {
        match before.get(route.name.as_str()) {
            Some(was) => changes.extend(route_changes((old, was), (new, route))),
            None => changes.push(RouteChange::Added { route: route.name.clone(), share: share(route) }),
        }
    }
    let gone = old.routes().iter().filter(|route| !after.contains_key(route.name.as_str()));
    changes.extend(gone.map(|route| RouteChange::Removed { route: route.name.clone(), share: share(route) }));
    let keys = changed_keys(&canonical::defaults(old), &canonical::defaults(new));
    if !keys.is_empty() {
        let (moves, expected) = (Share::NONE, false);
        changes.push(RouteChange::Changed { route: "default".to_owned(), keys, moves, expected });
    }
    changes.extend(part_changes("upstream", &upstreams(old), &upstreams(new)));
    changes.extend(part_changes("store", &stores(old), &stores(new)));
    let told = shares_told(new, &changes);
    let cohorts = part_changes("cohort", &cohorts(old), &cohorts(new));
    changes.extend(cohorts.into_iter().filter(|change| !is_told(change, &told)));
    if changes.is_empty() && ties(old) != ties(new) {
        changes.push(RouteChange::Reordered);
    }
    changes
}

fn share(route: &Route) -> Option<Share> {
    match &route.destination {
        Destination::Split(split) => Some(split.share),
        _ => None,
    }
}

fn causes(route: &Route) -> Vec<String> {
    match &route.destination {
        Destination::Split(split) => split.fallback.on().iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// At most a shift, a change of the fallback, one of the shadow, and one of other keys.
fn route_changes(old: (&RouteTable, &Route), new: (&RouteTable, &Route)) -> Vec<RouteChange> {
    let mut keys = changed_keys(&canonical::route(old.0, old.1), &canonical::route(new.0, new.1));
    let name = &new.1.name;
    let (mut changes, mut moved) = (Vec::new(), moves(&old.1.destination, &new.1.destination));
    if let (Destination::Split(was), Destination::Split(is)) = (&old.1.destination, &new.1.destination)
        && same_buckets(was, is)
        && was.share != is.share
    {
        let (from, to) = (was.share, is.share);
        changes.push(RouteChange::Shifted { route: name.clone(), from, to, moves: moved.0 });
        keys.retain(|key| *key != "percent");
        moved.0 = Share::NONE;
    }
    let falls_back = keys.contains(&"fallback").then(|| {
        keys.retain(|key| *key != "fallback");
        RouteChange::FallsBack { route: name.clone(), on: causes(new.1) }
    });
    let shadowed = shadow_change(old.1, new.1, &mut keys);
    if !keys.is_empty() {
        changes.push(RouteChange::Changed { route: name.clone(), keys, moves: moved.0, expected: moved.1 });
    }
    changes.extend(falls_back);
    changes.extend(shadowed);
    changes
}

/// Takes what it tells out of the keys. Details of a shadow come and go with it.
fn shadow_change(old: &Route, new: &Route, keys: &mut Vec<&'static str>) -> Option<RouteChange> {
    let (was, is) = (shadow(old), shadow(new));
    if was.is_none() || is.is_none() {
        keys.retain(|key| !key.starts_with("shadow."));
    }
    let share = |shadow: Option<&Shadow>| shadow.map_or(Share::NONE, |shadow| shadow.share);
    let (from, to) = (share(was), share(is));
    if from == to {
        return None;
    }
    keys.retain(|key| *key != "shadow");
    Some(RouteChange::Shadowed { route: new.name.clone(), from, to })
}

fn shadow(route: &Route) -> Option<&Shadow> {
    match &route.destination {
        Destination::Split(split) => split.shadow.as_ref(),
        _ => None,
    }
}

/// Share of clients that change arm, and whether that is an expectation.
fn moves(old: &Destination, new: &Destination) -> (Share, bool) {
    let exactly = |thousandths| (at_most_all(thousandths), false);
    match (old, new) {
        (Destination::Split(old), Destination::Split(new)) => {
            let (from, to) = (u64::from(old.share.thousandths()), u64::from(new.share.thousandths()));
            if same_buckets(old, new) {
                return exactly(from.abs_diff(to));
            }
            // Independent buckets: those of one side only.
            let all = u64::from(Share::ALL.thousandths());
            let both = from * (all - to) + to * (all - from);
            let certain = from % all == 0 || to % all == 0;
            (at_most_all((both + all / 2) / all), !certain)
        }
        (Destination::Split(split), Destination::Legacy)
        | (Destination::Legacy, Destination::Split(split)) => (split.share, false),
        (Destination::Retired(_), Destination::Retired(_)) | (Destination::Legacy, Destination::Legacy) => {
            (Share::NONE, false)
        }
        (Destination::Retired(_), _) | (_, Destination::Retired(_)) => (Share::ALL, false),
    }
}

fn same_buckets(old: &Split, new: &Split) -> bool {
    old.hash_name == new.hash_name && old.sticky == new.sticky && old.issue_cookie == new.issue_cookie
}

fn at_most_all(thousandths: u64) -> Share {
    u32::try_from(thousandths).ok().and_then(Share::from_thousandths).unwrap_or(Share::ALL)
}

/// Keys whose meaning differs; a key that one side lacks differs.
fn changed_keys(old: &[Field], new: &[Field]) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> =
        new.iter().filter(|field| !old.contains(field)).map(|(key, _)| *key).collect();
    let gone = old.iter().filter(|(key, _)| !new.iter().any(|(other, _)| other == key));
    keys.extend(gone.map(|(key, _)| *key));
    keys
}

type Part<'t> = (&'t str, Vec<Field>);

fn upstreams(table: &RouteTable) -> Vec<Part<'_>> {
    table.upstreams().iter().map(|it| (it.name.as_str(), canonical::upstream(it))).collect()
}

fn stores(table: &RouteTable) -> Vec<Part<'_>> {
    table.stores().iter().map(|it| (it.name.as_str(), canonical::store(it))).collect()
}

fn cohorts(table: &RouteTable) -> Vec<Part<'_>> {
    table.cohorts().iter().map(|it| (it.name.as_str(), canonical::cohort(it))).collect()
}

/// Cohorts whose new share a change of one of their routes tells already.
fn shares_told<'t>(new: &'t RouteTable, changes: &[RouteChange]) -> BTreeSet<&'t str> {
    let told: BTreeSet<&str> = changes
        .iter()
        .filter_map(|change| match change {
            RouteChange::Shifted { route, .. } => Some(route.as_str()),
            RouteChange::Changed { route, keys, .. } if keys.contains(&"percent") => Some(route.as_str()),
            _ => None,
        })
        .collect();
    let cohort_of = |route: &'t Route| match &route.destination {
        Destination::Split(Split { cohort: Some(cohort), .. }) => {
            Some(new.cohorts()[cohort.0 as usize].name.as_str())
        }
        _ => None,
    };
    new.routes().iter().filter(|route| told.contains(route.name.as_str())).filter_map(cohort_of).collect()
}

fn is_told(cohort: &RouteChange, told: &BTreeSet<&str>) -> bool {
    matches!(cohort, RouteChange::Part { name, keys, .. } if *keys == ["percent"] && told.contains(name.as_str()))
}

fn part_changes(kind: &'static str, old: &[Part<'_>], new: &[Part<'_>]) -> Vec<RouteChange> {
    let change = |name: &str, keys| RouteChange::Part { kind, name: name.to_owned(), keys };
    let mut changes = Vec::new();
    for (name, fields) in new {
        let keys = match old.iter().find(|(other, _)| other == name) {
            Some((_, was)) => changed_keys(was, fields),
            None => vec!["added"],
        };
        if !keys.is_empty() {
            changes.push(change(name, keys));
        }
    }
    let gone = old.iter().filter(|(name, _)| !new.iter().any(|(other, _)| other == name));
    changes.extend(gone.map(|(name, _)| change(name, vec!["removed"])));
    changes
}
