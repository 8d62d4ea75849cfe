//! A table whose candidates get nobody: the floor in memory for when the file cannot be written.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::identity::identity;
use crate::table::{
    CohortIndex, Destination, Route, RouteIndex, RouteTable, Share, Split, StoreMode, TableHash, Writer,
};

/// A table rolled back, and what was left as it is.
#[derive(Debug)]
pub struct RolledBack {
    /// The new table.
    pub table: RouteTable,
    /// Routes whose share is 0 now and was not.
    pub changed: Vec<RouteIndex>,
    /// Chosen routes with a share that were left as they are: the candidate writes their separate store, or
    /// that of another route of their cohort, so legacy's data is behind.
    pub left: Vec<RouteIndex>,
}

impl RouteTable {
    /// The same table with share 0 for the routes that `chosen` picks; pins stay.
    ///
    /// A cohort moves as one: a chosen route takes all of its cohort along, and a route that must be left keeps
    /// all of it. Routes with a separate store whose writer is the candidate are left unless `force`.
    pub fn rolled_back(&self, chosen: impl Fn(&Route) -> bool, force: bool) -> RolledBack {
        let split = |route: &Route| matches!(&route.destination, Destination::Split(split) if split.share != Share::NONE);
        let picked: BTreeSet<Group> = self
            .groups()
            .filter(|(_, route)| split(route) && chosen(route))
            .map(|(group, _)| group)
            .collect();
        let kept: BTreeSet<Group> = self
            .groups()
            .filter(|(_, route)| !force && split(route) && self.candidate_writes(route))
            .map(|(group, _)| group)
            .collect();
        let mut rolled = RolledBack { table: self.copy(), changed: Vec::new(), left: Vec::new() };
        for (position, (group, route)) in (0..).zip(self.groups()) {
            if !split(route) || !picked.contains(&group) {
                continue;
            }
            if kept.contains(&group) {
                rolled.left.push(RouteIndex(position));
            } else {
                rolled.table.stop(position as usize);
                rolled.changed.push(RouteIndex(position));
            }
        }
        rolled.table.hash = identity(&rolled.table);
        rolled
    }

    /// Every route with what moves together with it.
    fn groups(&self) -> impl Iterator<Item = (Group, &Route)> {
        (0..).zip(self.routes()).map(|(position, route)| match &route.destination {
            Destination::Split(Split { cohort: Some(cohort), .. }) => (Group::Cohort(*cohort), route),
            _ => (Group::Route(RouteIndex(position)), route),
        })
    }

    fn candidate_writes(&self, route: &Route) -> bool {
        let mode = route.store.map(|store| self.stores()[store.0 as usize].mode);
        mode == Some(StoreMode::Separate(Writer::Candidate))
    }

    /// Sets the share of a route and its cohort to 0.
    fn stop(&mut self, position: usize) {
        if let Destination::Split(split) = &mut self.routes[position].destination {
            split.share = Share::NONE;
            if let Some(cohort) = split.cohort {
                self.cohorts[cohort.0 as usize].share = Share::NONE;
            }
        }
    }

    /// Shares take no part in matching, so the index stays the same.
    fn copy(&self) -> Self {
        Self {
            legacy: self.legacy,
            timeouts: self.timeouts.clone(),
            max_body: self.max_body,
            trusted_proxies: self.trusted_proxies.clone(),
            allow_empty: self.allow_empty,
            rewrite: self.rewrite.clone(),
            routes: self.routes.clone(),
            upstreams: self.upstreams.clone(),
            stores: self.stores.clone(),
            cohorts: self.cohorts.clone(),
            hash: TableHash(String::new()),
            index: Arc::clone(&self.index),
        }
    }
}

/// What moves as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Cohort(CohortIndex),
    Route(RouteIndex),
}
