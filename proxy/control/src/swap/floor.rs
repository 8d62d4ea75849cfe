//! A rollback held in memory: the table with shares at 0, and what it does not reach.

use std::fmt;

use banyan_routes::{CohortIndex, RolledBack, Route, RouteTable};

use crate::api::{Pinned, Rollback};
use crate::explain::{pins_candidate, place, split};

/// No route and no cohort has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoSuchRoute(String);

impl fmt::Display for NoSuchRoute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no route or cohort named `{}`", self.0)
    }
}

/// The table with the shares at 0 that the order names.
pub(crate) fn floored(table: &RouteTable, order: &Rollback) -> Result<RolledBack, NoSuchRoute> {
    let Some(name) = &order.route else { return Ok(table.rolled_back(|_| true, order.force)) };
    if !table.routes().iter().any(|route| goes_by(table, route, name)) {
        return Err(NoSuchRoute(name.clone()));
    }
    Ok(table.rolled_back(|route| goes_by(table, route, name), order.force))
}

/// Routes at 0 by this order whose pins go on sending clients to the candidate.
pub(crate) fn pinned(rolled: &RolledBack, order: &Rollback) -> Vec<Pinned> {
    let table = &rolled.table;
    let is_meant = |route: &Route| order.route.as_ref().is_none_or(|name| goes_by(table, route, name));
    let together: Vec<CohortIndex> =
        table.routes().iter().filter(|route| is_meant(route)).filter_map(cohort).collect();
    let left = |name: &str| rolled.left.iter().any(|index| table.route(*index).name == name);
    let routes = table.routes().iter().filter(|route| {
        let moves_along = cohort(route).is_some_and(|cohort| together.contains(&cohort));
        (is_meant(route) || moves_along)
            && split(route).is_some()
            && pins_candidate(route)
            && !left(&route.name)
    });
    routes.map(|route| Pinned { route: route.name.clone(), origin: place(&route.origin) }).collect()
}

fn cohort(route: &Route) -> Option<CohortIndex> {
    split(route).and_then(|split| split.cohort)
}

/// By its own name or its cohort's: both are one namespace.
fn goes_by(table: &RouteTable, route: &Route, name: &str) -> bool {
    route.name == name || cohort(route).is_some_and(|index| table.cohorts()[index.0 as usize].name == name)
}
