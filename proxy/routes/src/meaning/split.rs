//! How a route divides its clients: share, key and hash name, its own or its cohort's.

use std::sync::Arc;

use super::defaults::{Chain, chain};
use super::route::Surroundings;
use super::{Told, compare, failing, shadow};
use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::table::{CohortIndex, Share, Split, StickySource, UpstreamIndex};
use crate::written::reader::{Field, Located};
use crate::written::route::RouteEntry;

/// Where parts of a split were written.
#[derive(Clone, Copy)]
pub(super) struct SplitSpots {
    /// `percent` or `cohort` in the route itself.
    pub(super) share: Spot,
    pub(super) sticky: Spot,
}

/// `None` has left a problem behind.
pub(super) fn split(
    located: &Located<RouteEntry>,
    candidate: Option<UpstreamIndex>,
    around: &mut Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Option<(Split, SplitSpots)> {
    let entry = &located.value;
    let fallback = failing::fallback(&entry.fallback, problems);
    let shadow = shadow::make(&entry.shadow, problems);
    let comparing = compare::make(&entry.compare, problems);
    let own = chain(&entry.sticky, problems);
    let basis = match (&entry.percent, &entry.cohort) {
        (Field::Absent, Field::Absent) if problems.is_misspelt(located.spot, &["percent", "cohort"]) => None,
        (Field::Absent, Field::Absent) => {
            let message = "`to` needs `percent` or `cohort`";
            let draft = Draft::error("to-without-percent", entry.to.spot()?, message);
            problems.push(draft.hint("write `percent = 0` to begin with nobody"));
            None
        }
        (percent, Field::Absent) => own_basis(entry, percent, own, around),
        (Field::Absent, cohort) => cohort_basis(entry, cohort, around, problems),
        (percent, cohort) => {
            let message = "a route has `percent` or `cohort`, not both";
            let draft = Draft::error("percent-and-cohort", cohort.spot()?, message);
            problems.push(draft.related(percent.spot()?, "the other one"));
            None
        }
    }?;
    let sticky = require_sticky(&basis.sticky, basis.share_spot, problems)?;
    let issue_cookie = issue_cookie(&entry.issue_cookie, sticky, problems).ok()?;
    let split = Split {
        candidate: candidate?,
        share: basis.share,
        cohort: basis.cohort,
        hash_name: basis.hash_name,
        sticky: Arc::clone(&sticky.value),
        issue_cookie,
        fallback: fallback.ok()?,
        shadow: shadow.ok()?,
        comparing: comparing.ok()?,
        percent_origin: around.sources.origin(basis.percent_spot),
    };
    Some((split, SplitSpots { share: basis.share_spot, sticky: sticky.spot }))
}

/// Share, key and hash name of a route: its own or its cohort's.
struct Basis {
    share: Share,
    cohort: Option<CohortIndex>,
    hash_name: Arc<str>,
    sticky: Chain,
    share_spot: Spot,
    percent_spot: Spot,
}

fn own_basis(
    entry: &RouteEntry,
    percent: &Field<Share>,
    own: Chain,
    around: &Surroundings<'_, '_>,
) -> Option<Basis> {
    let percent = percent.good()?;
    let name = entry.name.value()?;
    Some(Basis {
        share: percent.value,
        cohort: None,
        hash_name: entry.hash_as.value().unwrap_or(name).as_str().into(),
        sticky: if own.is_absent() { around.defaults.sticky.clone() } else { own },
        share_spot: percent.spot,
        percent_spot: percent.spot,
    })
}

fn cohort_basis(
    entry: &RouteEntry,
    cohort: &Field<String>,
    around: &mut Surroundings<'_, '_>,
    problems: &mut Problems,
) -> Option<Basis> {
    let name = cohort.good()?;
    for (key, code, spot) in [
        ("sticky", "cohort-and-sticky", entry.sticky.spot()),
        ("hash_as", "cohort-and-hash-as", entry.hash_as.spot()),
    ] {
        if let Some(spot) = spot {
            let draft = Draft::error(code, spot, format!("a route of a cohort has no `{key}` of its own"));
            let hint = format!("move it to `[cohorts.{}]`: all its routes hash alike", name.value);
            problems.push(draft.related(name.spot, "the cohort").hint(hint));
        }
    }
    let index = around.cohorts.find(name, problems)?;
    let made = around.shares.get(index as usize)?.as_ref()?;
    let percent = made.percent.good()?;
    Some(Basis {
        share: percent.value,
        cohort: Some(CohortIndex(index)),
        hash_name: Arc::clone(&made.hash_name),
        sticky: made.sticky.clone(),
        share_spot: name.spot,
        percent_spot: percent.spot,
    })
}

fn require_sticky<'c>(
    chain: &'c Chain,
    share: Spot,
    problems: &mut Problems,
) -> Option<&'c Located<Arc<[StickySource]>>> {
    if chain.is_absent() {
        let message = "a share needs `sticky`: nothing says what identifies a client";
        let draft = Draft::error("missing-sticky", share, message);
        problems.push(
            draft.hint("write for example `sticky = [\"cookie:session\", \"client-ip\"]` in `[defaults]`"),
        );
    }
    chain.good()
}

/// Name of the cookie to give to clients without a sticky value.
fn issue_cookie(
    field: &Field<bool>,
    sticky: &Located<Arc<[StickySource]>>,
    problems: &mut Problems,
) -> Result<Option<Arc<str>>, Told> {
    let written = match field {
        Field::Absent => return Ok(None),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) if !written.value => return Ok(None),
        Field::Good(written) => written,
    };
    if sticky.value.contains(&StickySource::ClientIp) {
        let message = "`issue_cookie` never happens: with `client-ip` every client has a sticky value";
        let draft = Draft::error("issue-cookie-unused", written.spot, message);
        problems.push(draft.related(sticky.spot, "holds `client-ip`"));
        return Err(Told);
    }
    let cookie = sticky.value.iter().find_map(|source| match source {
        StickySource::Cookie(name) => Some(Arc::from(&**name)),
        _ => None,
    });
    if cookie.is_none() {
        let message = "`issue_cookie` needs the name of a cookie in `sticky`";
        let draft = Draft::error("issue-cookie-without-cookie", written.spot, message);
        problems.push(draft.related(sticky.spot, "names no cookie"));
        return Err(Told);
    }
    Ok(cookie)
}
