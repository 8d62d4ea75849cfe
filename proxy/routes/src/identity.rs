//! The hash of the resolved table: equal for equal meanings, whatever the layout, comments and files.
//!
//! Routes are hashed in order of their names, because their order in the files only matters where it decides
//! between equally specific ones: there it is hashed too.

use sha2::{Digest, Sha256};

use crate::canonical::{self, Bytes, Field};
use crate::pattern::PathPattern;
use crate::precedence;
use crate::table::{Destination, Route, RouteTable, TableHash};

/// The first 16 hexadecimal digits of a SHA-256 over all of the table's meaning.
pub(crate) fn identity(table: &RouteTable) -> TableHash {
    let mut hash = Sha256::new();
    section(&mut hash, "defaults", "", canonical::defaults(table));
    let mut routes: Vec<&Route> = table.routes().iter().collect();
    routes.sort_by(|one, other| one.name.cmp(&other.name));
    for route in routes {
        section(&mut hash, "route", &route.name, canonical::route(table, route));
    }
    for upstream in table.upstreams() {
        section(&mut hash, "upstream", &upstream.name, canonical::upstream(upstream));
    }
    for store in table.stores() {
        section(&mut hash, "store", &store.name, canonical::store(store));
    }
    for cohort in table.cohorts() {
        section(&mut hash, "cohort", &cohort.name, canonical::cohort(cohort));
    }
    for names in ties(table) {
        hash.update(names.iter().fold(Bytes::default().and("order"), Bytes::and).as_slice());
    }
    TableHash(short(hash))
}

/// What comparisons of a route are about, in as many digits: both upstreams by name and targets, and the rules.
pub(crate) fn compared(table: &RouteTable, route: &Route) -> Option<String> {
    let Destination::Split(split) = &route.destination else { return None };
    let mut hash = Sha256::new();
    for index in [route.legacy, split.candidate] {
        let upstream = table.upstream(index);
        section(&mut hash, "upstream", &upstream.name, vec![canonical::targets(upstream)]);
    }
    section(&mut hash, "compare", "", canonical::rules(&split.comparing));
    Some(short(hash))
}

fn short(hash: Sha256) -> String {
    let digest = hash.finalize();
    let (first, _) = digest.split_first_chunk().expect("a SHA-256 has 32 bytes");
    format!("{:016x}", u64::from_be_bytes(*first))
}

fn section(hash: &mut Sha256, kind: &str, name: &str, fields: Vec<Field>) {
    let mut bytes = Bytes::default().and(kind).and(name).and(fields.len().to_string());
    for (key, value) in fields {
        bytes = bytes.and(key).and(value.as_slice());
    }
    hash.update(bytes.as_slice());
}

/// Names of routes between which only their order decides, by groups, sorted by the first's name in each.
pub(crate) fn ties(table: &RouteTable) -> Vec<Vec<&str>> {
    let mut groups: Vec<Vec<&Route>> = Vec::new();
    let mut ranked = table.index.by_rank().iter().map(|&index| table.route(index)).peekable();
    while let Some(route) = ranked.next() {
        let mut equal = vec![route];
        while let Some(next) = ranked.next_if(|next| precedence::order(route, next).is_eq()) {
            equal.push(next);
        }
        groups.extend(split_apart(equal));
    }
    let mut names: Vec<Vec<&str>> = groups
        .into_iter()
        .map(|group| group.into_iter().map(|route| route.name.as_str()).collect())
        .collect();
    names.sort();
    names
}

/// Of routes equal in precedence, those that could take one request; groups of one are left out.
fn split_apart(routes: Vec<&Route>) -> Vec<Vec<&Route>> {
    let mut groups: std::collections::BTreeMap<String, Vec<&Route>> = std::collections::BTreeMap::new();
    for route in routes {
        let path = match &route.path {
            PathPattern::Regex(_) => String::new(),
            other => crate::assemble::loose_shape(other),
        };
        groups.entry(format!("{:?} {path}", route.host)).or_default().push(route);
    }
    groups.into_values().filter(|group| group.len() > 1).collect()
}
