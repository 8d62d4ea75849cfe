//! `shadow`: its values, and the rules across keys of a route that shadows.

use std::time::Duration;

use http::HeaderName;

use super::list::{self, Entry};
use super::method::any_safe;
use super::route::Placed;
use super::safety::writes;
use super::{Told, headers};
use crate::problem::{Draft, Problems};
use crate::shadowing::{Shadow, ShadowWrites};
use crate::source::Spot;
use crate::table::Destination;
use crate::written::duration::Span;
use crate::written::reader::{Field, Located};
use crate::written::shadow::{HeaderWord, ShadowTable};
use crate::written::size::Bytes;
use crate::written::word::ShadowWritesWord;

/// Bodies of copies are held in memory.
const MAX_BODY: u64 = 256 * 1024;
const MAX_BODY_MOST: u64 = 8 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
/// What waits is held in memory, too.
const WAIT_MOST: Duration = Duration::from_mins(5);

/// Where parts of a route that shadows were written.
#[derive(Clone, Copy)]
pub(super) struct ShadowSpots {
    pub(super) shadow: Option<Spot>,
    pub(super) writes: Option<Spot>,
    pub(super) compare: Option<Spot>,
}

/// Absent means no copies.
pub(super) fn make(field: &Field<ShadowTable>, problems: &mut Problems) -> Result<Option<Shadow>, Told> {
    let table = match field {
        Field::Absent => return Ok(None),
        Field::Bad(_) => return Err(Told),
        Field::Good(table) => &table.value,
    };
    let max_body = max_body(&table.max_body, problems);
    let timeout = wait(&table.timeout, "timeout", TIMEOUT, problems);
    let strip_headers = list::make("strip_headers", &table.strip_headers, problems, strip);
    let writes = match table.writes.value() {
        Some(ShadowWritesWord::DryRun) => ShadowWrites::DryRun,
        Some(ShadowWritesWord::Never) | None => ShadowWrites::Never,
    };
    let mut strip_headers = strip_headers?.values;
    strip_headers.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    strip_headers.dedup();
    Ok(Some(Shadow {
        share: *table.percent.value().ok_or(Told)?,
        max_body: max_body?,
        timeout: timeout?,
        strip_headers: strip_headers.into(),
        writes,
    }))
}

fn max_body(field: &Field<Bytes>, problems: &mut Problems) -> Result<u64, Told> {
    match field {
        Field::Absent => Ok(MAX_BODY),
        Field::Bad(_) => Err(Told),
        Field::Good(Located { value: Bytes(bytes), .. }) if *bytes <= MAX_BODY_MOST => Ok(*bytes),
        Field::Good(Located { value: Bytes(bytes), spot }) => {
            let message = format!("`max_body` of `shadow` must be at most `8MiB`, found {bytes} bytes");
            let draft = Draft::error("out-of-range", *spot, message);
            problems.push(draft.hint("copies are held in memory; what is longer is counted as incomparable"));
            Err(Told)
        }
    }
}

/// A time that something is held in memory for.
pub(super) fn wait(
    field: &Field<Span>,
    key: &str,
    default: Duration,
    problems: &mut Problems,
) -> Result<Duration, Told> {
    match field {
        Field::Absent => Ok(default),
        Field::Bad(_) => Err(Told),
        Field::Good(Located { value: Span(time), .. }) if *time <= WAIT_MOST => Ok(*time),
        Field::Good(Located { value: Span(time), spot }) => {
            let message = format!("`{key}` must be at most `5m`, found `{}ms`", time.as_millis());
            problems.push(Draft::error("out-of-range", *spot, message));
            Err(Told)
        }
    }
}

/// What a request cannot go without, or says of its connection only, which the copy has its own of.
fn strip(word: &Located<HeaderWord>, problems: &mut Problems) -> Option<Entry<HeaderName>> {
    let name = &word.value.0;
    let hint = match name.as_str() {
        "host" => "a request has a Host; `rewrite = { host = \"upstream\" }` changes it for both arms",
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" => {
            "leave it out: it is about one connection, and no copy carries the client's"
        }
        "content-length" | "transfer-encoding" => "leave it out: a copy is framed anew",
        ours if ours.starts_with("banyan-") => "leave it out: it is Banyan's own, and tells what a copy is",
        _ => return Some(headers::entry(name)),
    };
    let message = format!("`{name}` cannot be stripped from a copy");
    problems.push(Draft::error("bad-strip-header", word.spot, message).hint(hint));
    None
}

/// Copies and comparisons that never happen.
pub(super) fn check(placed: &[Placed], problems: &mut Problems) {
    for Placed { route, spots } in placed {
        let (Destination::Split(split), spots) = (&route.destination, spots.shadow) else { continue };
        let Some(shadow) = &split.shadow else {
            if let Some(spot) = spots.compare {
                let message = "`compare` never happens: the route has no `shadow`";
                let draft = Draft::warning("compare-never", spot, message);
                problems.push(draft.hint("write `shadow = { percent = 1 }` to begin with"));
            }
            continue;
        };
        let only_unsafe = route.side_effects || !any_safe(&route.methods);
        if let (ShadowWrites::Never, Some(spot), true) = (shadow.writes, spots.shadow, only_unsafe) {
            let why = if route.side_effects { "has `side_effects`" } else { "takes unsafe methods only" };
            let message = format!("nothing is ever copied: the route {why}");
            let draft = Draft::warning("shadow-never", spot, message);
            problems
                .push(draft.hint("a service that can answer without writing may get `writes = \"dry-run\"`"));
        }
        if let (ShadowWrites::DryRun, Some(spot), false) = (shadow.writes, spots.writes, writes(route)) {
            let message = "`dry-run` never happens: the route takes safe methods only";
            problems.push(Draft::warning("dry-run-never", spot, message).hint("leave `writes` out"));
        }
    }
}
