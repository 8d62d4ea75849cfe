//! Shadowing: what the other arm is sent, what comparing says, and that no client can tell.
//!
//! - `recorder`: an upstream that keeps what it was sent byte by byte.
//! - `copies`: the copy. `verdicts`: the comparison. `dry_runs`: copies of what changes something.
//! - `isolation`: what a candidate does to clients: nothing. `single_writer`: no write is applied twice.

mod copies;
mod dry_runs;
mod isolation;
mod recorder;
mod single_writer;
mod verdicts;

use std::fmt::Write as _;

use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// Legacy, a candidate, and routes between them.
pub(crate) fn routes(legacy: &str, candidate: &str, routes: &[(&str, &str)]) -> String {
    let mut text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         [upstreams.legacy]\ntargets = [\"{legacy}\"]\n[upstreams.orders]\ntargets = [\"{candidate}\"]\n\
         [stores.shared]\nmode = \"shared\"\n"
    );
    for (name, settings) in routes {
        writeln!(
            text,
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/*\"\nto = \"orders\"\nstore = \"shared\"\n{settings}"
        )
        .unwrap();
    }
    text
}

pub(crate) const EVERYTHING: &str = "percent = 0\nshadow = { percent = 100 }";

/// One route, `a`.
fn site(legacy: &Upstream, candidate: &Upstream, settings: &str) -> Proxy {
    Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", settings)]))
}

fn result(proxy: &Proxy, route: &str, result: &str) -> u64 {
    proxy.count(&format!("banyan_shadow_requests_total{{route=\"{route}\",result=\"{result}\"}}"))
}

fn verdict(proxy: &Proxy, route: &str, verdict: &str) -> u64 {
    proxy.count(&format!("banyan_compare_total{{route=\"{route}\",verdict=\"{verdict}\"}}"))
}

fn incomparable(proxy: &Proxy, route: &str, reason: &str) -> u64 {
    proxy.count(&format!("banyan_compare_incomparable_total{{route=\"{route}\",reason=\"{reason}\"}}"))
}

const RESULTS: [&str; 12] = [
    "sent",
    "queue-full",
    "memory",
    "in-flight",
    "body-too-large",
    "unavailable",
    "stream",
    "aborted",
    "no-answer",
    "fell-back",
    "not-honoured",
    "stopping",
];

/// Copies sent or dropped.
fn settled(proxy: &Proxy, route: &str) -> u64 {
    RESULTS.iter().map(|word| result(proxy, route, word)).sum()
}

/// Nothing is held and nothing is on its way.
fn is_quiet(proxy: &Proxy) -> bool {
    proxy.count("banyan_shadow_queue_bytes") == 0 && proxy.count("banyan_shadow_inflight") == 0
}
