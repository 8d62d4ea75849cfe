//! Every way in which a candidate fails, with every kind of request: docs/faults.md is what this test sees.
//!
//! The fallback is listed for every cause, and the store is shared: whatever may go over to legacy, does. No cell may show
//! a second execution of an unsafe request, or an answer after the deadlines.

mod requests;
mod servers;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::pages;
use crate::proxy::Proxy;
use requests::{KINDS, Kind, answer_to};
use servers::{FAULTS, Fault, Server};

fn is_full() -> bool {
    std::env::var("BANYAN_FULL").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Two attempts at the candidate and one at legacy take 3.9 s at the most; the rest is a slow machine, and the time that a
/// body takes.
fn longest() -> Duration {
    Duration::from_secs(if is_full() { 120 } else { 15 })
}

const HEAD: &str = "# When a candidate fails, case by case\n\n\
    What a client gets from a candidate that fails in each way, and how often the request was executed: *candidate* and\n\
    *legacy* count heads that arrived whole. With *fallback* every cause is listed, and both arms write one store, so that\n\
    whatever [may](failing.md) go over does. A test makes this page. It fails when an unsafe request is executed twice, or\n\
    when an answer comes later than the deadlines allow (`connect_timeout` 300 ms, `timeout` 1 s, `idle_timeout` 1 s).\n";

/// What came of one request.
#[derive(Debug)]
struct Cell {
    got: String,
    by_candidate: u32,
    by_legacy: u32,
}

struct Site {
    proxy: Proxy,
    legacy: Server,
    candidates: Vec<(&'static Fault, Server)>,
}

impl Site {
    async fn start() -> Self {
        let legacy = Server::sound().await;
        let mut candidates = Vec::new();
        for fault in FAULTS {
            candidates.push((fault, Server::failing(fault).await));
        }
        let proxy = Proxy::start(&routes(&legacy, &candidates));
        Self { proxy, legacy, candidates }
    }

    async fn cell(&self, at: usize, kind: &Kind, falls_back: bool) -> Cell {
        let (fault, candidate) = &self.candidates[at];
        let path = format!("/{}/{falls_back}/{}", fault.word, kind.word);
        let began = Instant::now();
        let got = answer_to(self.proxy.address, kind, &path).await;
        assert!(began.elapsed() < longest(), "{path}: {got} after {:?}", began.elapsed());
        let cell =
            Cell { got, by_candidate: candidate.executed(&path), by_legacy: self.legacy.executed(&path) };
        let executed = cell.by_candidate + cell.by_legacy;
        assert!(kind.is_safe || executed <= 1, "{path}: {cell:?}");
        assert!(falls_back || cell.by_legacy == 0, "{path}: {cell:?}");
        cell
    }
}

fn routes(legacy: &Server, candidates: &[(&'static Fault, Server)]) -> String {
    let mut text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         connect_timeout = \"300ms\"\ntimeout = \"1s\"\nidle_timeout = \"1s\"\n\
         [stores.shared]\nmode = \"shared\"\n[upstreams.legacy]\ntargets = [\"http://{}\"]\n",
        legacy.address
    );
    for (Fault { word, .. }, server) in candidates {
        writeln!(text, "[upstreams.{word}]\ntargets = [\"http://{}\"]", server.address).unwrap();
        for falls_back in [false, true] {
            let causes = r#"["connect-error", "timeout", "reset", "no-target", "breaker-open"]"#;
            let fallback =
                if falls_back { format!("fallback = {{ on = {causes} }}\n") } else { String::new() };
            writeln!(
                text,
                "[[route]]\nname = \"{word}-{falls_back}\"\npath = \"/{word}/{falls_back}/*\"\nto = \"{word}\"\n\
                 percent = 100\nstore = \"shared\"\n{fallback}"
            )
            .unwrap();
        }
    }
    text
}

async fn page() -> String {
    let site = Site::start().await;
    let mut page = HEAD.to_owned();
    for (at, (fault, _)) in site.candidates.iter().enumerate() {
        let rows = KINDS.iter().map(async |kind| {
            let cells = join_all([false, true].map(|falls_back| site.cell(at, kind, falls_back))).await;
            let shown = |cell: &Cell| format!("{} | {} | {}", cell.got, cell.by_candidate, cell.by_legacy);
            format!("| {} | {} | {} |\n", kind.name, shown(&cells[0]), shown(&cells[1]))
        });
        write!(
            page,
            "\n## {}\n\n| request | without fallback | candidate | legacy | with fallback | candidate | legacy |\n\
             |---|---|---|---|---|---|---|\n{}",
            fault.name,
            join_all(rows).await.concat()
        )
        .unwrap();
    }
    assert_eq!(site.proxy.metric("banyan_panics_total").to_bits(), 0.0_f64.to_bits());
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_doubles_a_write_or_hangs() {
    pages::check("faults.md", "faults", &page().await);
}
