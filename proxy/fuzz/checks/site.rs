//! A gateway between a client and its upstreams, all on loopback. Client and upstreams share one thread, so that what has
//! arrived is known without waiting for luck.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use banyan_gateway::{AccessLogTarget, Gateway, Limits, Settings};
use banyan_routes::{FileSet, RouteTable, SourceFile, Variables};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::parsers::{Parsed, strict};

pub(super) const END: &[u8] = b"GET /end HTTP/1.1\r\nHost: end.test\r\n\r\n";
/// In the answer to it, and in no other.
const END_SIGN: &[u8] = b"x-end: 1\r\n";

/// After so long without a byte the gateway waits for more, and is told that nothing comes.
const QUIET: Duration = Duration::from_millis(10);

/// Longest wait for anything: beyond it, something hangs.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Site {
    runtime: Runtime,
    record: Record,
    fields: AnswerFields,
    plain: Proxy,
    trusting: Proxy,
    balanced: Proxy,
}

/// What the gateway takes its peer for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    /// A client.
    Plain,
    /// A proxy whose forwarding fields are believed.
    Trusting,
    /// A load balancer that sends a PROXY header.
    Balanced,
}

struct Proxy {
    gateway: Gateway,
    registry: prometheus::Registry,
    _stop: watch::Sender<bool>,
}

/// What reached an upstream: a whole request, or one that broke off.
pub(super) struct Seen {
    pub(super) is_candidate: bool,
    pub(super) bytes: Vec<u8>,
}

/// Requests in the order in which they were whole.
type Record = Arc<Mutex<Vec<Seen>>>;

/// Lines in the head of every answer but the last, each with its end.
type AnswerFields = Arc<Mutex<Vec<u8>>>;

/// What came of the bytes of one client.
pub(super) struct Outcome {
    pub(super) answers: Vec<u8>,
    pub(super) record: Vec<Seen>,
    /// The client went away before the gateway had done with it.
    pub(super) is_cut: bool,
}

impl Site {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives a runtime");
        let record = Record::default();
        let fields = AnswerFields::default();
        let legacy = runtime.block_on(upstream(false, &record, &fields));
        let candidate = runtime.block_on(upstream(true, &record, &fields));
        let proxy = |entrance| Proxy::start(entrance, legacy, candidate);
        let (plain, trusting) = (proxy(Entrance::Plain), proxy(Entrance::Trusting));
        let balanced = proxy(Entrance::Balanced);
        Self { runtime, record, fields, plain, trusting, balanced }
    }

    /// The same with these lines in the answers.
    pub(super) fn exchange_with(&self, entrance: Entrance, sent: &[u8], fields: Vec<u8>) -> Outcome {
        *locked(&self.fields) = fields;
        let outcome = self.exchange(entrance, sent, true);
        locked(&self.fields).clear();
        outcome
    }

    /// Sends the bytes, and `GET /end` behind them, on a connection of their own.
    pub(super) fn exchange(&self, entrance: Entrance, sent: &[u8], ends: bool) -> Outcome {
        let proxy = match entrance {
            Entrance::Plain => &self.plain,
            Entrance::Trusting => &self.trusting,
            Entrance::Balanced => &self.balanced,
        };
        let end = if ends { END } else { b"" };
        self.taken();
        let exchange = self.talk(proxy, [sent, end].concat());
        let exchange = async { timeout(PATIENCE * 2, exchange).await.expect("it ends") };
        let (answers, is_cut) = self.runtime.block_on(exchange);
        Outcome { answers, record: self.taken(), is_cut }
    }

    fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut *locked(&self.record))
    }

    async fn talk(&self, proxy: &Proxy, bytes: Vec<u8>) -> (Vec<u8>, bool) {
        let stream = TcpStream::connect(proxy.gateway.addresses()[0]).await;
        let mut stream = stream.expect("the gateway takes connections");
        let (mut answers, mut is_cut, mut wait) = (Vec::new(), false, QUIET);
        if stream.write_all(&bytes).await.is_err() {
            is_cut = true;
        }
        loop {
            match timeout(wait, stream.read_buf(&mut answers)).await {
                Ok(Ok(0)) => break,
                Ok(Ok(_)) if is_end(&answers) => break,
                Ok(Ok(_)) => {}
                // A reset may have overtaken answers.
                Ok(Err(_)) => {
                    is_cut = true;
                    break;
                }
                Err(_) => {
                    assert!(!is_cut, "the connection hangs");
                    (is_cut, wait) = (true, PATIENCE);
                    let _ = stream.shutdown().await;
                }
            }
        }
        if is_cut {
            drop(stream);
            proxy.settle().await;
        }
        (answers, is_cut)
    }

    /// Whether a request was answered with 500 because of a bug.
    pub(super) fn has_panicked(&self) -> bool {
        [&self.plain, &self.trusting, &self.balanced].iter().any(|proxy| {
            let families = proxy.registry.gather();
            let family = families.iter().find(|family| family.name() == "banyan_panics_total");
            let family = family.expect("panics are counted");
            family.get_metric().iter().any(|metric| metric.get_counter().get_value() > 0.0)
        })
    }
}

