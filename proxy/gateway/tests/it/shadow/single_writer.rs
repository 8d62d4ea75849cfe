//! The property that nothing may break: a write of a client is applied once, whatever fails on the way.
//!
//! Every kind of route, on both arms every fault at the moment that hurts most: after the write was applied. A candidate
//! applies everything but what says that it is a dry run, and that only if it honours such.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::is_quiet;
use super::recorder::{Raw, read};
use crate::client::Client;
use crate::proxy::Proxy;
use crate::upstream::{Upstream, nobody};

/// What an arm does once it has applied a write.
const FAULTS: [&str; 6] = ["none", "500", "reset", "half", "hang", "silent"];

/// By the number of the client's request.
type Applied = Arc<Mutex<HashMap<u32, u32>>>;

#[derive(Clone)]
struct Arm {
    is_legacy: bool,
    honours: bool,
    applied: Applied,
    dry_runs: Arc<Mutex<u32>>,
}

impl Arm {
    async fn start(&self) -> Upstream {
        let arm = self.clone();
        Upstream::raw(move |stream| arm.clone().serve(stream)).await
    }

    async fn serve(self, mut stream: TcpStream) {
        while let Some(raw) = read(&mut stream).await {
            // `/route/number/fault of legacy/fault of the candidate`
            let path: Vec<&str> = raw.head.split(' ').nth(1).unwrap().split('/').collect();
            let [_, _, number, of_legacy, of_candidate] = path[..] else { panic!("{}", raw.head) };
            let is_dry_run = raw.line("banyan-shadow") == Some("banyan-shadow: dry-run");
            self.note(number.parse().unwrap(), &raw, is_dry_run);
            let fault = if self.is_legacy { of_legacy } else { of_candidate };
            let is_handshake = raw.head.starts_with("OPTIONS ");
            let word = if self.honours && is_dry_run { "Banyan-Shadow: honoured\r\n" } else { "" };
            let status = if fault == "500" { "500 Oops" } else { "200 OK" };
            let whole = format!("HTTP/1.1 {status}\r\n{word}Content-Length: 4\r\n\r\ndone");
            let cut = match fault {
                _ if is_handshake => whole.len(),
                "reset" | "silent" => 0,
                "half" => whole.len() - 2,
                "hang" => whole.len() - 4,
                _ => whole.len(),
            };
            if stream.write_all(&whole.as_bytes()[..cut]).await.is_err() {
                return;
            }
            if cut < whole.len() {
                if fault == "hang" || fault == "silent" {
                    sleep(Duration::from_secs(2)).await;
                }
                let _ = stream.set_zero_linger();
                return;
            }
        }
    }

    fn note(&self, number: u32, raw: &Raw, is_dry_run: bool) {
        let is_handshake = raw.head.starts_with("OPTIONS ");
        if is_dry_run && self.honours {
            *self.dry_runs.lock().unwrap() += u32::from(!is_handshake);
        } else if !is_handshake {
            *self.applied.lock().unwrap().entry(number).or_default() += 1;
        }
    }
}

const FALLBACK: &str = r#"fallback = { on = ["connect-error", "timeout", "reset", "500"] }"#;

#[expect(clippy::struct_excessive_bools, reason = "four facts, in every combination")]
struct Kind {
    name: String,
    to_candidate: bool,
    falls_back: bool,
    dry_runs: bool,
    has_effects: bool,
}

