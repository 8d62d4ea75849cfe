//! Fallback to legacy: what goes over, what does not, and that nothing is executed twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Answer, Client, get};
use crate::proxy::{Proxy, settings};
use crate::upstream::{Upstream, nobody};

/// Upstreams `legacy` and `orders`, and stores of each kind.
fn head(legacy: &str, orders: &str, more: &str) -> String {
    format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\ntimeout = \"300ms\"\n\
         [upstreams.legacy]\ntargets = [\"{legacy}\"]\n\
         [upstreams.orders]\ntargets = [\"{orders}\"]\n{more}\n\
         [stores.shared]\nmode = \"shared\"\n[stores.separate]\nmode = \"separate\"\nwriter = \"candidate\"\n"
    )
}

fn route(name: &str, more: &str) -> String {
    format!("[[route]]\nname = \"{name}\"\npath = \"/{name}\"\nto = \"orders\"\n{more}\n")
}

const EVERYTHING: &str =
    r#"fallback = { on = ["connect-error", "timeout", "reset", "no-target", "breaker-open", "503"] }"#;

/// A candidate that fails in one way, and how many requests reached it.
struct Failing {
    url: String,
    settings: &'static str,
    asked: Arc<AtomicU32>,
    _upstream: Option<Upstream>,
}

impl Failing {
    fn nobody() -> Self {
        let url = format!("http://{}", nobody());
        Self { url, settings: "", asked: Arc::default(), _upstream: None }
    }

