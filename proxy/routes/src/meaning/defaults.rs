//! What holds where a route or upstream does not say otherwise.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::catalog::Catalog;
use super::network;
use crate::problem::{Draft, Problems};
use crate::table::{PathOptions, StickySource, Timeouts, UpstreamIndex};
use crate::written::defaults::DefaultsTable;
use crate::written::duration::Span;
use crate::written::reader::{Field, Located};
use crate::written::sticky::StickyWord;
use crate::written::upstream::UpstreamTable;
use crate::written::word::{PathCase, TrailingSlash};

const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What identifies a client, and where it was written.
pub(super) type Chain = Field<Arc<[StickySource]>>;

/// `[defaults]`, resolved.
pub(super) struct Defaults {
    pub(super) legacy: Option<UpstreamIndex>,
    pub(super) sticky: Chain,
    pub(super) timeouts: Timeouts,
    pub(super) connect_timeout: Duration,
    pub(super) max_body: Option<u64>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) path_options: PathOptions,
    pub(super) allow_empty: bool,
    pub(super) rewrite_answers: bool,
}

impl Defaults {
    pub(super) fn of(
        table: &DefaultsTable,
        upstreams: &mut Catalog<'_, UpstreamTable>,
        problems: &mut Problems,
    ) -> Self {
        Self {
            legacy: table.legacy.good().and_then(|name| upstreams.find(name, problems)).map(UpstreamIndex),
            sticky: chain(&table.sticky, problems),
            timeouts: timeouts(table),
            connect_timeout: table.connect_timeout.value().map_or(CONNECT_TIMEOUT, |span| span.0),
            max_body: table.max_body.value().and_then(|size| size.0),
            trusted_proxies: trusted_proxies(table, problems),
            path_options: path_options(PathOptions::default(), &table.path_case, &table.trailing_slash),
            allow_empty: table.allow_empty.value().copied().unwrap_or(false),
            rewrite_answers: table.rewrite_answers.value().copied().unwrap_or(true),
        }
    }
}

/// Timeouts of requests that no route matches.
pub(super) fn timeouts(table: &DefaultsTable) -> Timeouts {
    let or_default = |field: &Field<Span>| field.value().map_or(TIMEOUT, |span| span.0);
    Timeouts { response: or_default(&table.timeout), idle: or_default(&table.idle_timeout) }
}

fn trusted_proxies(table: &DefaultsTable, problems: &mut Problems) -> Vec<IpNet> {
    let written = table.trusted_proxies.value().map(Vec::as_slice).unwrap_or_default();
    for network in written.iter().filter(|network| network.value.ends_with("/0")) {
        let message = "everybody is trusted: any client can choose the address it is taken for";
        problems.push(Draft::warning("trusts-everybody", network.spot, message));
    }
    network::parse_all(written, problems)
}

/// What is not written stays as in `fallback`.
pub(super) fn path_options(
    fallback: PathOptions,
    case: &Field<PathCase>,
    slash: &Field<TrailingSlash>,
) -> PathOptions {
    PathOptions {
        ignore_case: case.value().map_or(fallback.ignore_case, |case| *case == PathCase::Insensitive),
        ignore_trailing_slash: slash
            .value()
            .map_or(fallback.ignore_trailing_slash, |slash| *slash == TrailingSlash::Ignore),
    }
}

/// A sticky chain, in the order written.
pub(super) fn chain(field: &Field<Vec<Located<StickyWord>>>, problems: &mut Problems) -> Chain {
    let written = match field {
        Field::Absent => return Field::Absent,
        Field::Bad(spot) => return Field::Bad(*spot),
        Field::Good(written) => written,
    };
    if written.value.is_empty() {
        let message = "an empty `sticky` identifies nobody";
        let draft = Draft::error("empty-list", written.spot, message);
        problems.push(draft.hint("write it like `sticky = [\"cookie:session\", \"client-ip\"]`"));
        return Field::Bad(written.spot);
    }
    warn_useless(&written.value, problems);
    let sources = written.value.iter().map(|word| word.value.0.clone()).collect();
    Field::Good(Located { value: sources, spot: written.spot })
}

/// A client always has an address, so nothing after `client-ip` is ever looked at; nor is a repetition.
fn warn_useless(chain: &[Located<StickyWord>], problems: &mut Problems) {
    for (place, word) in chain.iter().enumerate() {
        let before = &chain[..place];
        if let Some(first) = before.iter().find(|other| other.value.0 == word.value.0) {
            let draft = Draft::warning("useless-sticky", word.spot, "this source is in the list already");
            problems.push(draft.related(first.spot, "first written here"));
        } else if before.iter().any(|other| other.value.0 == StickySource::ClientIp) {
            let message = "nothing after `client-ip` is ever looked at: every client has an address";
            problems.push(Draft::warning("useless-sticky", word.spot, message));
        }
    }
}