/// Every kind of route, for a candidate that honours dry runs and for one that does not; `refused` has nobody there.
fn table(legacy: &str, [honest, rash]: [&str; 2], refused: &str) -> (String, Vec<Kind>) {
    let mut text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\nconnect_timeout = \"300ms\"\n\
         timeout = \"300ms\"\nidle_timeout = \"300ms\"\n[stores.shared]\nmode = \"shared\"\n\
         [upstreams.legacy]\ntargets = [\"{legacy}\"]\n[upstreams.honest]\ntargets = [\"{honest}\"]\n\
         [upstreams.rash]\ntargets = [\"{rash}\"]\n[upstreams.refused]\ntargets = [\"{refused}\"]\n"
    );
    let mut kinds = Vec::new();
    for (number, to) in (0..16).flat_map(|number| ["honest", "rash", "refused"].map(|to| (number, to))) {
        let [to_candidate, falls_back, dry_runs, has_effects] = [1, 2, 4, 8].map(|bit| number & bit != 0);
        let name = format!("{to}-{number}");
        let percent = if to_candidate { 100 } else { 0 };
        let fallback = if falls_back { FALLBACK } else { "" };
        let writes = if dry_runs { "dry-run" } else { "never" };
        writeln!(
            text,
            "[[route]]\nname = \"{name}\"\npath = \"/{name}/*\"\nto = \"{to}\"\npercent = {percent}\n\
             store = \"shared\"\nside_effects = {has_effects}\n{fallback}\n\
             shadow = {{ percent = 100, timeout = \"300ms\", writes = \"{writes}\" }}\n\
             compare = {{ noise_percent = 100, recheck_after = \"1ms\" }}"
        )
        .unwrap();
        kinds.push(Kind { name, to_candidate, falls_back, dry_runs, has_effects });
    }
    (text, kinds)
}

/// Each write with each fault that its route can meet.
fn requests(routes: &[Kind]) -> Vec<String> {
    let mut requests = Vec::new();
    for Kind { name, to_candidate, falls_back, dry_runs, has_effects } in routes {
        let every = |may_meet: bool| if may_meet { &FAULTS[..] } else { &FAULTS[..1] };
        for of_legacy in every(!to_candidate || *falls_back) {
            for of_candidate in every(*to_candidate || *dry_runs) {
                let methods = if *has_effects { &["POST", "GET"][..] } else { &["POST"] };
                for method in methods {
                    let rest = if *method == "POST" { "Content-Length: 2\r\n\r\nhi" } else { "\r\n" };
                    requests.push(format!(
                        "{method} /{name}/{}/{of_legacy}/{of_candidate} HTTP/1.1\r\nHost: a\r\n\
                         Connection: close\r\n{rest}",
                        requests.len()
                    ));
                }
            }
        }
    }
    requests
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_applied_at_most_once() {
    let applied = Applied::default();
    let dry_runs = Arc::<Mutex<u32>>::default();
    let arm = |is_legacy, honours| Arm {
        is_legacy,
        honours,
        applied: Arc::clone(&applied),
        dry_runs: Arc::clone(&dry_runs),
    };
    let (legacy, honest, rash) =
        (arm(true, false).start().await, arm(false, true).start().await, arm(false, false).start().await);
    let refused = format!("http://{}", nobody());
    let (text, routes) = table(&legacy.url(), [&honest.url(), &rash.url()], &refused);
    let proxy = Proxy::start(&text);
    let requests = requests(&routes);
    for some in requests.chunks(96) {
        let asked = some.iter().map(async |request| {
            let mut client = Client::connect(proxy.address).await;
            client.send(request).await;
            client.rest_of_one().await;
        });
        join_all(asked).await;
    }
    proxy.until("quiet", || is_quiet(&proxy));
    let applied = applied.lock().unwrap();
    let twice: Vec<_> = applied.iter().filter(|(_, count)| **count > 1).collect();
    let told = |number: &u32| requests[*number as usize].lines().next().unwrap().to_owned();
    let twice: Vec<_> = twice.iter().map(|(number, count)| (told(number), **count)).collect();
    assert!(twice.is_empty(), "{twice:#?}\n{}", proxy.counters());
    assert!(applied.len() > requests.len() / 4, "{} of {} are writes", applied.len(), requests.len());
    let dry_runs = *dry_runs.lock().unwrap();
    eprintln!("{} requests, {} writes applied once, {dry_runs} dry runs", requests.len(), applied.len());
    assert!(dry_runs > 10, "{dry_runs}\n{}", proxy.counters());
}
