//! Who may write where, and which client keeps its arm.

use std::collections::BTreeSet;

use super::method::any_unsafe;
use super::route::Placed;
use super::split::SplitSpots;
use crate::problem::{Draft, Problems};
use crate::table::{Destination, Route, Share, Split, StickySource, Store, StoreMode, Writer};

/// Rules over whole routes.
pub(super) fn check(placed: &[Placed], stores: &[Option<Store>], problems: &mut Problems) {
    let mut warned_chains = BTreeSet::new();
    for Placed { route, spots } in placed.iter().filter(|placed| writes(&placed.route)) {
        let store = route.store.map(|index| stores.get(index.0 as usize));
        let mode = match store {
            None => None,
            Some(Some(Some(store))) => Some(store.mode),
            // The store has a problem of its own.
            Some(_) => continue,
        };
        if let (Destination::Split(split), Some(places)) = (&route.destination, spots.split)
            && is_partial(split.share)
        {
            check_share(route, split, mode, places, problems);
            if warned_chains.insert(places.sticky) {
                check_chain(route, split, places, problems);
            }
        }
        if let (Some(StoreMode::Separate(writer)), Some(store)) = (mode, spots.store) {
            check_writer(route, writer, store, problems);
            check_pins(route, writer, &spots.pins, store, problems);
        }
    }
}

/// Whether a request of this route may change something.
pub(super) fn writes(route: &Route) -> bool {
    let answered_by_banyan = matches!(route.destination, Destination::Retired(_));
    (route.side_effects || any_unsafe(&route.methods)) && !answered_by_banyan
}

fn is_partial(share: Share) -> bool {
    share != Share::NONE && share != Share::ALL
}

/// What of the route is unsafe, for a message.
fn culprit(route: &Route) -> &'static str {
    if route.side_effects { "requests with side effects" } else { "unsafe methods" }
}

fn check_share(
    route: &Route,
    split: &Split,
    mode: Option<StoreMode>,
    places: SplitSpots,
    problems: &mut Problems,
) {
    let what = format!("`{}` moves {} % of clients on {}", route.name, split.share, culprit(route));
    match mode {
        Some(StoreMode::Shared) => {}
        None => {
            let message = format!("{what}, and no `store` says where they write");
            let draft = Draft::warning("unsafe-share-without-store", places.share, message);
            problems.push(draft.hint("name the `store` behind the route, or take safe `methods` only"));
        }
        Some(StoreMode::Separate(_)) => {
            let message = format!("{what}, but its store is separate: two databases would be written");
            let draft = Draft::error("unsafe-share-on-separate-store", places.share, message);
            problems.push(draft.hint("move unsafe requests at once (0 or 100), or share the store first"));
        }
    }
}

/// Unsafe requests go to one arm, and that arm must be the writer of record.
fn check_writer(route: &Route, writer: Writer, store: crate::source::Spot, problems: &mut Problems) {
    let goes_to = match &route.destination {
        Destination::Retired(_) => return,
        Destination::Split(split) if is_partial(split.share) => return,
        Destination::Split(split) if split.share == Share::ALL => Writer::Candidate,
        Destination::Split(_) | Destination::Legacy => Writer::Legacy,
    };
    if goes_to != writer {
        let message = format!(
            "{} of `{}` go to {}, but the writer of its store is {}",
            culprit(route),
            route.name,
            word(goes_to),
            word(writer)
        );
        let hint = "move `writer` and share in one change, after the data was moved";
        problems.push(Draft::error("writer-elsewhere", store, message).hint(hint));
    }
}

/// A pin sends unsafe requests too.
fn check_pins(
    route: &Route,
    writer: Writer,
    pins: &[crate::source::Spot],
    store: crate::source::Spot,
    problems: &mut Problems,
) {
    for (pin, spot) in route.pins.iter().zip(pins) {
        let goes_to = if pin.to_candidate { Writer::Candidate } else { Writer::Legacy };
        if goes_to != writer {
            let message = format!(
                "this pin sends {} to {}, but the writer of the store is {}",
                culprit(route),
                word(goes_to),
                word(writer)
            );
            let draft = Draft::error("writer-elsewhere", *spot, message).related(store, "the store");
            problems.push(draft.hint("pin a route of safe `methods`, or share the store first"));
        }
    }
}

fn word(writer: Writer) -> &'static str {
    match writer {
        Writer::Legacy => "legacy",
        Writer::Candidate => "candidate",
    }
}

/// A chain of several sources gives one person two keys: one before signing in, one after. That hurts where
/// the arm decides who writes, so only routes with a partial share on unsafe methods are warned about, and
/// each chain once.
fn check_chain(route: &Route, split: &Split, places: SplitSpots, problems: &mut Problems) {
    // Nothing after the address is ever looked at.
    let last = split.sticky.iter().find(|source| **source == StickySource::ClientIp).or(split.sticky.last());
    let (Some(first), Some(last)) = (split.sticky.first(), last) else { return };
    if first == last {
        return;
    }
    let message = format!(
        "a client of `{}` may change arm when it signs in: known by {} before, by {} after",
        route.name,
        source(last),
        source(first)
    );
    let draft = Draft::warning("sticky-changes-at-sign-in", places.sticky, message);
    problems.push(
        draft
            .related(places.share, "on unsafe methods, too")
            .hint("use one source that stays the same, for example a cookie with `issue_cookie = true`"),
    );
}

fn source(source: &StickySource) -> String {
    match source {
        StickySource::Header(name) => format!("`header:{name}`"),
        StickySource::Cookie(name) => format!("`cookie:{name}`"),
        StickySource::ClientIp => "`client-ip`".to_owned(),
    }
}