fn is_end(answers: &[u8]) -> bool {
    let sign = answers.windows(END_SIGN.len()).any(|window| window == END_SIGN);
    sign && answers.ends_with(b"\r\n\r\n")
}

impl Proxy {
    fn start(entrance: Entrance, legacy: SocketAddr, candidate: SocketAddr) -> Self {
        let (is_trusting, is_balanced) = (entrance == Entrance::Trusting, entrance == Entrance::Balanced);
        let loopback = "127.0.0.0/8";
        let trust = if is_trusting { format!("trusted_proxies = [\"{loopback}\"]") } else { String::new() };
        let text = routes(legacy, candidate, &trust);
        let main = SourceFile { name: "routes.toml".to_owned(), text };
        let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
        let table = table.unwrap_or_else(|| panic!("{report}"));
        let settings = Settings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
            listen_tls: Vec::new(),
            tls: None,
            h2c: true,
            proxy_protocol_from: is_balanced
                .then(|| loopback.parse().expect("a network"))
                .into_iter()
                .collect(),
            limits: Limits::default(),
            threads: 1,
            drain_timeout: Duration::from_secs(5),
            // Its lines are made, too.
            access_log: Some(AccessLogTarget::File(PathBuf::from("/dev/null"))),
            via: is_trusting,
        };
        let registry = prometheus::Registry::new();
        let gateway = Gateway::new(settings, Arc::new(table), 1, &registry).expect("loopback has free ports");
        let stop = watch::Sender::new(false);
        let (running, stopped) = (gateway.clone(), stop.subscribe());
        std::thread::spawn(move || running.run(stopped));
        Self { gateway, registry, _stop: stop }
    }

    /// Until no request is under way, and what was written to the upstreams has been read.
    async fn settle(&self) {
        let limit = Instant::now() + PATIENCE;
        while self.gateway.targets().iter().any(|target| target.inflight > 0) {
            assert!(Instant::now() < limit, "a request hangs");
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// `/a/*` lies at `/v/*` of the candidate; `/b/*` at its own place, for every other client.
fn routes(legacy: SocketAddr, candidate: SocketAddr, options: &str) -> String {
    format!(
        r#"
version = 1
[defaults]
legacy = "l"
sticky = ["client-ip"]
{options}
[upstreams]
l.targets = ["http://{legacy}"]
c.targets = ["http://{candidate}"]
[stores.s]
mode = "shared"
[[route]]
name = "a"
path = "/a/*"
to = "c"
percent = 100
store = "s"
rewrite = {{ strip_prefix = "/a", add_prefix = "/v" }}
[[route]]
name = "b"
path = "/b/*"
to = "c"
percent = 100
store = "s"
fallback = {{ on = ["connect-error", "timeout"] }}
[[route]]
name = "gone"
path = "/gone/*"
retire = {{ link = "https://a.test/new" }}
"#
    )
}

/// Listens on the runtime of the client.
async fn upstream(is_candidate: bool, record: &Record, fields: &AnswerFields) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("it is bound");
    let (record, fields) = (Arc::clone(record), Arc::clone(fields));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, is_candidate, Arc::clone(&record), Arc::clone(&fields)));
        }
    });
    address
}

/// Answers each request with its number in the record, and ends at what is none.
async fn answer_all(mut stream: TcpStream, is_candidate: bool, record: Record, fields: AnswerFields) {
    let mut unread = Vec::new();
    loop {
        match strict(&unread) {
            Parsed::Whole(request) => {
                let rest = unread.split_off(request.length);
                let number = push(&record, is_candidate, std::mem::replace(&mut unread, rest));
                let body = if request.method == "HEAD" { "" } else { request.target.as_str() };
                let end = if request.target == "/end" { "x-end: 1\r\n" } else { "" };
                let body = if end.is_empty() { body } else { "" };
                let length = if end.is_empty() { request.target.len() } else { 0 };
                let more = if end.is_empty() { locked(&fields).clone() } else { Vec::new() };
                let head =
                    format!("HTTP/1.1 200 OK\r\n{end}x-number: {number}\r\ncontent-length: {length}\r\n");
                let answer = [head.as_bytes(), &more, b"\r\n", body.as_bytes()].concat();
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Parsed::Unfinished if matches!(stream.read_buf(&mut unread).await, Ok(1..)) => {}
            Parsed::Unfinished if unread.is_empty() => return,
            Parsed::Unfinished | Parsed::Malformed(_) => {
                push(&record, is_candidate, unread);
                return;
            }
        }
    }
}

fn push(record: &Record, is_candidate: bool, bytes: Vec<u8>) -> usize {
    let mut record = locked(record);
    record.push(Seen { is_candidate, bytes });
    record.len() - 1
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
