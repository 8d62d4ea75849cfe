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
use servers::{FAULTS, Fault, FaultKind, Server};

fn is_full() -> bool {
    std::env::var("BANYAN_FULL").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Two attempts at the candidate and one at legacy take 6.9 s at the most; the rest is a slow machine, and the time that a
/// body takes.
fn longest() -> Duration {
    Duration::from_secs(if is_full() { 120 } else { 20 })
}

const HEAD: &str = "# When a candidate fails, case by case\n\n\
    What a client gets from a candidate that fails in each way, and how often the request was executed: *candidate* and\n\
    *legacy* count heads that arrived whole. With *fallback* every cause is listed, and both arms write one store, so that\n\
    whatever [may](failing.md) go over does. A test makes this page. It fails when an unsafe request is executed twice, or\n\
    when an answer comes later than the deadlines allow (`connect_timeout` 300 ms, `timeout` 2 s, `idle_timeout` 1 s), or\n\
    when the process grows by more than 32 MiB meanwhile. No two runs take the same time: each leaves this page with the\n\
    time to every answer in `faults.md` of cargo's folder for tests, `target/tmp`.\n\n\
    *gRPC* is a call over HTTP/2 on both sides; a fault of a candidate is then one in frames. What comes without end over\n\
    HTTP/1 is ended by its length: there `timeout` is 1 min for interim answers, so that none is ended by it.\n";

const COLUMNS: &str = "| request | without fallback | candidate | legacy | with fallback | candidate | legacy |\n\
     |---|---|---|---|---|---|---|\n";

/// What the process may grow by, clients and servers of this test included.
const GROWTH_KIB: u64 = 32 << 10;

/// What came of one request.
#[derive(Debug)]
struct Cell {
    got: String,
    by_candidate: u32,
    by_legacy: u32,
    took: Duration,
}

/// The page in docs/, and the one with times.
#[derive(Default)]
struct Pages {
    kept: String,
    timed: String,
}

impl Pages {
    fn push(&mut self, text: &str) {
        self.kept.push_str(text);
        self.timed.push_str(text);
    }

    fn row(&mut self, name: &str, cells: &[Cell]) {
        let [alone, falling] = cells else { panic!("two cells, not {}", cells.len()) };
        writeln!(self.kept, "| {name} | {} | {} |", alone.shown(false), falling.shown(false)).unwrap();
        writeln!(self.timed, "| {name} | {} | {} |", alone.shown(true), falling.shown(true)).unwrap();
    }
}

impl Cell {
    fn check(&self, path: &str, is_safe: bool, falls_back: bool) {
        assert!(is_safe || self.by_candidate + self.by_legacy <= 1, "{path}: {self:?}");
        assert!(falls_back || self.by_legacy == 0, "{path}: {self:?}");
    }

    fn shown(&self, is_timed: bool) -> String {
        let after = if is_timed { format!(", {:.2} s", self.took.as_secs_f64()) } else { String::new() };
        format!("{}{after} | {} | {}", self.got, self.by_candidate, self.by_legacy)
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
        Self { fault, server: Server::failing(fault, longest()).await, grpc }
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
        let candidate = &grpc[usize::from(falls_back)];
        let got = grpc::answer_to(self.proxy.address, &path, candidate).await;
        let took = began.elapsed();
        assert!(took < longest(), "{path}: {got} after {took:?}");
        let by_legacy = self.grpc_legacy.seen().iter().filter(|seen| seen.target.ends_with(&path)).count();
        let cell = Cell {
            got,
            by_candidate: candidate.executed(),
            by_legacy: u32::try_from(by_legacy).unwrap(),
            took,
        };
        cell.check(&path, false, falls_back);
        cell
    }

    async fn cell(&self, at: usize, kind: &Kind, falls_back: bool) -> Cell {
        let Candidates { fault, server: candidate, .. } = &self.candidates[at];
        let path = format!("/{}/{falls_back}/{}", fault.word, kind.word);
        let began = Instant::now();
        let got = answer_to(self.proxy.address, kind, &path, candidate).await;
        let took = began.elapsed();
        assert!(took < longest(), "{path}: {got} after {took:?}");
        let (by_candidate, by_legacy) = (candidate.executed(&path), self.legacy.executed(&path));
        let cell = Cell { got, by_candidate, by_legacy, took };
        cell.check(&path, kind.is_safe, falls_back);
        cell
    }
}

fn routes(legacy: &Server, grpc_legacy: &Upstream, candidates: &[Candidates]) -> String {
    let mut text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         connect_timeout = \"300ms\"\ntimeout = \"2s\"\nidle_timeout = \"1s\"\n\
         [stores.shared]\nmode = \"shared\"\n[upstreams.legacy]\ntargets = [\"http://{}\"]\n\
         [upstreams.grpc-legacy]\ntargets = [\"{}\"]\nhttp2 = \"prior-knowledge\"\n",
        legacy.address,
        grpc_legacy.url()
    );
    for Candidates { fault: Fault { word, kind, .. }, server, grpc } in candidates {
        writeln!(text, "[upstreams.{word}]\ntargets = [\"http://{}\"]", server.address).unwrap();
        for (falls_back, grpc) in [false, true].into_iter().zip(grpc) {
            let name = format!("{word}-{falls_back}");
            text += &route(&name, &format!("/{word}/{falls_back}/*"), word, falls_back);
            if *kind == FaultKind::EndlessInterim {
                text += "timeout = \"1m\"\n";
            }
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

async fn pages() -> Pages {
    let site = Site::start().await;
    let before = resident_kib();
    let mut pages = Pages::default();
    pages.push(HEAD);
    for (at, Candidates { fault, .. }) in site.candidates.iter().enumerate() {
        let rows = KINDS.iter().map(|kind| join_all([false, true].map(|it| site.cell(at, kind, it))));
        let grpc = join_all([false, true].map(|falls_back| site.grpc_cell(at, falls_back)));
        let (rows, grpc) = tokio::join!(join_all(rows), grpc);
        pages.push(&format!("\n## {}\n\n{COLUMNS}", fault.name));
        for (kind, cells) in KINDS.iter().zip(&rows) {
            pages.row(kind.name, cells);
        }
        pages.row("gRPC", &grpc);
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < GROWTH_KIB, "{}: grown by {grown} KiB", fault.name);
    }
    assert_eq!(site.proxy.metric("banyan_panics_total").to_bits(), 0.0_f64.to_bits());
    pages
}

/// The highest so far.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_doubles_a_write_or_hangs() {
    let Pages { kept, timed } = pages().await;
    std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/faults.md"), timed).unwrap();
    pages::check("faults.md", "faults", &kept);
}
