//! What an edit does to shares: who holds one, who moves along, and what it comes to.

use std::fmt;

use banyan_routes::{Destination, Route, RouteTable, Share, Split, StoreMode, Writer};

use super::{Change, Place};

/// A share as it is written: of one route, or of a cohort and all its routes.
#[derive(Debug, Clone)]
pub struct Holder {
    /// Name of the route or the cohort.
    pub name: String,
    /// True for a cohort.
    pub is_cohort: bool,
    /// The routes it moves.
    pub routes: Vec<String>,
    /// Now.
    pub share: Share,
    /// Where it is written.
    pub place: Place,
    /// Separate stores that the candidate writes: what it wrote is not in legacy.
    pub candidate_stores: Vec<String>,
    /// Routes that pin clients to the candidate whatever the share, and where they are written.
    pub pinned: Vec<(String, String)>,
}

/// Why a name stands for no share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoShare {
    /// Neither a route nor a cohort has it.
    Unknown {
        /// The name.
        name: String,
    },
    /// The route has no candidate.
    OfRoute {
        /// Its name.
        name: String,
        /// It answers 410.
        is_retired: bool,
        /// Where it is written, `routes.toml:12`.
        place: String,
    },
}

impl NoShare {
    /// How to go on.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { .. } => "`banyan status` lists the routes".to_owned(),
            Self::OfRoute { is_retired, place, .. } => {
                let key = if *is_retired { " instead of `retire`" } else { "" };
                format!("give it `to` and `percent`{key} at {place}")
            }
        }
    }
}

impl fmt::Display for NoShare {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => write!(out, "no route or cohort named `{name}`"),
            Self::OfRoute { name, is_retired, .. } => {
                let why = if *is_retired { "is retired" } else { "has no candidate" };
                write!(out, "route `{name}` {why}: there is no share to change")
            }
        }
    }
}

/// Every share of a table, in file order.
pub fn holders(table: &RouteTable) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for (route, split) in table.routes().iter().filter_map(|route| Some((route, split(route)?))) {
        let holder = holder(table, route, split);
        match holders
            .iter_mut()
            .find(|known| known.is_cohort && holder.is_cohort && known.name == holder.name)
        {
            Some(known) => {
                known.routes.extend(holder.routes);
                known.candidate_stores.extend(holder.candidate_stores);
                known.pinned.extend(holder.pinned);
            }
            None => holders.push(holder),
        }
    }
    holders
}

/// The share that a name stands for: a route's, its cohort's, or a cohort's own.
pub fn find(table: &RouteTable, name: &str) -> Result<Holder, NoShare> {
    let found = holders(table)
        .into_iter()
        .find(|holder| holder.name == name || holder.routes.iter().any(|route| route == name));
    found.ok_or_else(|| match table.routes().iter().find(|route| route.name == name) {
        Some(route) => NoShare::OfRoute {
            name: name.to_owned(),
            is_retired: matches!(route.destination, Destination::Retired(_)),
            place: crate::explain::place(&route.origin),
        },
        None => NoShare::Unknown { name: name.to_owned() },
    })
}

fn split(route: &Route) -> Option<&Split> {
    crate::explain::split(route)
}

fn holder(table: &RouteTable, route: &Route, split: &Split) -> Holder {
    let store = route.store.map(|index| &table.stores()[index.0 as usize]);
    let written = store.filter(|store| store.mode == StoreMode::Separate(Writer::Candidate));
    let origin = split.percent_origin.clone();
    let cohort = split.cohort.map(|index| &table.cohorts()[index.0 as usize]);
    let (name, place) = match cohort {
        Some(cohort) => (&cohort.name, Place::Cohort { name: cohort.name.clone(), origin }),
        None => (&route.name, Place::Route { name: route.name.clone(), origin }),
    };
    let pinned = crate::explain::pins_candidate(route)
        .then(|| (route.name.clone(), crate::explain::place(&route.origin)));
    Holder {
        name: name.clone(),
        is_cohort: cohort.is_some(),
        routes: vec![route.name.clone()],
        share: split.share,
        place,
        candidate_stores: written.map(|store| store.name.clone()).into_iter().collect(),
        pinned: pinned.into_iter().collect(),
    }
}

impl Holder {
    /// `orders` or `cohort checkout`.
    pub fn title(&self) -> String {
        if self.is_cohort { format!("cohort {}", self.name) } else { self.name.clone() }
    }

    /// Its share as it is wanted in force, by route.
    pub fn wanted(&self, share: Share) -> impl Iterator<Item = (&str, Share)> {
        self.routes.iter().map(move |route| (route.as_str(), share))
    }

    /// What to say when other routes move than the one named.
    pub fn company(&self, named: &str) -> Option<String> {
        let others = self.is_cohort && self.routes.iter().any(|route| route != named);
        others.then(|| format!("cohort {} moves together: {}", self.name, self.routes.join(", ")))
    }

    /// Why it does not go back to legacy unless forced.
    pub fn written_elsewhere(&self) -> Option<String> {
        if self.candidate_stores.is_empty() || self.share == Share::NONE {
            return None;
        }
        let (title, stores) = (self.title(), self.candidate_stores.join("`, `"));
        Some(format!(
            "{title} writes the separate store `{stores}` at the candidate: what was written there is not in legacy"
        ))
    }
}

/// The edits that put these shares to 0, and the stores that legacy writes again.
pub fn zeros(holders: &[&Holder]) -> (Vec<Change>, Vec<String>) {
    let zero = |holder: &&Holder| Change::share(holder.place.clone(), Share::NONE);
    let mut changes: Vec<Change> = holders.iter().map(zero).collect();
    let mut stores: Vec<String> = holders.iter().flat_map(|holder| holder.candidate_stores.clone()).collect();
    stores.sort();
    stores.dedup();
    changes.extend(stores.iter().map(|store| Change::writer_legacy(store)));
    (changes, stores)
}

/// A pin holds whatever the share is.
pub fn pins_stay(route: &str, origin: &str) -> String {
    format!("clients pinned to the candidate of {route} stay there: {origin}")
}

/// What a store that changes its writer loses.
pub fn legacy_writes_again(store: &str) -> String {
    format!("legacy becomes the writer of store `{store}` again: what the candidate wrote is not in it")
}
