//! Routes.

use std::collections::BTreeMap;

use super::catalog::{Catalog, check_name, duplicate};
use super::cohort::MadeCohort;
use super::defaults::{Defaults, path_options};
use super::shadow::ShadowSpots;
use super::split::{SplitSpots, split};
use super::{Told, condition, end, host, method, path, rewrite};
use crate::problem::{Draft, Problems};
use crate::source::{Sources, Spot};
use crate::table::{Condition, Destination, Pin, Route, StoreIndex, Sunset, Timeouts, UpstreamIndex};
use crate::written::cohort::CohortTable;
use crate::written::reader::{Field, Located, Named};
use crate::written::route::{RouteEntry, SunsetTable};
use crate::written::store::StoreTable;
use crate::written::upstream::UpstreamTable;
use crate::written::word::ArmWord;

/// A route and the places that later rules point at.
pub(super) struct Placed {
    pub(super) route: Route,
    pub(super) spots: Spots,
}

/// Where parts of a route were written.
pub(super) struct Spots {
    pub(super) name: Spot,
    pub(super) store: Option<Spot>,
    pub(super) pins: Vec<Spot>,
    pub(super) fallback: Option<Spot>,
    pub(super) shadow: ShadowSpots,
    /// Of the percentage and of the sticky chain, wherever they came from.
    pub(super) split: Option<SplitSpots>,
}

/// What a route may refer to.
pub(super) struct Surroundings<'m, 'w> {
    pub(super) defaults: &'m Defaults,
    pub(super) upstreams: &'m mut Catalog<'w, UpstreamTable>,
    pub(super) stores: &'m mut Catalog<'w, StoreTable>,
    pub(super) cohorts: &'m mut Catalog<'w, CohortTable>,
    pub(super) shares: &'m [Option<MadeCohort>],
    pub(super) sources: &'m Sources<'w>,
}

