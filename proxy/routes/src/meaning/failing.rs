//! `fallback` and `breaker`: values and the rules across routes and upstreams.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Told;
use super::route::Placed;
use crate::failing::{Breaker, Fallback, FallbackCause};
use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::table::{Destination, Split, Store, StoreMode, Upstream, UpstreamIndex, Writer};
use crate::written::duration::Span;
use crate::written::failing::{BreakerTable, FallbackTable};
use crate::written::reader::{Field, Located};
use crate::written::upstream::UpstreamTable;

const WINDOW_LEAST: Duration = Duration::from_millis(100);
const WINDOW_MOST: Duration = Duration::from_mins(10);

/// Absent means nothing to fall back on.
pub(super) fn fallback(field: &Field<FallbackTable>, problems: &mut Problems) -> Result<Fallback, Told> {
    let table = match field {
        Field::Absent => return Ok(Fallback::default()),
        Field::Bad(_) => return Err(Told),
        Field::Good(table) => &table.value,
    };
    let on = table.on.good().ok_or(Told)?;
    if on.value.is_empty() {
        let draft = Draft::error("empty-list", on.spot, "a `fallback` on nothing never happens");
        problems.push(draft.hint("write it like `on = [\"connect-error\", \"timeout\"]`"));
        return Err(Told);
    }
    Ok(Fallback::new(on.value.iter().map(|word| word.value.0).collect()))
}

/// A value out of range leaves a problem behind, and the default in its place.
pub(super) fn breaker(table: &BreakerTable, problems: &mut Problems) -> Breaker {
    let default = Breaker::default();
    let BreakerTable { error_percent, window, min_requests, open_for } = table;
    Breaker {
        error_percent: number(error_percent, "error_percent", 1..=100, problems)
            .unwrap_or(default.error_percent),
        window: self::window(window, problems).unwrap_or(default.window),
        min_requests: number(min_requests, "min_requests", 1..=u32::MAX, problems)
            .unwrap_or(default.min_requests),
        open_for: open_for.value().map_or(default.open_for, |span| span.0),
    }
}

fn number(field: &Field<u32>, key: &str, range: RangeInclusive<u32>, problems: &mut Problems) -> Option<u32> {
    let written = field.good()?;
    if range.contains(&written.value) {
        return Some(written.value);
    }
    let upper =
        if *range.end() == u32::MAX { String::new() } else { format!(" and at most {}", range.end()) };
    let message = format!("`{key}` must be at least {}{upper}, found {}", range.start(), written.value);
    problems.push(Draft::error("out-of-range", written.spot, message));
    None
}

fn window(field: &Field<Span>, problems: &mut Problems) -> Option<Duration> {
    let Located { value: Span(window), spot } = field.good()?;
    if (WINDOW_LEAST..=WINDOW_MOST).contains(window) {
        return Some(*window);
    }
    let message = format!("`window` must be between `100ms` and `10m`, found `{}ms`", window.as_millis());
    problems.push(Draft::error("out-of-range", *spot, message));
    None
}

/// Rules that need both the routes and what they name.
pub(super) fn check(
    placed: &[Placed],
    stores: &[Option<Store>],
    upstreams: &[Option<Upstream>],
    written: &[(Located<String>, Option<UpstreamTable>)],
    legacy: Option<UpstreamIndex>,
    problems: &mut Problems,
) {
    for Placed { route, spots } in placed {
        if let (Destination::Split(split), Some(spot)) = (&route.destination, spots.fallback) {
            warn_unheard_breaker(split, upstreams, spot, problems);
            let mode = route.store.and_then(|index| stores.get(index.0 as usize)?.as_ref()).map(|it| it.mode);
            if mode == Some(StoreMode::Separate(Writer::Candidate)) {
                let message = format!(
                    "`{}` falls back to legacy, but the writer of its store is candidate: legacy's data is behind",
                    route.name
                );
                problems.push(Draft::warning("fallback-to-old-data", spot, message));
            }
        }
    }
    let breakers = written
        .iter()
        .filter_map(|(name, table)| Some((name.value.as_str(), (name, table.as_ref()?.breaker.spot()?))));
    check_breakers(placed, upstreams, &breakers.collect(), legacy, problems);
}

fn warn_unheard_breaker(split: &Split, upstreams: &[Option<Upstream>], spot: Spot, problems: &mut Problems) {
    let Some(Some(candidate)) = upstreams.get(split.candidate.0 as usize) else { return };
    if split.fallback.lists(FallbackCause::BreakerOpen) && candidate.breaker.is_none() {
        let message = format!("`breaker-open` never happens: upstream `{}` has no `breaker`", candidate.name);
        let draft = Draft::warning("fallback-never", spot, message);
        problems.push(draft.hint(format!("write `breaker = {{}}` below `[upstreams.{}]`", candidate.name)));
    }
}

/// A breaker acts on requests of candidates. Legacy has nobody to take its place: an open breaker before it would turn
/// a slow hour into an outage.
fn check_breakers(
    placed: &[Placed],
    upstreams: &[Option<Upstream>],
    breakers: &BTreeMap<&str, (&Located<String>, Spot)>,
    legacy: Option<UpstreamIndex>,
    problems: &mut Problems,
) {
    for (place, upstream) in (0..).map(UpstreamIndex).zip(upstreams) {
        let Some(upstream) = upstream else { continue };
        let Some((name, spot)) = breakers.get(upstream.name.as_str()) else { continue };
        let is_candidate = placed.iter().any(|placed| is_candidate(placed, place));
        let is_legacy = legacy == Some(place) || placed.iter().any(|placed| placed.route.legacy == place);
        if !is_legacy {
            continue;
        }
        let draft = if is_candidate {
            let message =
                format!("requests that reach `{}` as legacy pass its breaker unasked", upstream.name);
            Draft::warning("breaker-on-legacy", *spot, message)
        } else {
            let message = format!(
                "`{}` is legacy, and nothing can take its place: a breaker acts on candidates only",
                upstream.name
            );
            Draft::error("breaker-on-legacy", *spot, message).hint("leave it out, or use `max_connections`")
        };
        problems.push(draft.related(name.spot, "this upstream"));
    }
}

fn is_candidate(placed: &Placed, upstream: UpstreamIndex) -> bool {
    matches!(&placed.route.destination, Destination::Split(split) if split.candidate == upstream)
}
