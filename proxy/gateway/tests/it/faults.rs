//! Every way in which a candidate fails, with every kind of request: docs/faults.md is what this test sees.
//!
//! The fallback is listed for every cause, and the store is shared: whatever may go over to legacy, does. No cell may show
//! a second execution of an unsafe request, an answer after the deadlines, or memory that grows with what is sent.

mod grpc;
mod requests;
pub(crate) mod servers;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::pages;
use crate::proxy::Proxy;
use crate::upstream::Upstream;
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
    when an answer comes later than the deadlines allow (`connect_timeout` 300 ms, `timeout` 1 s, `idle_timeout` 1 s), or\n\
    when the process grows by more than 32 MiB meanwhile.\n\n\
    *gRPC* is a call over HTTP/2 on both sides; a fault of a candidate is then one in frames.\n";

/// What the process may grow by, clients and servers of this test included.
const GROWTH_KIB: u64 = 32 << 10;

/// What came of one request.
#[derive(Debug)]
struct Cell {
    got: String,
    by_candidate: u32,
    by_legacy: u32,
}

impl Cell {
    fn check(&self, path: &str, is_safe: bool, falls_back: bool) {
        assert!(is_safe || self.by_candidate + self.by_legacy <= 1, "{path}: {self:?}");
        assert!(falls_back || self.by_legacy == 0, "{path}: {self:?}");
    }

    fn shown(&self) -> String {
        format!("{} | {} | {}", self.got, self.by_candidate, self.by_legacy)
    }
}

struct Site {
    proxy: Proxy,
    legacy: Server,
    candidates: Vec<Candidates>,
    grpc_legacy: Upstream,
}

/// Those that fail in one way.
struct Candidates {
    fault: &'static Fault,
    server: Server,
    /// Without fallback, and with.
    grpc: [grpc::Candidate; 2],
}

impl Candidates {
    async fn failing(fault: &'static Fault) -> Self {
        let grpc = [grpc::Candidate::failing(fault).await, grpc::Candidate::failing(fault).await];
        Self { fault, server: Server::failing(fault).await, grpc }
    }
}

impl Site {
    async fn start() -> Self {
        let (legacy, grpc_legacy) = (Server::sound().await, grpc::sound().await);
        let mut candidates = Vec::new();
        for fault in FAULTS {
            candidates.push(Candidates::failing(fault).await);
        }
        let proxy = Proxy::start(&routes(&legacy, &grpc_legacy, &candidates));
        Self { proxy, legacy, candidates, grpc_legacy }
    }

    async fn grpc_cell(&self, at: usize, falls_back: bool) -> Cell {
        let Candidates { fault, grpc, .. } = &self.candidates[at];
        let path = format!("/grpc/{}/{falls_back}", fault.word);
        let began = Instant::now();
        let got = grpc::answer_to(self.proxy.address, &path).await;
        assert!(began.elapsed() < longest(), "{path}: {got} after {:?}", began.elapsed());
        let by_legacy = self.grpc_legacy.seen().iter().filter(|seen| seen.target.ends_with(&path)).count();
        let by_candidate = grpc[usize::from(falls_back)].executed();
        let cell = Cell { got, by_candidate, by_legacy: u32::try_from(by_legacy).unwrap() };
        cell.check(&path, false, falls_back);
        cell
    }

    async fn cell(&self, at: usize, kind: &Kind, falls_back: bool) -> Cell {
        let Candidates { fault, server: candidate, .. } = &self.candidates[at];
        let path = format!("/{}/{falls_back}/{}", fault.word, kind.word);
        let began = Instant::now();
        let got = answer_to(self.proxy.address, kind, &path).await;
        assert!(began.elapsed() < longest(), "{path}: {got} after {:?}", began.elapsed());
        let cell =
            Cell { got, by_candidate: candidate.executed(&path), by_legacy: self.legacy.executed(&path) };
        cell.check(&path, kind.is_safe, falls_back);
        cell
    }
}

fn routes(legacy: &Server, grpc_legacy: &Upstream, candidates: &[Candidates]) -> String {
    let mut text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         connect_timeout = \"300ms\"\ntimeout = \"1s\"\nidle_timeout = \"1s\"\n\
         [stores.shared]\nmode = \"shared\"\n[upstreams.legacy]\ntargets = [\"http://{}\"]\n\
         [upstreams.grpc-legacy]\ntargets = [\"{}\"]\nhttp2 = \"prior-knowledge\"\n",
        legacy.address,
        grpc_legacy.url()
    );
    for Candidates { fault: Fault { word, .. }, server, grpc } in candidates {
        writeln!(text, "[upstreams.{word}]\ntargets = [\"http://{}\"]", server.address).unwrap();
        for (falls_back, grpc) in [false, true].into_iter().zip(grpc) {
            let name = format!("{word}-{falls_back}");
            text += &route(&name, &format!("/{word}/{falls_back}/*"), word, falls_back);
            let address = grpc.address;
            writeln!(
                text,
                "[upstreams.grpc-{name}]\ntargets = [\"http://{address}\"]\nhttp2 = \"prior-knowledge\""
            )
            .unwrap();
            let name = format!("grpc-{name}");
            text += &route(&name, &format!("/grpc/{word}/{falls_back}"), &name, falls_back);
            text += "legacy = \"grpc-legacy\"\n";
        }
    }
    text
}

fn route(name: &str, path: &str, to: &str, falls_back: bool) -> String {
    let causes = r#"["connect-error", "timeout", "reset", "no-target", "breaker-open"]"#;
    let fallback = if falls_back { format!("fallback = {{ on = {causes} }}\n") } else { String::new() };
    format!(
        "[[route]]\nname = \"{name}\"\npath = \"{path}\"\nto = \"{to}\"\npercent = 100\nstore = \"shared\"\n\
         {fallback}"
    )
}

async fn page() -> String {
    let site = Site::start().await;
    let before = resident_kib();
    let mut page = HEAD.to_owned();
    for (at, Candidates { fault, .. }) in site.candidates.iter().enumerate() {
        let rows = KINDS.iter().map(async |kind| {
            let cells = join_all([false, true].map(|falls_back| site.cell(at, kind, falls_back))).await;
            row(kind.name, &cells)
        });
        let grpc = async {
            let cells = join_all([false, true].map(|falls_back| site.grpc_cell(at, falls_back))).await;
            row("gRPC", &cells)
        };
        let (rows, grpc) = tokio::join!(join_all(rows), grpc);
        write!(
            page,
            "\n## {}\n\n| request | without fallback | candidate | legacy | with fallback | candidate | legacy |\n\
             |---|---|---|---|---|---|---|\n{}{grpc}",
            fault.name,
            rows.concat()
        )
        .unwrap();
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{}: grown by {grown} KiB", fault.name);
    }
    assert_eq!(site.proxy.metric("banyan_panics_total").to_bits(), 0.0_f64.to_bits());
    page
}

fn row(name: &str, cells: &[Cell]) -> String {
    format!("| {name} | {} | {} |\n", cells[0].shown(), cells[1].shown())
}

/// The highest so far.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_doubles_a_write_or_hangs() {
    pages::check("faults.md", "faults", &page().await);
}