    /// Reads each request whole, then does as the script says with the connection.
    async fn raw<A>(script: impl Fn(TcpStream) -> A + Copy + Send + Sync + 'static) -> Self
    where
        A: Future<Output = ()> + Send + 'static,
    {
        let asked = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&asked);
        let upstream = Upstream::raw(move |mut stream| {
            let counted = Arc::clone(&counted);
            async move {
                let mut request = Vec::new();
                let ends = |request: &[u8]| {
                    let text = String::from_utf8_lossy(request).into_owned();
                    if text.starts_with("POST") {
                        text.ends_with("a body")
                    } else {
                        text.ends_with("\r\n\r\n")
                    }
                };
                while !ends(&request) {
                    let mut some = [0; 1024];
                    match stream.read(&mut some).await {
                        Ok(count) if count > 0 => request.extend_from_slice(&some[..count]),
                        _ => return,
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                script(stream).await;
            }
        })
        .await;
        Self { url: upstream.url(), settings: "", asked, _upstream: Some(upstream) }
    }

    async fn silent() -> Self {
        Self::raw(|mut stream| async move {
            let mut sink = [0; 64];
            while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
        })
        .await
    }

    async fn hangs_up() -> Self {
        Self::raw(|stream| async move { drop(stream) }).await
    }

    async fn answers_503() -> Self {
        Self::raw(|mut stream| async move {
            // Announced, so that no request is sent after it that may not be sent twice.
            let answer =
                b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nsick";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    /// Answers well, but its health check does not.
    async fn unhealthy() -> Self {
        let asked = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&asked);
        let upstream = Upstream::http(move |seen| {
            let is_check = seen.target == "/healthz";
            counted.fetch_add(u32::from(!is_check), Ordering::Relaxed);
            Response::builder().status(if is_check { 500 } else { 200 }).body(Full::default()).unwrap()
        })
        .await;
        let settings = "health = { path = \"/healthz\", every = \"50ms\", unhealthy_after = 1 }";
        Self { url: upstream.url(), settings, asked, _upstream: Some(upstream) }
    }

    async fn with_an_open_breaker() -> Self {
        let settings = "breaker = { error_percent = 1, min_requests = 1, open_for = \"1m\" }";
        Self { settings, ..Self::hangs_up().await }
    }
}

async fn ask(proxy: &Proxy, method: &str, path: &str, pin: bool) -> Answer {
    let pin = if pin { "X-Pin: yes\r\n" } else { "" };
    let (length, body) = if method == "POST" { ("Content-Length: 6\r\n", "a body") } else { ("", "") };
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("{method} {path} HTTP/1.1\r\nHost: shop.test\r\n{pin}{length}\r\n{body}")).await;
    client.answer().await
}

/// One cause, and what it comes to where there is no fallback.
#[derive(Clone, Copy)]
struct Cause {
    name: &'static str,
    status: u16,
    reason: Option<&'static str>,
    /// The candidate got the request before it failed.
    is_sent: bool,
}

/// A route of one kind.
struct Kind {
    name: String,
    store: &'static str,
    is_pinned: bool,
    has_effects: bool,
}

/// Routes for clients by share and by pin, without and with side effects; with a store that is shared, separate, or not
/// named.
fn kinds() -> (String, Vec<Kind>) {
    let (mut text, mut kinds) = (String::new(), Vec::new());
    for store in ["shared", "separate", "none"] {
        for (is_pinned, has_effects) in [(false, false), (false, true), (true, false), (true, true)] {
            // A writer of record elsewhere is refused: that route sends everybody.
            let percent = if is_pinned && store != "separate" { 0 } else { 100 };
            let pin = "pin = [{ header = \"x-pin\", equals = \"yes\", to = \"candidate\" }]";
            let lines = [
                format!("percent = {percent}"),
                format!("side_effects = {has_effects}"),
                if store == "none" { String::new() } else { format!("store = \"{store}\"") },
                (if is_pinned { pin } else { "" }).to_owned(),
                EVERYTHING.to_owned(),
            ];
            let name = format!("{store}-{is_pinned}-{has_effects}");
            text += &route(&name, &lines.join("\n"));
            kinds.push(Kind { name, store, is_pinned, has_effects });
        }
    }
    (text, kinds)
}

/// One cause with every kind of request.
async fn check(candidate: Failing, cause: Cause) {
    let legacy = Upstream::named("legacy").await;
    let (routes, kinds) = kinds();
    let text = head(&legacy.url(), &candidate.url, candidate.settings) + &routes;
    let proxy = Proxy::start(&(text + &route("plain", "percent = 100")));
    match cause.name {
        "no-target" => proxy.until("unhealthy", || proxy.gateway.targets().iter().any(|it| !it.healthy)),
        "breaker-open" => assert_eq!(get(proxy.address, "/plain", "").await.status, 502),
        _ => {}
    }
    let mut fell = 0;
    for kind in &kinds {
        for method in ["GET", "POST"] {
            fell += u32::from(check_request(&proxy, &legacy, &candidate, cause, kind, method).await);
        }
    }
    assert_eq!(fell, if cause.is_sent { 6 } else { 12 });
    check_counts(&proxy, cause);
}

/// Returns whether it fell back, as it had to.
async fn check_request(
    proxy: &Proxy,
    legacy: &Upstream,
    candidate: &Failing,
    cause: Cause,
    kind: &Kind,
    method: &str,
) -> bool {
    let (before, asked) = (legacy.seen().len(), candidate.asked.load(Ordering::Relaxed));
    let path = format!("/{}", kind.name);
    let answer = ask(proxy, method, &path, kind.is_pinned).await;
    let is_safe = method == "GET" && !kind.has_effects;
    let falls = is_safe || (!cause.is_sent && kind.store == "shared");
    let what = format!("{}: {method} {path}: {}", cause.name, answer.head);
    let seen = legacy.seen();
    if falls {
        assert_eq!((answer.status, answer.header("banyan-reason")), (200, Some("fallback")), "{what}");
        assert_eq!(answer.text(), "legacy", "{what}");
        assert_eq!(seen.len(), before + 1, "{what}");
        let last = seen.last().unwrap();
        assert_eq!((last.method.as_str(), &*last.target), (method, &*path));
        assert_eq!(last.headers["host"], "shop.test");
        assert_eq!(last.body, if method == "POST" { "a body" } else { "" }, "{what}");
    } else {
        assert_eq!((answer.status, answer.header("banyan-reason")), (cause.status, cause.reason), "{what}");
        assert_eq!(seen.len(), before, "{what}");
    }
    // A safe request may be sent again on the same arm first.
    let asked = candidate.asked.load(Ordering::Relaxed) - asked;
    let sent = u32::from(cause.is_sent);
    let most = if is_safe { 2 * sent } else { sent };
    assert!((sent..=most).contains(&asked), "{what}: {asked} executions by the candidate");
    falls
}

/// Of the route with a shared store and no pin.
fn check_counts(proxy: &Proxy, cause: Cause) {
    let Cause { name, is_sent, .. } = cause;
    let outcome = if name == "503" { "discarded" } else { name };
    let labels = r#"route="shared-false-false""#;
    let fallbacks = format!(r#"banyan_fallbacks_total{{{labels},reason="{name}"}}"#);
    let failed = format!(r#"banyan_attempts_total{{{labels},arm="candidate",outcome="{outcome}"}}"#);
    let answered = format!(r#"banyan_requests_total{{{labels},arm="legacy",code_class="2xx"}}"#);
    let fell = if is_sent { 1_u32 } else { 2 };
    let is_counted = |series: &str| (proxy.metric(series) - f64::from(fell)).abs() < 0.1;
    proxy.until("counted", || is_counted(&fallbacks) && is_counted(&answered));
    assert!(proxy.metric(&failed) >= f64::from(fell), "{}", proxy.counters());
    let counts = proxy.gateway.counts("shared-false-false", banyan_routes::Arm::Candidate);
    // The POST got the candidate's own 503.
    let own = u64::from(name == "503");
    assert_eq!((counts.fallbacks, counts.requests), (u64::from(fell), own));
    assert_eq!(counts.errors, u64::from(fell) + own);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let cause = Cause { name: "connect-error", status: 502, reason: Some("connect-error"), is_sent: false };
    check(Failing::nobody(), cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_time() {
    let cause = Cause { name: "timeout", status: 504, reason: Some("timeout"), is_sent: true };
    check(Failing::silent().await, cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_ends() {
    let cause = Cause { name: "reset", status: 502, reason: Some("upstream-reset"), is_sent: true };
    check(Failing::hangs_up().await, cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_target_is_healthy() {
    let cause = Cause { name: "no-target", status: 503, reason: Some("no-target"), is_sent: false };
    check(Failing::unhealthy().await, cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_is_open() {
    let cause = Cause { name: "breaker-open", status: 503, reason: Some("breaker-open"), is_sent: false };
    check(Failing::with_an_open_breaker().await, cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_listed() {
    let cause = Cause { name: "503", status: 503, reason: None, is_sent: true };
    check(Failing::answers_503().await, cause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cause_that_is_not_listed_stands() {
    let legacy = Upstream::named("legacy").await;
    let more = "percent = 100\nfallback = { on = [\"timeout\", \"404\"] }";
    for (candidate, status) in
        [(Failing::nobody(), 502), (Failing::hangs_up().await, 502), (Failing::answers_503().await, 503)]
    {
        let proxy = Proxy::start(&(head(&legacy.url(), &candidate.url, "") + &route("a", more)));
        assert_eq!(get(proxy.address, "/a", "").await.status, status);
    }
    assert!(legacy.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_never_falls_forward() {
    let orders = Upstream::named("orders").await;
    let text = head(&format!("http://{}", nobody()), &orders.url(), "");
    let proxy = Proxy::start(&(text + &route("a", &format!("percent = 0\n{EVERYTHING}"))));
    let answer = get(proxy.address, "/a", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("connect-error")));
    assert!(orders.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_legacy_fails_too_its_failure_is_told() {
    let text = head(&format!("http://{}", nobody()), &Failing::answers_503().await.url, "");
    let proxy = Proxy::start(&(text + &route("a", &format!("percent = 100\n{EVERYTHING}"))));
    let answer = get(proxy.address, "/a", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("connect-error")));
    let requests = r#"banyan_requests_total{route="a",arm="banyan",code_class="5xx"}"#;
    proxy.until("counted", || proxy.metric(requests) > 0.0);
}

/// Takes a part of a body, then hangs up.
async fn hangs_up_while_uploading() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let mut some = vec![0; 16 * 1024];
        for _ in 0..4 {
            let _ = stream.read(&mut some).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_half_uploaded_is_never_sent_again() {
    let (legacy, orders) = (Upstream::named("legacy").await, hangs_up_while_uploading().await);
    let more = format!("percent = 100\nstore = \"shared\"\n{EVERYTHING}");
    let proxy = Proxy::start(&(head(&legacy.url(), &orders.url(), "") + &route("a", &more)));
    for method in ["POST", "PUT", "GET"] {
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("{method} /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")).await;
        let _ = client.stream.write_all(&vec![b'x'; 100_000]).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.header("banyan-reason")),
            (502, Some("upstream-reset")),
            "{method}"
        );
    }
    assert!(legacy.seen().is_empty(), "{:?}", legacy.seen());
    assert_eq!(orders.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_that_nobody_asked_for_goes_over_whole() {
    let (legacy, orders) = (Upstream::named("legacy").await, Failing::nobody());
    let more = format!("percent = 100\nstore = \"shared\"\n{EVERYTHING}");
    let proxy = Proxy::start(&(head(&legacy.url(), &orders.url, "") + &route("a", &more)));
    let body: Vec<u8> = (0..1_000_000_u32).map(|place| place.to_le_bytes()[0]).collect();
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(legacy.seen()[0].body, body);
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.head().await.status, 100);
    client.send("hi").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(legacy.seen()[1].body, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_thrown_away_does_not_cost_its_connection() {
    let legacy = Upstream::named("legacy").await;
    let orders = Upstream::http(|_| {
        let body = Full::new(Bytes::from("sick".repeat(1000)));
        Response::builder().status(503).body(body).unwrap()
    })
    .await;
    let more = format!("percent = 100\n{EVERYTHING}");
    let proxy = Proxy::start(&(head(&legacy.url(), &orders.url(), "") + &route("a", &more)));
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..50 {
        assert_eq!(client.get("/a", "").await.text(), "legacy");
    }
    assert_eq!(orders.seen().len(), 50);
    assert!(orders.connections() < 10, "{} connections", orders.connections());
    proxy.until("nothing in flight", || proxy.gateway.targets().iter().all(|target| target.inflight == 0));
}

/// Half a head of the candidate is no answer of legacy, whose idle connection may have ended meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_candidate_began_to_say_does_not_count_for_legacy() {
    let legacy = hangs_up_on_a_second_request().await;
    let orders = Failing::raw(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await;
    })
    .await;
    let more = format!("percent = 100\n{EVERYTHING}");
    let proxy = Proxy::start(&(head(&legacy.url(), &orders.url, "") + &route("a", &more)));
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/to-legacy", "").await.text(), "legacy");
    let answer = client.get("/a", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (200, Some("fallback")), "{}", answer.head);
    assert_eq!((orders.asked.load(Ordering::SeqCst), legacy.connections()), (1, 2));
}

async fn hangs_up_on_a_second_request() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let mut some = [0; 4096];
        let _ = stream.read(&mut some).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlegacy").await;
        let _ = stream.read(&mut some).await;
    })
    .await
}

/// HTTP/1.0 has no Host: what was put in for the candidate must not reach legacy.
#[tokio::test(flavor = "multi_thread")]
async fn each_side_sees_its_own_host() {
    let legacy = Upstream::named("legacy").await;
    let orders = Failing::hangs_up().await;
    let rewritten = format!("percent = 100\nrewrite = {{ host = \"upstream\" }}\n{EVERYTHING}");
    let text = head(&legacy.url(), &orders.url, "")
        + &route("a", &format!("percent = 100\n{EVERYTHING}"))
        + &route("b", &rewritten);
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /a HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(get(proxy.address, "/b", "").await.status, 200);
    for seen in legacy.seen() {
        assert_eq!(seen.headers["host"], legacy.address.to_string(), "{}", seen.target);
    }
}

/// Legacy is asked for what the client asked for, whatever the candidate is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_path_is_the_public_one_again() {
    let legacy = Upstream::http(|_| {
        Response::builder().status(302).header("location", "elsewhere").body(Full::default()).unwrap()
    })
    .await;
    let sick = Upstream::http(|_| Response::builder().status(503).body(Full::default()).unwrap()).await;
    for orders in [sick.url(), format!("http://{}", nobody())] {
        let text = format!(
            "{}[[route]]\nname = \"a\"\npath = \"/a/*\"\nto = \"orders\"\npercent = 100\n\
             rewrite = {{ strip_prefix = \"/a\", add_prefix = \"/v2\" }}\n{EVERYTHING}\n",
            head(&legacy.url(), &orders, "")
        );
        let proxy = Proxy::start(&text);
        let answer = get(proxy.address, "/a/b?c=d", "").await;
        assert_eq!((answer.status, answer.header("location")), (302, Some("elsewhere")), "{}", answer.head);
    }
    assert_eq!(sick.seen()[0].target, "/v2/b?c=d");
    assert!(legacy.seen().iter().all(|seen| seen.target == "/a/b?c=d"), "{:?}", legacy.seen());
    assert_eq!(legacy.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_falls_back_before_it_is_one() {
    let legacy = Upstream::raw(|mut stream| async move {
        let mut sink = [0; 4096];
        let _ = stream.read(&mut sink).await;
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.read(&mut sink).await;
    })
    .await;
    let text = head(&legacy.url(), &Failing::hangs_up().await.url, "");
    let proxy = Proxy::start(&(text + &route("a", &format!("percent = 100\n{EVERYTHING}"))));
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let answer = client.head().await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (101, Some("fallback")), "{}", answer.head);
    assert_eq!(client.exactly(5).await, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_who_answered_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let legacy = Upstream::named("legacy").await;
    let text = head(&legacy.url(), &Failing::nobody().url, "");
    let mut settings = settings();
    settings.access_log = Some(banyan_gateway::AccessLogTarget::File(file.clone()));
    let proxy = Proxy::start_with(&(text + &route("a", &format!("percent = 100\n{EVERYTHING}"))), settings);
    assert_eq!(get(proxy.address, "/a", "").await.status, 200);
    let written = || std::fs::read_to_string(&file).unwrap_or_default();
    proxy.until("written", || written().ends_with('\n'));
    let line = written();
    let told = [
        "\"arm\":\"legacy\"",
        "\"reason\":\"share\"",
        "\"upstream\":\"legacy\"",
        "\"banyan_reason\":\"fallback\"",
        "\"fallback\":\"connect-error\"",
        "\"retries\":1",
    ];
    assert!(told.iter().all(|part| line.contains(part)), "{line}");
}

/// Many at once, half of them unsafe: each is executed at most once in all.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_nothing_is_executed_twice() {
    let legacy = Upstream::named("legacy").await;
    let turn = AtomicU32::new(0);
    let orders = Upstream::http(move |_| {
        let status = if turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 503 } else { 200 };
        Response::builder().status(status).body(Full::default()).unwrap()
    })
    .await;
    let more = format!("percent = 100\nstore = \"shared\"\n{EVERYTHING}");
    let proxy = Proxy::start(&(head(&legacy.url(), &orders.url(), "") + &route("a", &more)));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..16 {
        let address = proxy.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            for turn in 0..50 {
                let id = number * 1000 + turn;
                let method = if turn % 2 == 0 { "GET" } else { "DELETE" };
                client.send(format!("{method} /a?{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
                let answer = tokio::time::timeout(Duration::from_secs(10), client.answer()).await.unwrap();
                assert!(matches!(answer.status, 200 | 503), "{}", answer.head);
                assert!(method != "GET" || answer.status == 200, "{}", answer.head);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let mut executed: Vec<String> = Vec::new();
    for seen in legacy.seen().into_iter().chain(orders.seen()) {
        if seen.method == Method::DELETE {
            executed.push(seen.target);
        }
    }
    let all = executed.len();
    executed.sort();
    executed.dedup();
    assert_eq!((all, executed.len()), (400, 400));
    assert!(legacy.seen().iter().all(|seen| seen.method == Method::GET));
    assert!(!legacy.seen().is_empty());
}
