//! Copies of what changes something: only as a dry run, only to a candidate that has said it honours that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Method, Response};
use http_body_util::Full;

use super::recorder::Recorder;
use super::{is_quiet, result, routes, settled, site, verdict};
use crate::client::Client;
use crate::proxy::Proxy;
use crate::upstream::{Seen, Upstream};

const DRY_RUN: &str = "percent = 0\nshadow = { percent = 100, writes = \"dry-run\" }";

async fn post(client: &mut Client, path: &str, rest: &str) {
    client.send(format!("POST {path} HTTP/1.1\r\nHost: shop.test\r\n{rest}")).await;
    assert_eq!(client.answer().await.status, 200);
}

const PLAIN: &str = "Content-Length: 2\r\n\r\nhi";

/// Two bytes, like a recorder, with or without the word.
fn ok(honours: bool) -> Response<Full<Bytes>> {
    let answer = Response::builder();
    let answer = if honours { answer.header("banyan-shadow", "honoured") } else { answer };
    answer.body(Full::new(Bytes::from("ok"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_arrive_byte_by_byte_as_they_were_framed() {
    let legacy = Recorder::answering("").await;
    let candidate = Recorder::answering("Banyan-Shadow: honoured\r\n").await;
    let proxy = site(&legacy.upstream, &candidate.upstream, DRY_RUN);
    let mut client = Client::connect(proxy.address).await;
    let gzip = "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\u{1f}\u{8}\u{1}x";
    let multipart = "Content-Type: multipart/form-data; boundary=\"-B\"\r\nContent-Length: 61\r\n\r\n\
        ---B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n---B--\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let expecting = "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi";
    for (path, rest) in [("/a/gzip", gzip), ("/a/form", multipart), ("/a/chunked", chunked)] {
        post(&mut client, path, rest).await;
    }
    client.send(format!("POST /a/expecting HTTP/1.1\r\nHost: shop.test\r\n{expecting}")).await;
    let _interim = client.head().await;
    assert_eq!(client.answer().await.status, 200);
    proxy.until("compared", || verdict(&proxy, "a", "match") == 4);
    let seen = candidate.seen();
    let (asked, copies): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|raw| raw.head.starts_with("OPTIONS /a/"));
    assert!(!asked.is_empty() && asked.len() <= 4, "asked once for each connection: {}", asked.len());
    for raw in &asked {
        assert_eq!(raw.line("banyan-shadow"), Some("banyan-shadow: dry-run"));
        assert!(raw.body.is_empty() && raw.line("content-type").is_none(), "{}", raw.head);
    }
    assert_eq!(copies.len(), 4);
    let of = |raws: &[super::recorder::Raw], path: &str| {
        raws.iter().find(|raw| raw.head.starts_with(&format!("POST {path} "))).unwrap().clone()
    };
    let shown = legacy.seen();
    for path in ["/a/gzip", "/a/form", "/a/chunked", "/a/expecting"] {
        let (first, copy) = (of(&shown, path), of(&copies, path));
        let ours = ["banyan-shadow", "traceparent", "expect"];
        assert_eq!(first.lines_without(&ours), copy.lines_without(&ours));
        assert_eq!(copy.line("banyan-shadow"), Some("banyan-shadow: dry-run"));
        assert_eq!(copy.line("expect"), None);
        if path == "/a/chunked" {
            assert_eq!(String::from_utf8_lossy(&copy.body), "5\r\nabcde\r\n0\r\n\r\n");
        } else {
            assert_eq!(copy.body, first.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_agree_is_sent_nothing() {
    let (legacy, candidate) = (Upstream::named("ok").await, Upstream::named("ok").await);
    let never = "percent = 0\nshadow = { percent = 100 }";
    let effects = "percent = 0\nside_effects = true\nshadow = { percent = 100 }";
    let proxy = Proxy::start(&routes(
        &legacy.url(),
        &candidate.url(),
        &[("a", DRY_RUN), ("never", never), ("effects", effects)],
    ));
    let mut client = Client::connect(proxy.address).await;
    for (path, refused) in [("/a/b", 1), ("/a/b", 2), ("/never/b", 2)] {
        post(&mut client, path, PLAIN).await;
        proxy.until("refused", || result(&proxy, "a", "not-honoured") == refused);
    }
    client.get("/effects/b", "").await;
    proxy.until("quiet", || is_quiet(&proxy));
    let asked: Vec<Method> = candidate.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(asked, [Method::OPTIONS], "and not asked again at once");
    assert_eq!(settled(&proxy, "never") + settled(&proxy, "effects"), 0);
}

/// Whoever keeps it must not ask it again for its method alone.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_that_a_get_with_side_effects_is_a_write() {
    let legacy = Upstream::named("ok").await;
    let candidate = Upstream::http(|_| ok(true)).await;
    for (more, is_safe) in [("", true), ("\nside_effects = true", false)] {
        let proxy = site(&legacy, &candidate, &format!("{DRY_RUN}{more}"));
        let follower = proxy.gateway.comparisons().follow(16);
        Client::connect(proxy.address).await.get("/a/b", "").await;
        proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
        assert_eq!(follower.recv().unwrap().request.is_safe, is_safe);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_is_never_sent_one() {
    let legacy = Upstream::http(|_| ok(true)).await;
    let candidate = Upstream::http(|_| ok(true)).await;
    let settings = "percent = 100\nshadow = { percent = 100, writes = \"dry-run\" }";
    let proxy = site(&legacy, &candidate, settings);
    let mut client = Client::connect(proxy.address).await;
    post(&mut client, "/a/b", PLAIN).await;
    client.get("/a/b", "").await;
    proxy.until("the safe one", || verdict(&proxy, "a", "match") == 1);
    assert_eq!(legacy.seen().iter().map(|seen| &seen.method).collect::<Vec<_>>(), [&Method::GET]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_its_word_is_sent_no_more() {
    let legacy = Upstream::named("ok").await;
    let candidate = Upstream::http(|seen: &Seen| ok(seen.method == Method::OPTIONS)).await;
    let proxy = site(&legacy, &candidate, DRY_RUN);
    let mut client = Client::connect(proxy.address).await;
    post(&mut client, "/a/b", PLAIN).await;
    proxy.until("ended", || proxy.count("banyan_shadow_dry_runs_ended_total{route=\"a\"}") == 1);
    for _ in 0..3 {
        post(&mut client, "/a/b", PLAIN).await;
    }
    proxy.until("refused", || result(&proxy, "a", "not-honoured") == 3);
    let sent = candidate.seen().iter().filter(|seen| seen.method == Method::POST).count();
    assert_eq!(sent, 1);
}

/// A build behind another connection may be another build.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_asked_anew() {
    let honours = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&honours);
    let legacy = Upstream::named("ok").await;
    let candidate = Upstream::http(move |_| ok(said.load(Ordering::Relaxed))).await;
    let address = candidate.address;
    let proxy = site(&legacy, &candidate, DRY_RUN);
    let mut client = Client::connect(proxy.address).await;
    for expected in 1..=2 {
        post(&mut client, "/a/b", PLAIN).await;
        proxy.until("compared", || verdict(&proxy, "a", "match") == expected);
    }
    let methods: Vec<Method> = candidate.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, [Method::OPTIONS, Method::POST, Method::POST]);
    // Another build starts at the same address, and does not know the word.
    honours.store(false, Ordering::Relaxed);
    drop(candidate);
    let next = loop {
        if let Ok(listener) = std::net::TcpListener::bind(address) {
            drop(listener);
            break Upstream::http_at(address, |_| ok(false)).await;
        }
        tokio::task::yield_now().await;
    };
    while next.seen().is_empty() {
        post(&mut client, "/a/b", PLAIN).await;
    }
    proxy.until("refused", || result(&proxy, "a", "not-honoured") >= 1 && is_quiet(&proxy));
    assert!(next.seen().iter().all(|seen| seen.method == Method::OPTIONS), "{:?}", next.seen());
}

/// What agrees may stand before a part of the candidate only.
#[tokio::test(flavor = "multi_thread")]
async fn the_word_for_one_route_is_none_for_another() {
    let legacy = Upstream::named("ok").await;
    let candidate = Upstream::http(|seen: &Seen| ok(seen.target.starts_with("/a/"))).await;
    let proxy =
        Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", DRY_RUN), ("payments", DRY_RUN)]));
    let mut client = Client::connect(proxy.address).await;
    post(&mut client, "/a/b", PLAIN).await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1 && is_quiet(&proxy));
    post(&mut client, "/payments/b", PLAIN).await;
    proxy.until("refused", || settled(&proxy, "payments") == 1 && is_quiet(&proxy));
    assert_eq!(result(&proxy, "payments", "not-honoured"), 1);
    post(&mut client, "/a/b", PLAIN).await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 2);
    let seen = candidate.seen();
    let is_at = |at: &str, method: &Method| seen.iter().any(|one| one.target == at && one.method == *method);
    assert!(is_at("/payments/b", &Method::OPTIONS) && !is_at("/payments/b", &Method::POST));
}

/// A `GET` that says it is a `DELETE` is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_method_override_is_not_safe() {
    let legacy = Upstream::named("ok").await;
    let candidate = Upstream::http(|_| ok(true)).await;
    let safe = "percent = 0\nshadow = { percent = 100 }";
    let proxy = Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", DRY_RUN), ("safe", safe)]));
    let mut client = Client::connect(proxy.address).await;
    let names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];
    for (compared, name) in (1..).zip(names) {
        let line = format!("{name}: DELETE\r\n");
        client.get("/safe/b", &line).await;
        client.get("/a/b", &line).await;
        proxy.until("compared", || verdict(&proxy, "a", "match") == compared && is_quiet(&proxy));
        assert_eq!(settled(&proxy, "safe"), 0, "{name}");
    }
    let (asked, sent): (Vec<_>, Vec<_>) =
        candidate.seen().into_iter().partition(|seen| seen.method == Method::OPTIONS);
    assert!(!asked.is_empty());
    for name in names {
        assert!(asked.iter().all(|seen| !seen.headers.contains_key(name)), "{name}");
        assert_eq!(sent.iter().filter(|seen| seen.headers.contains_key(name)).count(), 1, "{name}");
    }
    assert!(sent.iter().all(|seen| seen.headers["banyan-shadow"] == "dry-run"));
}
