//! One namespace of hash names: two routes that hash alike would move the same clients by accident.

use std::collections::BTreeMap;

use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::written::cohort::CohortTable;
use crate::written::reader::Located;
use crate::written::route::RouteEntry;

/// Names must differ between cohorts and routes, and so must the names in force after `hash_as`.
pub(super) fn check(
    cohorts: &[(Located<String>, Option<CohortTable>)],
    routes: &[Located<RouteEntry>],
    problems: &mut Problems,
) {
    let names: BTreeMap<&str, Spot> =
        cohorts.iter().map(|(name, _)| (name.value.as_str(), name.spot)).collect();
    for name in routes.iter().filter_map(|route| route.value.name.good()) {
        if let Some(cohort) = names.get(name.value.as_str()) {
            let message = format!("`{}` names a cohort and a route", name.value);
            let draft = Draft::error("name-clash", name.spot, message).related(*cohort, "the cohort");
            problems.push(draft.hint("cohorts and routes share one namespace: both are hash names"));
        }
    }
    check_hash_as(cohorts, routes, problems);
}

/// A hash name in force, and whether `hash_as` made it.
struct InForce<'w> {
    name: &'w Located<String>,
    renamed: bool,
}

fn check_hash_as(
    cohorts: &[(Located<String>, Option<CohortTable>)],
    routes: &[Located<RouteEntry>],
    problems: &mut Problems,
) {
    let of_cohorts = cohorts.iter().map(|(name, table)| {
        let former = table.as_ref().and_then(|table| table.hash_as.good());
        InForce { name: former.unwrap_or(name), renamed: former.is_some() }
    });
    // A route of a cohort hashes under the cohort's name.
    let own = routes.iter().map(|route| &route.value).filter(|route| !route.percent.is_absent());
    let of_routes = own.filter_map(|route| {
        let former = route.hash_as.good();
        Some(InForce { name: former.or(route.name.good())?, renamed: former.is_some() })
    });
    let mut seen: BTreeMap<&str, InForce<'_>> = BTreeMap::new();
    for next in of_cohorts.chain(of_routes) {
        let Some(first) = seen.get(next.name.value.as_str()) else {
            seen.insert(&next.name.value, next);
            continue;
        };
        // Equal plain names are told as `duplicate-name` or `name-clash`.
        if next.renamed || first.renamed {
            let (culprit, other) =
                if next.renamed { (next.name, first.name) } else { (first.name, next.name) };
            let message = format!("`{}` is in use as a hash name", culprit.value);
            let draft =
                Draft::error("hash-name-clash", culprit.spot, message).related(other.spot, "in use here");
            problems.push(draft.hint("put routes that shall move the same clients into one cohort"));
        }
    }
}
