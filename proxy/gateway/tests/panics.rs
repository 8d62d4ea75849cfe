//! A panic while answering, through the public door. In a process of its own: what panics here is the log, which all
//! tests of a process share.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_gateway::{Gateway, Limits, Settings};
use banyan_routes::{FileSet, RouteTable, SourceFile, Variables};
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Panics where a request is refused, which is in the middle of answering it, and in the middle of a comparison.
struct Fragile;

impl Subscriber for Fragile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let fragile = ["request refused", "a new build: comparisons begin anew"];
        assert!(!fragile.contains(&&*message.0), "as a bug in the middle of a request would");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

fn ask(address: SocketAddr, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A gateway that serves until its sender is dropped.
fn serve(routes: &str) -> (SocketAddr, prometheus::Registry, watch::Sender<bool>) {
    // The other test of this process may have been first.
    let _ = tracing::subscriber::set_global_default(Fragile);
    let main = SourceFile { name: "routes.toml".into(), text: routes.into() };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    let settings = Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_tls: Vec::new(),
        tls: None,
        h2c: true,
        proxy_protocol_from: Vec::new(),
        limits: Limits::default(),
        threads: 1,
        drain_timeout: Duration::from_secs(5),
        access_log: None,
        via: false,
    };
    let registry = prometheus::Registry::new();
    let gateway = Gateway::new(settings, Arc::new(table), 1, &registry).unwrap();
    let address = gateway.addresses()[0];
    let stop = watch::Sender::new(false);
    let (running, stopped) = (gateway.clone(), stop.subscribe());
    std::thread::spawn(move || running.run(stopped));
    until("accepting", || gateway.is_accepting());
    (address, registry, stop)
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "still not true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn has_line(registry: &prometheus::Registry, line: &str) -> bool {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().any(|found| found == line)
}

#[test]
fn a_panic_is_the_500_of_one_request() {
    let text = "version = 1\n[defaults]\nlegacy = \"legacy\"\n[upstreams.legacy]\ntargets = [\"http://127.0.0.1:9\"]\n";
    let (address, registry, _stop) = serve(text);
    let answer = ask(address, "two words");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("banyan-reason: internal-error"), "{answer}");
    // The worker goes on.
    assert!(ask(address, "a").starts_with("HTTP/1.1 502 "));
    assert!(has_line(&registry, "banyan_panics_total 1"));
}

/// Answers each request on a connection of its own, each time as another build.
fn of_many_builds() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (build, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nBanyan-Build: {build}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
            );
        }
    });
    address
}

#[test]
fn a_panic_while_comparing_costs_one_comparison() {
    let (legacy, candidate) = (of_many_builds(), of_many_builds());
    let text = format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         [upstreams.legacy]\ntargets = [\"http://{legacy}\"]\n[upstreams.next]\ntargets = [\"http://{candidate}\"]\n\
         [[route]]\nname = \"a\"\npath = \"/\"\nto = \"next\"\npercent = 0\nshadow = {{ percent = 100 }}\n"
    );
    let (address, registry, _stop) = serve(&text);
    // The first build is no new one, the second costs its comparison, before the third there is nothing to forget.
    for (matches, panics) in [(1, 0), (1, 1), (2, 1)] {
        assert!(ask(address, "a").starts_with("HTTP/1.1 200 "));
        let compared = format!(r#"banyan_compare_total{{route="a",verdict="match"}} {matches}"#);
        until("compared", || has_line(&registry, &compared));
        until("counted", || has_line(&registry, &format!("banyan_panics_total {panics}")));
    }
    until("all is given back", || has_line(&registry, "banyan_shadow_queue_bytes 0"));
    assert!(has_line(&registry, "banyan_shadow_inflight 0"));
}