/// All routes without problems, in file order.
pub(super) fn make_all(
    entries: &[Located<RouteEntry>],
    mut around: Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Vec<Placed> {
    check_names(entries, problems);
    entries.iter().filter_map(|entry| make(entry, &mut around, problems)).collect()
}

fn check_names(entries: &[Located<RouteEntry>], problems: &mut Problems) {
    let mut first: BTreeMap<&str, &Located<String>> = BTreeMap::new();
    for name in entries.iter().filter_map(|entry| entry.value.name.good()) {
        check_name("route", name, problems);
        if name.value == "default" {
            let message = "`default` is the name of what no route has taken";
            problems.push(Draft::error("reserved-name", name.spot, message));
        }
        match first.get(name.value.as_str()) {
            Some(other) => problems.push(duplicate("route", name, other)),
            None => drop(first.insert(&name.value, name)),
        }
    }
}

/// Every part is made before the first missing one ends it, so that all problems are told.
fn make(
    located: &Located<RouteEntry>,
    around: &mut Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Option<Placed> {
    let entry = &located.value;
    let options = path_options(around.defaults.path_options, &entry.path_case, &entry.trailing_slash);
    let host = host::pattern(&entry.host, problems);
    let path = path::pattern(entry, options, located.spot, problems);
    let methods = method::set(&entry.methods, problems);
    let when = conditions(&entry.when, problems);
    let pins = pins(entry, problems);
    let destination = destination(located, around, problems);
    let legacy = match &entry.legacy {
        Field::Absent => around.defaults.legacy,
        field => field.good().and_then(|name| around.upstreams.find(name, problems)).map(UpstreamIndex),
    };
    let store = store(&entry.store, around, problems);
    let rewrite = rewrite::make(located, path.as_ref(), options, around.defaults.rewrite_answers, problems);
    let sunset = sunset(&entry.sunset, problems);
    let name = entry.name.good()?;
    let (destination, split) = destination?;
    let route = Route {
        name: name.value.clone(),
        host: host?,
        path: path?,
        path_options: options,
        methods: methods?,
        when: when?,
        destination,
        legacy: legacy?,
        pins: pins?,
        store: store.ok()?,
        side_effects: entry.side_effects.value().copied().unwrap_or(false),
        timeouts: timeouts(entry, around.defaults),
        max_body: entry.max_body.value().map_or(around.defaults.max_body, |size| size.0),
        rewrite: rewrite?,
        sunset: sunset.ok()?,
        meta: meta(&entry.meta),
        origin: around.sources.origin(located.spot),
    };
    warn_same_upstream(entry, &route, problems);
    let spots = Spots {
        name: name.spot,
        store: entry.store.spot(),
        pins: entry.pin.value().into_iter().flatten().map(|pin| pin.spot).collect(),
        fallback: entry.fallback.spot(),
        shadow: ShadowSpots {
            shadow: entry.shadow.spot(),
            writes: entry.shadow.value().and_then(|shadow| shadow.writes.spot()),
            compare: entry.compare.spot(),
        },
        split,
    };
    Some(Placed { route, spots })
}

fn store(
    field: &Field<String>,
    around: &mut Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Result<Option<StoreIndex>, Told> {
    match field {
        Field::Absent => Ok(None),
        Field::Bad(_) => Err(Told),
        Field::Good(name) => around.stores.find(name, problems).map(StoreIndex).map(Some).ok_or(Told),
    }
}

fn sunset(field: &Field<SunsetTable>, problems: &mut Problems) -> Result<Option<Sunset>, Told> {
    match field {
        Field::Absent => Ok(None),
        Field::Bad(_) => Err(Told),
        Field::Good(table) => end::sunset(&table.value, problems).map(Some).ok_or(Told),
    }
}

fn warn_same_upstream(entry: &RouteEntry, route: &Route, problems: &mut Problems) {
    if let (Some(to), Destination::Split(split)) = (entry.to.spot(), &route.destination)
        && split.candidate == route.legacy
        // Shadowed, legacy is compared with itself: that shows what is noise.
        && split.shadow.is_none()
    {
        let message = "the candidate is the legacy upstream: this route moves nobody";
        problems.push(Draft::warning("same-upstream", to, message));
    }
}

fn conditions(
    field: &Field<Vec<Located<crate::written::condition::ConditionTable>>>,
    problems: &mut Problems,
) -> Option<Vec<Condition>> {
    let written = field.value().map(Vec::as_slice).unwrap_or_default();
    let made: Vec<_> =
        written.iter().map(|table| condition::make(&table.value, table.spot, problems)).collect();
    made.into_iter().collect()
}

fn pins(entry: &RouteEntry, problems: &mut Problems) -> Option<Vec<Pin>> {
    let written = entry.pin.value().map(Vec::as_slice).unwrap_or_default();
    let made: Vec<_> = written
        .iter()
        .map(|pin| {
            let condition = condition::make(&pin.value.condition(), pin.spot, problems);
            let to_candidate = *pin.value.to.value()? == ArmWord::Candidate;
            Some(Pin { condition: condition?, to_candidate })
        })
        .collect();
    made.into_iter().collect()
}

type Went = (Destination, Option<SplitSpots>);

fn destination(
    located: &Located<RouteEntry>,
    around: &mut Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Option<Went> {
    let entry = &located.value;
    if let Some(spot) = entry.retire.spot() {
        let retired = entry.retire.value().and_then(|table| end::retire(table, problems));
        if let Some((key, _, other)) = split_keys(entry).into_iter().find(|(.., spot)| spot.is_some()) {
            let message = format!("a retired route answers 410 to everybody and has no `{key}`");
            problems.push(Draft::error("retire-and-to", other?, message).related(spot, "retired here"));
        }
        return Some((Destination::Retired(retired?), None));
    }
    match &entry.to {
        Field::Absent => {
            if !problems.is_misspelt(located.spot, &["to"]) {
                without_to(entry, problems);
            }
            Some((Destination::Legacy, None))
        }
        to => {
            let candidate =
                to.good().and_then(|name| around.upstreams.find(name, problems)).map(UpstreamIndex);
            split(located, candidate, around, problems)
                .map(|(split, spots)| (Destination::Split(split), Some(spots)))
        }
    }
}

/// Keys that say how a route divides its clients, with the code of the problem when there is no `to`.
fn split_keys(entry: &RouteEntry) -> [(&'static str, &'static str, Option<Spot>); 10] {
    [
        ("to", "", entry.to.spot()),
        ("percent", "percent-without-to", entry.percent.spot()),
        ("cohort", "cohort-without-to", entry.cohort.spot()),
        ("pin", "pin-without-to", entry.pin.spot()),
        ("sticky", "sticky-without-to", entry.sticky.spot()),
        ("hash_as", "hash-as-without-to", entry.hash_as.spot()),
        ("issue_cookie", "issue-cookie-without-to", entry.issue_cookie.spot()),
        ("fallback", "fallback-without-to", entry.fallback.spot()),
        ("shadow", "shadow-without-to", entry.shadow.spot()),
        ("compare", "compare-without-to", entry.compare.spot()),
    ]
}

/// One missing `to` is one problem, however many keys wait for it.
fn without_to(entry: &RouteEntry, problems: &mut Problems) {
    if let Some((key, code, Some(spot))) = split_keys(entry).into_iter().find(|(.., spot)| spot.is_some()) {
        let draft = Draft::error(code, spot, format!("`{key}` says nothing without `to`"));
        problems.push(draft.hint("name the upstream the route moves to: `to = \"NAME\"`"));
    }
}

fn timeouts(entry: &RouteEntry, defaults: &Defaults) -> Timeouts {
    Timeouts {
        response: entry.timeout.value().map_or(defaults.timeouts.response, |span| span.0),
        idle: entry.idle_timeout.value().map_or(defaults.timeouts.idle, |span| span.0),
    }
}

fn meta(field: &Field<Named<String>>) -> BTreeMap<String, String> {
    let entries = field.value().map(|named| named.0.as_slice()).unwrap_or_default();
    entries.iter().filter_map(|(name, text)| Some((name.value.clone(), text.clone()?))).collect()
}
