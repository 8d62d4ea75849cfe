//! What an edit does to shares, and how it is told.

use std::io::{IsTerminal, Write};

use banyan_control::edit::{Place, Plan};
use banyan_control::text_hash;
use banyan_routes::{Destination, Route, RouteTable, Share, Split, StoreMode, Writer};
use serde::Serialize;

use super::JSON_VERSION;
use crate::args::EditArgs;
use crate::editing::{Editing, Outcome, Stop};
use crate::failure::{Exit, Failure};
use crate::names::nearest;
use crate::screen;

/// A share as it is written: of one route, or of a cohort and all its routes.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    /// Name of the route or the cohort.
    pub(super) name: String,
    /// True for a cohort.
    pub(super) is_cohort: bool,
    /// The routes it moves.
    pub(super) routes: Vec<String>,
    /// Now.
    pub(super) share: Share,
    /// Where it is written.
    pub(super) place: Place,
    /// Separate stores that the candidate writes: what it wrote is not in legacy.
    pub(super) candidate_stores: Vec<String>,
    /// Routes that pin clients to the candidate whatever the share, and where they are written.
    pub(super) pinned: Vec<(String, String)>,
}

/// Every share of a table, in file order.
pub(super) fn holders(table: &RouteTable) -> Vec<Holder> {
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

fn split(route: &Route) -> Option<&Split> {
    match &route.destination {
        Destination::Split(split) => Some(split),
        Destination::Legacy | Destination::Retired(_) => None,
    }
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
    let pins = route.pins.iter().any(|pin| pin.to_candidate);
    let place_of_route = || (route.name.clone(), format!("{}:{}", route.origin.file, route.origin.line));
    Holder {
        name: name.clone(),
        is_cohort: cohort.is_some(),
        routes: vec![route.name.clone()],
        share: split.share,
        place,
        candidate_stores: written.map(|store| store.name.clone()).into_iter().collect(),
        pinned: pins.then(place_of_route).into_iter().collect(),
    }
}

/// The share that a name stands for: a route's, its cohort's, or a cohort's own.
pub(super) fn find(table: &RouteTable, name: &str) -> Result<Holder, Failure> {
    let holders = holders(table);
    let found =
        holders.iter().find(|holder| holder.name == name || holder.routes.iter().any(|route| route == name));
    if let Some(found) = found {
        return Ok(found.clone());
    }
    if let Some(route) = table.routes().iter().find(|route| route.name == name) {
        return Err(no_share(route));
    }
    let names = holders.iter().flat_map(|holder| holder.routes.iter().chain([&holder.name]));
    let hint = match nearest(name, names.map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`banyan status` lists the routes".to_owned(),
    };
    Err(Failure::new(Exit::Failed, format!("no route or cohort named `{name}`")).hint(hint))
}

fn no_share(route: &Route) -> Failure {
    let place = format!("{}:{}", route.origin.file, route.origin.line);
    let (why, key) = match route.destination {
        Destination::Retired(_) => ("is retired", " instead of `retire`"),
        _ => ("has no candidate", ""),
    };
    Failure::new(Exit::Failed, format!("route `{}` {why}: there is no share to change", route.name))
        .hint(format!("give it `to` and `percent`{key} at {place}"))
}

impl Holder {
    /// `orders` or `cohort checkout`.
    pub(super) fn title(&self) -> String {
        if self.is_cohort { format!("cohort {}", self.name) } else { self.name.clone() }
    }

    /// Its share as it is wanted in force, by route.
    pub(super) fn wanted(&self, share: Share) -> impl Iterator<Item = (&str, Share)> {
        self.routes.iter().map(move |route| (route.as_str(), share))
    }

    /// Says which other routes move.
    pub(super) fn tell_company(&self, named: &str) {
        if self.is_cohort && self.routes.iter().any(|route| route != named) {
            screen::say(&format!("cohort {} moves together: {}", self.name, self.routes.join(", ")));
        }
    }

    /// Whether somebody is to be asked: other routes move than the one named, and there is somebody to answer.
    pub(super) fn is_to_be_confirmed(&self, named: &str, yes: bool) -> bool {
        let others = self.is_cohort && named != self.name && self.routes.iter().any(|route| route != named);
        others && !yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

/// A pin holds whatever the share is.
pub(super) fn pins_stay(route: &str, origin: &str) -> String {
    format!("clients pinned to the candidate of {route} stay there: {origin}")
}

/// Asks; anything but yes ends the command.
pub(super) fn confirm() -> Result<(), Failure> {
    let _ = write!(std::io::stderr(), "shift them all? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "nothing was changed").hint("`--yes` asks nothing"))
}

/// One share before and after.
#[derive(Debug, Clone, Serialize)]
struct Shift {
    name: String,
    cohort: bool,
    routes: Vec<String>,
    from: String,
    to: String,
    #[serde(skip)]
    line: String,
}

/// `--json` of an edit.
#[derive(Debug, Serialize)]
struct Edited {
    version: u32,
    file: String,
    shifts: Vec<Shift>,
    /// One line per change, for people.
    changes: Vec<String>,
    /// Generation in force; none when no proxy was asked.
    generation: Option<u64>,
    /// Hash of the table.
    hash: String,
    /// Hash of the files.
    text_hash: String,
}

/// Writes the plan, and tells what it did: shares by name, everything else by `other_changes`.
pub(super) fn write(
    editing: &Editing<'_>,
    plan: &Plan,
    args: &EditArgs,
    other_changes: Vec<String>,
) -> Result<(), Stop> {
    let shifts = shifts(editing.session.table(), &plan.table);
    let outcome = editing.write(plan)?;
    let told = shifts.iter().map(|shift| shift.line.clone());
    let changes: Vec<String> = if other_changes.is_empty() { told.collect() } else { other_changes };
    if args.json {
        let edited = edited(editing, outcome, &plan.table, (shifts, changes), plan.after_hash.clone());
        return Ok(screen::print_json(&edited)?);
    }
    let suffix = match outcome.generation {
        Some(generation) => format!(", generation {generation}"),
        None => format!(", written to {}", editing.file()),
    };
    Ok(changes.iter().try_for_each(|change| screen::print(&format!("{change}{suffix}")))?)
}

/// Nothing is to be written: says so once that is what is in force.
pub(super) fn unchanged<'h>(
    editing: &Editing<'_>,
    args: &EditArgs,
    wanted: impl Iterator<Item = (&'h str, Share)>,
    sentence: &str,
) -> Result<(), Stop> {
    let outcome = editing.in_force(&wanted.collect())?;
    screen::say(sentence);
    if args.json {
        let files = text_hash(editing.session.files());
        let edited = edited(editing, outcome, editing.session.table(), Default::default(), files);
        screen::print_json(&edited)?;
    }
    Ok(())
}

fn edited(
    editing: &Editing<'_>,
    outcome: Outcome,
    table: &RouteTable,
    (shifts, changes): (Vec<Shift>, Vec<String>),
    text_hash: String,
) -> Edited {
    let Outcome { generation, hash } = outcome;
    let hash = hash.unwrap_or_else(|| table.hash().as_str().to_owned());
    Edited { version: JSON_VERSION, file: editing.file(), shifts, changes, generation, hash, text_hash }
}

fn shifts(old: &RouteTable, new: &RouteTable) -> Vec<Shift> {
    let before = holders(old);
    let same = |holder: &Holder| {
        before
            .iter()
            .find(|old| old.name == holder.name && old.is_cohort == holder.is_cohort)
            .map(|old| old.share)
    };
    let changed = |holder: Holder| {
        let from = same(&holder)?;
        (from != holder.share).then(|| Shift {
            line: line(&holder, from),
            name: holder.name,
            cohort: holder.is_cohort,
            routes: holder.routes,
            from: from.to_string(),
            to: holder.share.to_string(),
        })
    };
    holders(new).into_iter().filter_map(changed).collect()
}

/// `orders 10 % -> 25 % (15 % of clients move to the candidate)`
fn line(holder: &Holder, from: Share) -> String {
    let to = holder.share;
    let moved = Share::from_thousandths(from.thousandths().abs_diff(to.thousandths())).unwrap_or(Share::ALL);
    let arm = if to > from { "the candidate" } else { "legacy" };
    format!("{} {from} % -> {to} % ({moved} % of clients move to {arm})", holder.title())
}
