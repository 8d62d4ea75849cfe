//! The whole program in front of real things: `banyan` as a process, real upstreams, real load.
//!
//! - `process`: programs that are started here and stopped by their id. `banyan`: the program under test.
//! - `application`: an upstream with streams, uploads and slow answers. `client`, `bodies`: who asks.
//!   `load`: many who ask at once.
//! - `raw`: an answer byte by byte. `pages`: the same requests with and without the proxy.
//! - `vtest`: a client and an upstream of Varnish's test tool around it. `files`: Debian's nginx behind it. `admin_site`: Django behind it.
//! - `reloads`, `stopping`, `upgrading`, `service`, `trouble`, `losing_an_upstream`, `memory`, `monitoring`, `evidence`: what must hold while it runs. `shipped`: files that come with it.
//!
//! `BANYAN_FULL=1` makes bodies, loads and numbers of connections as large as the requirement says. Other programs
//! come from `scripts/setup --test`.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up what it needs has failed")]
#![allow(clippy::print_stderr, reason = "figures are told on stderr")]

mod admin_site;
mod application;
mod banyan;
mod bodies;
mod client;
mod evidence;
mod files;
mod load;
mod losing_an_upstream;
mod memory;
mod monitoring;
mod pages;
mod process;
mod raw;
mod reloads;
mod service;
mod shadowing;
mod shipped;
mod stopping;
mod trouble;
mod upgrading;
mod vtest;

use std::time::Duration;

/// Everything that is waited for comes far sooner.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same for what is long because there is much of it.
const LONG: Duration = Duration::from_mins(15);

/// Whether the long form was asked for.
fn is_full() -> bool {
    std::env::var("BANYAN_FULL").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Polls until something holds.
async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

async fn until_within(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let limit = tokio::time::Instant::now() + patience;
    while !holds().await {
        assert!(tokio::time::Instant::now() < limit, "still not true: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
