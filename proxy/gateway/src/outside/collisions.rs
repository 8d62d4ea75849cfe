//! Cookies of one name that both arms set with different attributes: a browser keeps two of them, or each arm
//! overwrites what the other has just set. Sign-ins get lost that way, for a share of the clients only.
//!
//! What legacy sets counts wherever it sets it, because a browser does not know of routes. What was seen is forgotten
//! with the table: another table may rewrite cookies in another way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use banyan_routes::{Destination, RouteIndex, RouteTable};

use tokio::runtime::Handle;

use super::cookie::{Cookie, Scope};
use crate::upkeep::Upkeep;

/// Most names that one route can add.
const NAMES_PER_ROUTE: u32 = 32;

/// Most names of one table.
const ALL_NAMES: usize = 4096;

/// Longest name, path or domain, in bytes.
const LONGEST: usize = 128;

/// Every cookie that was set under one table, up to a bound.
pub(crate) struct CookieWatch {
    seen: Mutex<Seen>,
    upkeep: Handle,
}

#[derive(Default)]
struct Seen {
    names: HashMap<Box<[u8]>, Setters>,
    /// How many entries came from answers of a route.
    taken: HashMap<Option<RouteIndex>, u32>,
}

/// Who sets a cookie, and how it did last.
#[derive(Default)]
struct Setters {
    legacy: Option<Scope>,
    candidates: Vec<Candidate>,
}

struct Candidate {
    route: RouteIndex,
    scope: Scope,
    is_told: bool,
}

/// What came of a look at one cookie.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// No other arm sets it differently, as far as is known.
    Alike,
    /// No room for another name, or a name too long to keep.
    Unwatched,
    /// It is set differently by the other arm.
    Collides(Vec<Collision>),
}

/// One route on which the arms differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Collision {
    pub(super) route: RouteIndex,
    /// Attributes of legacy and of the candidate, the first time.
    pub(super) first: Option<[Scope; 2]>,
}

impl CookieWatch {
    /// None for a table in which nothing moves: legacy cannot collide with itself.
    pub(crate) fn of(table: &RouteTable, upkeep: &Upkeep) -> Option<Self> {
        let moves = table.routes().iter().any(|route| matches!(route.destination, Destination::Split(_)));
        moves.then(|| Self { seen: Mutex::default(), upkeep: upkeep.handle() })
    }

    /// Says something where no client waits for it.
    pub(super) fn tell(&self, line: impl FnOnce() + Send + 'static) {
        self.upkeep.spawn(async move { line() });
    }

    /// Remembers how an arm set a cookie, and compares with the other.
    pub(super) fn note(&self, route: Option<RouteIndex>, is_candidate: bool, cookie: &Cookie<'_>) -> Noted {
        let is_good = cookie.name().len() <= LONGEST && cookie.name().iter().all(u8::is_ascii_graphic);
        let Some(scope) = is_good.then(|| cookie.scope(LONGEST)).flatten() else { return Noted::Unwatched };
        // A panic while it is locked leaves it whole: entries are put in one by one.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.has_room_for(route, is_candidate, cookie.name()) {
            return Noted::Unwatched;
        }
        let Some(setters) = seen.names.get_mut(cookie.name()) else { return Noted::Unwatched };
        let collisions = match route {
            Some(route) if is_candidate => setters.by_candidate(route, scope),
            _ => setters.by_legacy(scope),
        };
        if collisions.is_empty() { Noted::Alike } else { Noted::Collides(collisions) }
    }
}

impl Seen {
    /// Makes the entry of a name that is not known yet, on the account of the route.
    fn has_room_for(&mut self, route: Option<RouteIndex>, is_candidate: bool, name: &[u8]) -> bool {
        let is_known = self.names.get(name).is_some_and(|setters| {
            if is_candidate {
                setters.candidates.iter().any(|candidate| Some(candidate.route) == route)
            } else {
                setters.legacy.is_some()
            }
        });
        if is_known {
            return true;
        }
        let is_full = self.names.len() >= ALL_NAMES && !self.names.contains_key(name);
        let taken = self.taken.entry(route).or_default();
        if is_full || *taken >= NAMES_PER_ROUTE {
            return false;
        }
        *taken += 1;
        self.names.entry(name.into()).or_default();
        true
    }
}

