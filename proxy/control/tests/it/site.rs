//! A proxy on a folder of its own, and a client for its admin listener that sends exactly what it is told.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use banyan_control::api::{Config, History, Reload, ReloadResult};
use banyan_control::{AdminOptions, Limits, Proxy, Registry, RunError, RunOptions, Settings, Source};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// What is promised from save to effect.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// Far longer than anything takes that is only waited for.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// One route at this percent.
pub(crate) fn routes(percent: u32) -> String {
    format!("{}{}", head(), route("orders", percent))
}

/// Everything but routes.
pub(crate) fn head() -> String {
    "version = 1\n\n[defaults]\nlegacy = \"monolith\"\nsticky = [\"header:x-user-id\"]\n\n\
     [upstreams.monolith]\ntargets = [\"http://127.0.0.1:9\"]\n\n\
     [upstreams.orders]\ntargets = [\"http://127.0.0.1:9\"]\n"
        .to_owned()
}

/// A route of this name at this percent.
pub(crate) fn route(name: &str, percent: u32) -> String {
    format!(
        "\n[[route]]\nname = \"{name}\"\npath = \"/api/{name}/*\"\nmethods = [\"GET\"]\nto = \"orders\"\n\
         percent = {percent}\n"
    )
}

pub(crate) struct Site {
    pub(crate) proxy: Proxy,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: TempDir,
}

impl Site {
    /// A proxy on `routes.toml` with this text.
    pub(crate) fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), text).unwrap();
        Self::start_in(folder)
    }

    /// A proxy on `routes.toml` in a folder made ready.
    pub(crate) fn start_in(folder: TempDir) -> Self {
        let proxy = Proxy::start(options(folder.path()), &Registry::new()).unwrap();
        Self { admin: proxy.addresses().admin, proxy, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = ask(self.admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
        ask(self.admin, &head, body)
    }

    pub(crate) fn config(&self) -> Config {
        self.get("/api/v1/config")
    }

    pub(crate) fn history(&self) -> History {
        self.get("/api/v1/history")
    }

    /// Asks for a reload and returns what came of it.
    pub(crate) fn reload(&self) -> Reload {
        let answer = self.post("/api/v1/reload", "{}");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Percent of the first route, as in force.
    pub(crate) fn percent(&self) -> String {
        let routes: banyan_control::api::Routes = self.get("/api/v1/routes");
        routes.routes[0].percent.clone().unwrap_or_default()
    }

    /// Percents of all routes but `default`, as in force.
    pub(crate) fn percents(&self) -> Vec<String> {
        let routes: banyan_control::api::Routes = self.get("/api/v1/routes");
        routes.routes.into_iter().filter_map(|route| route.percent).collect()
    }

    pub(crate) fn route_names(&self) -> Vec<String> {
        let routes: banyan_control::api::Routes = self.get("/api/v1/routes");
        routes.routes.into_iter().map(|route| route.name).collect()
    }

    /// Attempts to load since the start, by result, as Prometheus sees them.
    pub(crate) fn attempts(&self, result: ReloadResult) -> u64 {
        let word = serde_json::to_string(&result).unwrap();
        self.metric(&format!("banyan_config_reloads_total{{result={word}}}"))
    }

    /// The value of one series.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let answer = ask(self.admin, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n", "");
        let line = answer.body.lines().find_map(|line| line.strip_prefix(series)).expect(series);
        line.trim().parse().unwrap()
    }

    /// Waits until this holds, and fails when it does not in time.
    pub(crate) fn until(&self, within: Duration, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < within, "not within {within:?}: {what}; config: {:#?}", self.config());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Options for `routes.toml` in this folder, with `state` beside it.
pub(crate) fn options(folder: &Path) -> RunOptions {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    RunOptions {
        source: Source::File(folder.join("routes.toml")),
        variables: banyan_control::Variables::new(),
        gateway: Settings {
            listen: vec![any],
            listen_tls: Vec::new(),
            tls: None,
            h2c: true,
            proxy_protocol_from: Vec::new(),
            limits: Limits::default(),
            threads: 1,
            // pingora's threads stay for as long. They must not end before the tests do: pingora finds the
            // runtime of a thread by a number that the next thread may get, and then starts on a dead one.
            drain_timeout: Duration::from_mins(10),
            access_log: None,
            via: false,
        },
        admin: AdminOptions {
            address: any,
            token: None,
            read_token: None,
            read_only: false,
            hosts: Vec::new(),
            certificate: None,
        },
        state_dir: Some(folder.join("state")),
        unready_before_stop: Duration::ZERO,
        sample_every: Duration::from_millis(100),
        prometheus: None,
    }
}

/// Starts a proxy that must not start.
pub(crate) fn refused(options: RunOptions) -> RunError {
    match Proxy::start(options, &Registry::new()) {
        Ok(_) => panic!("the proxy started"),
        Err(error) => error,
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends this head, with the length and the end of it added, and reads the answer.
pub(crate) fn ask(address: SocketAddr, head: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let length = body.len();
    write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    // A refusal before the end of a long body may end in a reset, after the answer.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer with a head");
    let status = head[9..12].parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
