//! The header fields that change on the way.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::client::{Client, get};
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::Upstream;

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_addresses_are_replaced() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let lines = "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 6.6.6.6\r\nBanyan-Shadow: 1\r\n";
    get(proxy.address, "/", lines).await;
    let headers = &upstream.seen()[0].headers;
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-host"], "shop.test");
    assert!(headers["forwarded"].to_str().unwrap().contains("for=127.0.0.1"), "{headers:?}");
    assert!(
        !headers.contains_key("x_forwarded_for") && !headers.contains_key("banyan-shadow"),
        "{headers:?}"
    );
    assert_eq!(headers["host"], "shop.test");
    assert!(headers.contains_key("traceparent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_is_believed_and_appended_to() {
    let upstream = Upstream::named("ok").await;
    let text =
        legacy_at(&upstream.url()).replace("[upstreams", "trusted_proxies = [\"127.0.0.0/8\"]\n[upstreams");
    let proxy = Proxy::start(&text);
    let lines = "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 6.6.6.6\r\n";
    get(proxy.address, "/", lines).await;
    let headers = &upstream.seen()[0].headers;
    assert!(!headers.contains_key("x_forwarded_for"), "{headers:?}");
    assert_eq!(headers["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
    assert_eq!(headers["x-forwarded-proto"], "https");
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_one_hop_stay_on_it() {
    let upstream = Upstream::http(|_| {
        Response::builder()
            .header("connection", "x-inner")
            .header("x-inner", "1")
            .header("keep-alive", "timeout=5")
            .header("banyan-reason", "spoofed")
            .header("x-outer", "1")
            .body(Full::new(Bytes::from("ok")))
            .unwrap()
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let lines =
        "Connection: x-secret, keep-alive\r\nX-Secret: 1\r\nProxy-Connection: keep-alive\r\nX-Open: 1\r\n";
    let answer = get(proxy.address, "/", lines).await;
    let headers = &upstream.seen()[0].headers;
    for gone in ["connection", "x-secret", "proxy-connection", "keep-alive"] {
        assert!(!headers.contains_key(gone), "{gone}: {headers:?}");
    }
    assert_eq!(headers["x-open"], "1");
    for gone in ["x-inner", "keep-alive", "banyan-reason"] {
        assert_eq!(answer.header(gone), None, "{}", answer.head);
    }
    assert_eq!(answer.header("x-outer"), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upstream_can_be_shown_its_own_name() {
    let upstream = Upstream::named("ok").await;
    let route = "[[route]]\nname = \"a\"\npath = \"/a/*\"\nrewrite = { host = \"upstream\" }\n";
    let proxy = Proxy::start(&(legacy_at(&upstream.url()) + route));
    get(proxy.address, "/a/b", "").await;
    get(proxy.address, "/b", "").await;
    let seen = upstream.seen();
    assert_eq!(seen[0].headers["host"], upstream.address.to_string());
    assert_eq!(seen[0].headers["x-forwarded-host"], "shop.test");
    assert_eq!(seen[1].headers["host"], "shop.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_in_front_of_itself_is_508() {
    let upstream = Upstream::named("never").await;
    let proxy = Proxy::before(&upstream);
    proxy.apply(&legacy_at(&format!("http://{}", proxy.address)), 2);
    let mut client = Client::connect(proxy.address).await;
    let answer = client.get("/", "").await;
    assert_eq!(answer.status, 508, "{}", answer.head);
}

/// What a dashboard makes the reuse of a pool from.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_at_hand_is_told_from_a_new_one() {
    let upstream = Upstream::named("legacy").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..20 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
    let leases = |connection: &str| {
        proxy
            .count(&format!(r#"banyan_upstream_leases_total{{upstream="legacy",connection="{connection}"}}"#))
    };
    assert_eq!(leases("new") + leases("idle"), 20, "{}", proxy.counters());
    assert_eq!(leases("new"), u64::from(upstream.connections()));
    assert!(leases("idle") > 0, "{}", proxy.counters());
    assert_eq!(proxy.count("banyan_workers"), 2);
}
