//! TLS on the way to an upstream.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use banyan_gateway::{Gateway, StartError, unusable_upstreams};
use bytes::Bytes;
use http::{Response, Version};
use http_body_util::Full;
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::authority::Authority;
use crate::client::get;
use crate::proxy::{Proxy, legacy_at, settings, table};
use crate::upstream::{Seen, Upstream};

const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

fn ok(_: &Seen) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from("ok")))
}

/// Everything to one upstream, reached by TLS.
fn by_tls(upstream: &Upstream, lines: &str) -> String {
    legacy_at(&upstream.https_url()) + lines + "\n"
}

fn believing(authority: &Authority) -> String {
    format!("tls = {{ ca_file = \"{}\" }}", authority.root().display())
}

async fn reason(address: SocketAddr) -> (u16, String) {
    let answer = get(address, "/", "").await;
    (answer.status, answer.header("banyan-reason").unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_upstream_of_a_known_authority_is_asked_in_the_version_it_chooses() {
    let authority = Authority::new();
    for (protocols, lines, version) in [
        (BOTH, "", Version::HTTP_2),
        (BOTH, "http2 = \"off\"", Version::HTTP_11),
        (&BOTH[1..], "", Version::HTTP_11),
        (&[], "", Version::HTTP_11),
    ] {
        let upstream = Upstream::https(authority.server(protocols, false), ok).await;
        let proxy = Proxy::start(&by_tls(&upstream, &format!("{}\n{lines}", believing(&authority))));
        for _ in 0..3 {
            assert_eq!(get(proxy.address, "/a?b", "").await.text(), "ok");
        }
        let seen = upstream.seen();
        assert!(seen.iter().all(|seen| seen.version == version), "{lines}: {seen:?}");
        assert!(upstream.connections() <= 2, "one per worker, at most: {}", upstream.connections());
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_believed_is_a_tls_error() {
    let (authority, other) = (Authority::new(), Authority::new());
    let upstream = Upstream::https(authority.server(BOTH, false), ok).await;
    let elsewhere = Upstream::https(authority.server_named("else.test", BOTH, false), ok).await;
    let wrong_name = by_tls(&elsewhere, &believing(&authority));
    for routes in [by_tls(&upstream, ""), by_tls(&upstream, &believing(&other)), wrong_name] {
        let proxy = Proxy::start(&routes);
        assert_eq!(reason(proxy.address).await, (502, "tls-error".to_owned()));
        let errors = proxy.metric("banyan_upstream_errors_total{upstream=\"legacy\",kind=\"tls-error\"}");
        assert!((errors - 2.0).abs() < 0.5, "both attempts count: {errors}");
    }
    assert!(upstream.seen().is_empty() && elsewhere.seen().is_empty());
}

#[tokio::test]
async fn another_name_or_any_certificate_is_believed_on_demand() {
    let authority = Authority::new();
    let upstream = Upstream::https(authority.server_named("else.test", BOTH, false), ok).await;
    let root = authority.root();
    let named = format!("tls = {{ ca_file = \"{}\", server_name = \"else.test\" }}", root.display());
    for lines in [named.as_str(), "tls = { verify = false }"] {
        let proxy = Proxy::start(&by_tls(&upstream, lines));
        assert_eq!(get(proxy.address, "/", "").await.text(), "ok", "{lines}");
    }
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_gets_one() {
    let authority = Authority::new();
    let upstream = Upstream::https(authority.server(BOTH, true), ok).await;
    let root = authority.root();
    let proxy = Proxy::start(&by_tls(&upstream, &believing(&authority)));
    assert_eq!(get(proxy.address, "/", "").await.status, 502, "without one");
    let me = authority.sign("me", &["banyan.test"]);
    let tls = format!(
        "tls = {{ ca_file = \"{}\", client_certificate_file = \"{}\", client_key_file = \"{}\" }}",
        root.display(),
        me.certificate.display(),
        me.key.display()
    );
    let proxy = Proxy::start(&by_tls(&upstream, &tls));
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
}

#[tokio::test]
async fn a_handshake_has_the_time_of_connecting() {
    let silent = Upstream::raw(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let proxy = Proxy::start(&by_tls(&silent, "connect_timeout = \"200ms\"\ntls = { verify = false }"));
    let begun = std::time::Instant::now();
    assert_eq!(reason(proxy.address).await, (504, "connect-timeout".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// A server of TLS 1.3 sends tickets behind its handshake: no byte of an answer.
#[tokio::test]
async fn a_request_is_asked_again_when_only_tickets_came() {
    let authority = Authority::new();
    let acceptor = authority.server(&BOTH[1..], false);
    let is_first = Arc::new(AtomicBool::new(true));
    let upstream = Upstream::raw(move |stream| {
        let (acceptor, is_first) = (acceptor.clone(), Arc::clone(&is_first));
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
            let _ = stream.read(&mut [0; 4096]).await;
            if !is_first.swap(false, Ordering::SeqCst) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let proxy = Proxy::start(&by_tls(&upstream, &believing(&authority)));
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.text(), upstream.connections()), (200, "ok", 2), "{}", answer.head);
}

#[tokio::test]
async fn a_candidate_whose_certificate_is_not_believed_falls_back() {
    let authority = Authority::new();
    let candidate = Upstream::https(authority.server(BOTH, false), ok).await;
    let legacy = Upstream::named("legacy").await;
    let proxy = Proxy::start(&format!(
        "version = 1\n[defaults]\nlegacy = \"l\"\nsticky = [\"client-ip\"]\n[upstreams.l]\ntargets = [\"{}\"]\n\
         [upstreams.c]\ntargets = [\"{}\"]\n[[route]]\nname = \"r\"\npath = \"/*\"\nmethods = [\"GET\"]\nto = \"c\"\n\
         percent = 100\nfallback = {{ on = [\"connect-error\"] }}\n",
        legacy.url(),
        candidate.https_url()
    ));
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.text(), answer.header("banyan-reason")), ("legacy", Some("fallback")));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_asked_the_way_requests_are() {
    let authority = Authority::new();
    let upstream = Upstream::https(authority.server(BOTH, false), ok).await;
    let plain = Upstream::http2(ok).await;
    let health = "health = { path = \"/up?x\", every = \"50ms\", unhealthy_after = 1, healthy_after = 1 }";
    let h2c = legacy_at(&plain.url()) + "http2 = \"prior-knowledge\"\n" + health + "\n";
    let good = by_tls(&upstream, &format!("{}\n{health}", believing(&authority)));
    for (upstream, routes) in [(&upstream, good), (&plain, h2c)] {
        let proxy = Proxy::start(&routes);
        proxy.until("asked twice", || upstream.seen().len() >= 2);
        assert!(proxy.gateway.targets()[0].healthy);
        let seen = &upstream.seen()[0];
        assert!(seen.target.ends_with("/up?x") && seen.version == Version::HTTP_2, "{seen:?}");
    }
    let proxy = Proxy::start(&by_tls(&upstream, health));
    proxy.until("not believed", || !proxy.gateway.targets()[0].healthy);
}

#[tokio::test]
async fn an_address_that_an_upstream_with_tls_writes_becomes_the_public_one() {
    let authority = Authority::new();
    let upstream = Upstream::https(authority.server(BOTH, false), |seen| {
        let there = seen.headers["x-there"].clone();
        Response::builder().status(302).header("location", there).body(Full::default()).unwrap()
    })
    .await;
    let proxy = Proxy::start(&by_tls(&upstream, &believing(&authority)));
    let own = upstream.https_url();
    for (there, expected) in [
        (format!("{own}/a"), "http://shop.test/a"),
        (own.replace("https", "http") + "/a", &*(own.replace("https", "http") + "/a")),
    ] {
        let answer = get(proxy.address, "/", &format!("X-There: {there}\r\n")).await;
        assert_eq!(answer.header("location"), Some(expected));
    }
}

#[tokio::test]
async fn a_renewed_authority_is_believed_without_a_reload() {
    let (old, new) = (Authority::new(), Authority::new());
    let upstream = Upstream::https(new.server(BOTH, false), ok).await;
    let proxy = Proxy::start(&by_tls(&upstream, &believing(&old)));
    assert_eq!(get(proxy.address, "/", "").await.status, 502);
    std::fs::copy(new.root(), old.root()).unwrap();
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    while get(proxy.address, "/", "").await.status != 200 {
        assert!(std::time::Instant::now() < limit, "still not believed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn files_that_cannot_be_used_are_named_before_anything_starts() {
    let authority = Authority::new();
    let empty = authority.path("empty.pem");
    std::fs::write(&empty, "no PEM at all\n").unwrap();
    let me = authority.sign("me", &["me"]);
    let other = authority.sign("other", &["other"]);
    let client = |certificate: &Path, key: &Path| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("client_certificate_file = \"{certificate}\", client_key_file = \"{key}\"")
    };
    for (tls, expected) in [
        ("ca_file = \"/nowhere/ca.pem\"".to_owned(), "upstream `legacy`: cannot use /nowhere/ca.pem: "),
        (format!("ca_file = \"{}\"", empty.display()), "upstream `legacy`: no certificate in "),
        (client(&me.certificate, &empty), "upstream `legacy`: cannot use "),
        (client(&me.certificate, &other.key), "upstream `legacy`: cannot use key "),
    ] {
        let table = table(&(legacy_at("https://localhost:1") + &format!("tls = {{ {tls} }}\n")));
        let unusable = unusable_upstreams(&table);
        assert!(unusable[0].to_string().starts_with(expected), "{}", unusable[0]);
        let started = Gateway::new(settings(), table, 1, &prometheus::Registry::new());
        let Err(StartError::Upstream(_)) = started.map(|_| ()) else { panic!("it must not start") };
    }
}