impl Setters {
    fn by_legacy(&mut self, scope: Scope) -> Vec<Collision> {
        let differing = self.candidates.iter_mut().filter(|candidate| candidate.scope != scope);
        let collisions = differing.map(|candidate| candidate.collision(&scope)).collect();
        self.legacy = Some(scope);
        collisions
    }

    fn by_candidate(&mut self, route: RouteIndex, scope: Scope) -> Vec<Collision> {
        let place = self.candidates.iter().position(|candidate| candidate.route == route);
        let place = place.unwrap_or_else(|| {
            self.candidates.push(Candidate { route, scope: scope.clone(), is_told: false });
            self.candidates.len() - 1
        });
        let candidate = &mut self.candidates[place];
        candidate.scope = scope;
        let legacy = self.legacy.as_ref().filter(|legacy| **legacy != candidate.scope);
        legacy.map(|legacy| candidate.collision(legacy)).into_iter().collect()
    }
}

impl Candidate {
    fn collision(&mut self, legacy: &Scope) -> Collision {
        let is_first = !std::mem::replace(&mut self.is_told, true);
        Collision { route: self.route, first: is_first.then(|| [legacy.clone(), self.scope.clone()]) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use banyan_routes::RouteIndex;

    use super::{ALL_NAMES, Cookie, CookieWatch, NAMES_PER_ROUTE, Noted, Upkeep};

    const ORDERS: Option<RouteIndex> = Some(RouteIndex(0));
    const CARTS: Option<RouteIndex> = Some(RouteIndex(1));

    fn watch() -> CookieWatch {
        let upkeep = Upkeep::start().expect("a thread");
        CookieWatch { seen: Mutex::default(), upkeep: upkeep.handle() }
    }

    fn note(watch: &CookieWatch, route: Option<RouteIndex>, is_candidate: bool, line: &str) -> Noted {
        watch.note(route, is_candidate, &Cookie::read(line.as_bytes()).expect("a cookie"))
    }

    /// Routes that collide, and whether it is the first time.
    fn collides(noted: Noted) -> Vec<(u32, bool)> {
        let Noted::Collides(collisions) = noted else { panic!("{noted:?}") };
        collisions.into_iter().map(|it| (it.route.0, it.first.is_some())).collect()
    }

    #[test]
    fn a_cookie_set_differently_by_the_other_arm_collides() {
        let watch = watch();
        assert_eq!(note(&watch, ORDERS, false, "s=1; Path=/; HttpOnly"), Noted::Alike);
        assert_eq!(note(&watch, ORDERS, true, "s=2; path=/; httponly; Max-Age=9"), Noted::Alike);
        assert_eq!(collides(note(&watch, ORDERS, true, "s=2; Path=/")), [(0, true)]);
        assert_eq!(collides(note(&watch, ORDERS, true, "s=2; Path=/")), [(0, false)]);
        assert_eq!(note(&watch, ORDERS, true, "other=2; Path=/"), Noted::Alike);
        assert_eq!(collides(note(&watch, CARTS, true, "s=2; Path=/carts; HttpOnly")), [(1, true)]);
        // What legacy sets where no route is counts for every route that knows the name.
        assert_eq!(collides(note(&watch, None, false, "s=1; Path=/; Secure")), [(0, false), (1, false)]);
        assert_eq!(collides(note(&watch, None, false, "s=1; Path=/")), [(1, false)]);
    }

    #[test]
    fn names_have_a_bound() {
        let watch = watch();
        for number in 0..NAMES_PER_ROUTE {
            assert_eq!(note(&watch, ORDERS, true, &format!("c{number}=1")), Noted::Alike);
        }
        assert_eq!(note(&watch, ORDERS, true, "more=1"), Noted::Unwatched);
        assert_eq!(note(&watch, ORDERS, true, "c0=1"), Noted::Alike, "what is known stays watched");
        assert_eq!(note(&watch, CARTS, true, "more=1"), Noted::Alike, "another route has its own room");
        assert_eq!(note(&watch, CARTS, true, &format!("{}=1", "n".repeat(129))), Noted::Unwatched);
        assert_eq!(note(&watch, CARTS, true, &format!("n=1; Path=/{}", "n".repeat(129))), Noted::Unwatched);
        let routes = u32::try_from(ALL_NAMES).expect("small");
        for number in 2..routes {
            note(&watch, Some(RouteIndex(number)), true, &format!("r{number}=1"));
        }
        let seen = watch.seen.lock().expect("whole");
        assert_eq!(seen.names.len(), ALL_NAMES);
    }
}
