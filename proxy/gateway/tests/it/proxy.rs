//! A gateway on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use banyan_gateway::{Drained, Gateway, Limits, Settings};
use banyan_routes::{FileSet, RouteTable, SourceFile, Variables};
use tokio::sync::watch;

use crate::upstream::Upstream;

pub(crate) struct Proxy {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    registry: prometheus::Registry,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<Drained>>,
}

pub(crate) fn table(text: &str) -> Arc<RouteTable> {
    let main = SourceFile { name: "routes.toml".into(), text: text.into() };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    Arc::new(table.unwrap_or_else(|| panic!("{report}")))
}

pub(crate) fn settings() -> Settings {
    Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_tls: Vec::new(),
        tls: None,
        h2c: true,
        proxy_protocol_from: Vec::new(),
        limits: Limits::default(),
        threads: 2,
        drain_timeout: Duration::from_secs(5),
        access_log: None,
        via: false,
    }
}

impl Proxy {
    /// `text` is a routes.toml.
    pub(crate) fn start(text: &str) -> Self {
        Self::start_with(text, settings())
    }

    pub(crate) fn start_with(text: &str, settings: Settings) -> Self {
        let registry = prometheus::Registry::new();
        let gateway = Gateway::new(settings, table(text), 1, &registry).unwrap();
        let stop = watch::Sender::new(false);
        let (running, stopped) = (gateway.clone(), stop.subscribe());
        let thread = std::thread::spawn(move || running.run(stopped));
        let address = gateway.addresses()[0];
        let proxy = Self { gateway, address, registry, stop, thread: Some(thread) };
        proxy.until("accepting", || proxy.gateway.is_accepting());
        proxy
    }

    /// Everything to one upstream.
    pub(crate) fn before(upstream: &Upstream) -> Self {
        Self::start(&legacy_at(&upstream.url()))
    }

    pub(crate) fn apply(&self, text: &str, generation: u64) {
        self.gateway.apply(table(text), generation);
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn drained(mut self) -> Drained {
        self.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    /// The metrics as Prometheus would read them.
    pub(crate) fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }

    /// What is not 0, without the histograms: short enough to print.
    pub(crate) fn counters(&self) -> String {
        let text = self.metrics();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket{") && !line.ends_with(" 0"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The value of one series, its labels in any order; 0 when it is not there.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        self.value(series).map_or(0.0, |value| value.parse().unwrap())
    }

    /// The same of a series that counts.
    pub(crate) fn count(&self, series: &str) -> u64 {
        self.value(series).map_or(0, |value| value.parse().unwrap())
    }

    fn value(&self, series: &str) -> Option<String> {
        let wanted = labels_in_order(series);
        let text = self.metrics();
        let lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let mut values = lines.filter(|(found, _)| labels_in_order(found) == wanted);
        values.next().map(|(_, value)| value.to_owned())
    }

    /// Polls until something holds.
    pub(crate) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < limit, "still not true: {what}\n{}", self.counters());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn labels_in_order(series: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = series.trim_end_matches('}').split(['{', ',']).collect();
    parts.sort_unstable();
    parts
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

pub(crate) fn legacy_at(url: &str) -> String {
    format!("version = 1\n[defaults]\nlegacy = \"legacy\"\n[upstreams.legacy]\ntargets = [\"{url}\"]\n")
}
