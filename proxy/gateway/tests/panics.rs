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

/// Panics where a request is refused, which is in the middle of answering it.
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
        assert!(message.0 != "request refused", "as a bug in the middle of a request would");
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

#[test]
fn a_panic_is_the_500_of_one_request() {
    tracing::subscriber::set_global_default(Fragile).unwrap();
    let text = "version = 1\n[defaults]\nlegacy = \"legacy\"\n[upstreams.legacy]\ntargets = [\"http://127.0.0.1:9\"]\n";
    let main = SourceFile { name: "routes.toml".into(), text: text.into() };
    let (table, _) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
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
    let gateway = Gateway::new(settings, Arc::new(table.unwrap()), 1, &registry).unwrap();
    let address = gateway.addresses()[0];
    let stop = watch::Sender::new(false);
    let (running, stopped) = (gateway.clone(), stop.subscribe());
    std::thread::spawn(move || running.run(stopped));
    let limit = Instant::now() + Duration::from_secs(20);
    while !gateway.is_accepting() {
        assert!(Instant::now() < limit, "it never accepts");
        std::thread::sleep(Duration::from_millis(2));
    }

    let answer = ask(address, "two words");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("banyan-reason: internal-error"), "{answer}");
    // The worker goes on.
    assert!(ask(address, "a").starts_with("HTTP/1.1 502 "));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.lines().any(|line| line == "banyan_panics_total 1"), "{text}");
}
