//! The copy: who gets it, and that it is what the client sent.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;

use super::recorder::{Raw, Recorder, read};
use super::{EVERYTHING, is_quiet, result, routes, settled, site, verdict};
use crate::client::{Client, get};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

const TRACE: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn the_other_arm_gets_what_the_first_got_with_its_case() {
    let (legacy, candidate) = (Recorder::answering("").await, Recorder::answering("").await);
    let settings = "percent = 0\nshadow = { percent = 100, strip_headers = [\"authorization\"] }";
    let proxy = site(&legacy.upstream, &candidate.upstream, settings);
    let lines = format!(
        "X-MiXeD: One\r\nAuthorization: secret\r\nBanyan-Shadow: 9\r\nConnection: x-hop\r\nx-hop: 1\r\n{TRACE}\r\n"
    );
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("GET /a/x%7Ey?q=1&r HTTP/1.1\r\nHoSt: Shop.Test:80\r\n{lines}\r\n")).await;
    assert_eq!(client.answer().await.status, 200);
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
    let (shown, copy) = (&legacy.seen()[0], &candidate.seen()[0]);
    let ours = ["banyan-shadow", "traceparent", "authorization"];
    assert_eq!(shown.lines_without(&ours), copy.lines_without(&ours));
    assert!(copy.head.starts_with("GET /a/x%7Ey?q=1&r HTTP/1.1\r\n"), "{}", copy.head);
    assert_eq!(copy.line("x-mixed"), Some("X-MiXeD: One"));
    assert_eq!(copy.line("host"), Some("HoSt: Shop.Test:80"));
    assert_eq!(copy.line("banyan-shadow"), Some("banyan-shadow: 1"), "ours, not the client's");
    assert_eq!(shown.line("banyan-shadow"), None);
    assert_eq!((copy.line("authorization"), copy.line("x-hop")), (None, None));
    assert_eq!(shown.line("traceparent"), Some(TRACE));
    let child = copy.line("traceparent").unwrap();
    assert_eq!((&child[..49], &child[65..]), (&TRACE[..49], "-01"));
    assert_ne!(child, TRACE);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_copied_and_compared() {
    let (legacy, candidate) = (Upstream::named("12345").await, Upstream::named("12345").await);
    let proxy = site(&legacy, &candidate, EVERYTHING);
    let mut client = Client::connect(proxy.address).await;
    client.send("HEAD /a/b HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
    // The same connection goes on.
    assert_eq!(client.get("/a/b", "").await.text(), "12345");
    proxy.until("compared", || verdict(&proxy, "a", "match") == 2);
    assert_eq!(candidate.seen()[0].method, http::Method::HEAD);
    assert_eq!(candidate.connections(), 1, "the connection of copies is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_did_not_answer_gets_the_copy_each_for_its_own_path() {
    let (legacy, candidate) = (Recorder::answering("").await, Recorder::answering("").await);
    let rewrite = "rewrite = { strip_prefix = \"/a\", add_prefix = \"/v2\", host = \"upstream\" }";
    let at = |percent: u32| {
        let settings = format!("percent = {percent}\nshadow = {{ percent = 100 }}\n{rewrite}");
        routes(&legacy.upstream.url(), &candidate.upstream.url(), &[("a", &settings)])
    };
    let proxy = Proxy::start(&at(0));
    get(proxy.address, "/a/x", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
    proxy.apply(&at(100), 2);
    get(proxy.address, "/a/y", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 2);
    let heads = |seen: &Recorder| {
        let line =
            |raw: &Raw| (raw.head.lines().next().unwrap().to_owned(), raw.line("banyan-shadow").is_some());
        seen.seen().iter().map(line).collect::<Vec<_>>()
    };
    let line = |path: &str, is_copy| (format!("GET {path} HTTP/1.1"), is_copy);
    assert_eq!(heads(&legacy), [line("/a/x", false), line("/a/y", true)]);
    assert_eq!(heads(&candidate), [line("/v2/x", true), line("/v2/y", false)]);
    for (recorder, seen) in [(&legacy, legacy.seen()), (&candidate, candidate.seen())] {
        let host = format!("host: {}", recorder.upstream.address);
        assert!(seen.iter().all(|raw| raw.line("host").is_some_and(|line| line.eq_ignore_ascii_case(&host))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_came_by_fallback_are_not_compared() {
    let legacy = Upstream::named("legacy").await;
    let candidate =
        Upstream::http(|_| Response::builder().status(503).body(Full::new(Bytes::from("sick"))).unwrap())
            .await;
    let settings = "percent = 100\nfallback = { on = [\"503\"] }\nshadow = { percent = 100 }";
    let proxy = site(&legacy, &candidate, settings);
    assert_eq!(get(proxy.address, "/a/b", "").await.text(), "legacy");
    proxy.until("counted", || result(&proxy, "a", "fell-back") == 1);
    assert_eq!((legacy.seen().len(), candidate.seen().len()), (1, 1));
    assert_eq!(settled(&proxy, "a"), 1);
    assert!(proxy.gateway.comparisons().evidence("a").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_requests_is_drawn() {
    let (legacy, candidate) = (Upstream::named("same").await, Upstream::named("same").await);
    let proxy = site(&legacy, &candidate, "percent = 0\nshadow = { percent = 30.5 }");
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..1_000 {
        client.get("/a/b", "").await;
    }
    proxy.until("quiet", || is_quiet(&proxy));
    // Five standard deviations: 73 of 305.
    let drawn = settled(&proxy, "a");
    assert!((232..=378).contains(&drawn), "{drawn} of 1000 at 30.5 %");
    assert_eq!(legacy.seen().len(), 1_000);
    assert_eq!(candidate.seen().len() as u64, result(&proxy, "a", "sent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_counted_and_served() {
    let (legacy, candidate) = (Upstream::named("ok").await, Upstream::named("ok").await);
    let bodies = "percent = 0\nshadow = { percent = 100, max_body = \"8B\" }";
    let heads = "percent = 0\nshadow = { percent = 100, max_body = \"0B\" }";
    let proxy = Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", bodies), ("heads", heads)]));
    let mut client = Client::connect(proxy.address).await;
    let long = "Content-Length: 9\r\n\r\n123456789";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\n6789\r\n0\r\n\r\n";
    let short = "Content-Length: 2\r\n\r\nok";
    let grpc = "Content-Type: application/grpc+proto\r\n\r\n";
    let upgrade = "Connection: upgrade\r\nUpgrade: chat\r\n\r\n";
    for (path, rest) in [
        ("/a/b", long),
        ("/a/b", chunked),
        ("/a/b", short),
        ("/a/b", grpc),
        ("/a/b", upgrade),
        ("/heads/b", short),
        ("/heads/b", "\r\n"),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{rest}")).await;
        assert_eq!(client.answer().await.text(), "ok", "{path} {rest}");
    }
    client.send(format!("POST /a/b HTTP/1.1\r\nHost: a\r\n{short}")).await;
    assert_eq!(client.answer().await.text(), "ok");
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1 && verdict(&proxy, "heads", "match") == 1);
    assert_eq!(result(&proxy, "a", "body-too-large"), 2);
    assert_eq!(result(&proxy, "a", "stream"), 2);
    assert_eq!(settled(&proxy, "a"), 5, "what is not safe is not even counted");
    assert_eq!(result(&proxy, "heads", "body-too-large"), 1);
    assert_eq!(candidate.seen().iter().map(|seen| &*seen.body).collect::<Vec<_>>(), [&b"ok"[..], b""]);
    proxy.until("quiet", || is_quiet(&proxy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_and_an_arm_that_fails_leave_nothing_to_compare() {
    let candidate = Upstream::named("ok").await;
    let legacy = Upstream::raw(|mut stream| async move {
        let Some(raw) = read(&mut stream).await else { return };
        if raw.head.starts_with("GET /a/half") {
            let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
            let _ = stream.write_all(half).await;
        }
    })
    .await;
    let proxy = site(&legacy, &candidate, EVERYTHING);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /a/half HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.rest_of_one().await;
    proxy.until("aborted", || result(&proxy, "a", "aborted") == 1);
    assert_eq!(get(proxy.address, "/a/none", "").await.status, 502);
    proxy.until("no answer", || result(&proxy, "a", "no-answer") == 1);
    assert_eq!((settled(&proxy, "a"), candidate.seen().len()), (2, 0));
    proxy.until("quiet", || is_quiet(&proxy));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_arms_are_asked_in_http2() {
    let (legacy, candidate) =
        (Upstream::named("ok").await, Upstream::http2(|_| Response::new("ok".into())).await);
    let text = routes(&legacy.url(), &candidate.url(), &[("a", EVERYTHING)])
        .replace("[stores.shared]", "http2 = \"prior-knowledge\"\n[stores.shared]");
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..3 {
        client.get("/a/b", "").await;
    }
    proxy.until("compared", || verdict(&proxy, "a", "match") == 3);
    let seen = candidate.seen();
    assert!(
        seen.iter().all(|seen| seen.version == http::Version::HTTP_2 && seen.headers["banyan-shadow"] == "1")
    );
    assert_eq!(candidate.connections(), 1);
}
