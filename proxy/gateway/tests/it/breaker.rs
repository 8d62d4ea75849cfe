//! A breaker before a candidate: opens, says when to come again, probes, closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use banyan_gateway::BreakerState;
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::AsyncReadExt;

use crate::client::{Client, get};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

fn table(legacy: &Upstream, orders: &Upstream, breaker: &str, route: &str) -> String {
    format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         [upstreams.legacy]\ntargets = [\"{}\"]\n[upstreams.orders]\ntargets = [\"{}\"]\nbreaker = {breaker}\n\
         [[route]]\nname = \"a\"\npath = \"/a\"\nmethods = [\"GET\"]\nto = \"orders\"\npercent = 100\n{route}\n",
        legacy.url(),
        orders.url()
    )
}

/// Answers 500 while it is sick.
async fn sickly() -> (Upstream, Arc<AtomicBool>) {
    let sick = Arc::new(AtomicBool::new(true));
    let feels = Arc::clone(&sick);
    let upstream = Upstream::http(move |_| {
        let status = if feels.load(Ordering::Relaxed) { 500 } else { 200 };
        Response::builder().status(status).body(Full::new(Bytes::from("orders"))).unwrap()
    })
    .await;
    (upstream, sick)
}

fn state(proxy: &Proxy) -> BreakerState {
    proxy.gateway.breakers()[0].state
}

async fn open(proxy: &Proxy, requests: u32) {
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..requests {
        assert_eq!(client.get("/a", "").await.status, 500);
    }
    assert_eq!(state(proxy), BreakerState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_says_when_to_come_again_probes_and_closes() {
    let (legacy, (orders, sick)) = (Upstream::named("legacy").await, sickly().await);
    let breaker = "{ error_percent = 50, min_requests = 10, open_for = \"1500ms\" }";
    let proxy = Proxy::start(&table(&legacy, &orders, breaker, ""));
    assert_eq!(state(&proxy), BreakerState::Closed);
    open(&proxy, 10).await;
    let answer = get(proxy.address, "/a", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (503, Some("breaker-open")));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(orders.seen().len(), 10);
    assert!(legacy.seen().is_empty());
    let gauge = r#"banyan_breaker_state{upstream="orders"}"#;
    assert!((proxy.metric(gauge) - 2.0).abs() < 0.1, "{}", proxy.counters());
    let stopped = r#"banyan_attempts_total{route="a",arm="candidate",outcome="breaker-open"}"#;
    assert!((proxy.metric(stopped) - 1.0).abs() < 0.1);

    sick.store(false, Ordering::Relaxed);
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    while get(proxy.address, "/a", "").await.status != 200 {
        assert!(std::time::Instant::now() < limit);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for _ in 0..5 {
        assert_eq!(get(proxy.address, "/a", "").await.status, 200);
    }
    assert_eq!(state(&proxy), BreakerState::Closed);
    for to in ["closed", "half-open", "open"] {
        let series = format!(r#"banyan_breaker_transitions_total{{upstream="orders",to="{to}"}}"#);
        assert!((proxy.metric(&series) - 1.0).abs() < 0.1, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_fallback_nobody_notices() {
    let (legacy, (orders, _sick)) = (Upstream::named("legacy").await, sickly().await);
    let breaker = "{ min_requests = 10, open_for = \"1m\" }";
    let route = "fallback = { on = [\"breaker-open\"] }";
    let proxy = Proxy::start(&table(&legacy, &orders, breaker, route));
    open(&proxy, 10).await;
    for _ in 0..20 {
        let answer = get(proxy.address, "/a", "").await;
        assert_eq!((answer.text(), answer.header("banyan-reason")), ("legacy", Some("fallback")));
    }
    assert_eq!((orders.seen().len(), legacy.seen().len()), (10, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_legacy_pass_unasked() {
    let (legacy, (orders, _sick)) = (Upstream::named("legacy").await, sickly().await);
    let other = "[[route]]\nname = \"b\"\npath = \"/b\"\nmethods = [\"GET\"]\nto = \"legacy\"\npercent = 0\nlegacy = \"orders\"";
    let breaker = "{ min_requests = 10, open_for = \"1m\" }";
    let proxy = Proxy::start(&table(&legacy, &orders, breaker, other));
    for _ in 0..30 {
        assert_eq!(get(proxy.address, "/b", "").await.status, 500);
    }
    assert_eq!(state(&proxy), BreakerState::Closed, "failures as legacy count for nothing");
    open(&proxy, 10).await;
    assert_eq!(get(proxy.address, "/b", "").await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_does_not_touch_it_keeps_it_open() {
    let (legacy, (orders, _sick)) = (Upstream::named("legacy").await, sickly().await);
    let breaker = "{ min_requests = 10, open_for = \"1m\" }";
    let text = table(&legacy, &orders, breaker, "");
    let proxy = Proxy::start(&text);
    open(&proxy, 10).await;
    proxy.apply(&text.replace("percent = 100", "percent = 99.5\nmeta = { why = \"reload\" }"), 2);
    assert_eq!(state(&proxy), BreakerState::Open);
    proxy.apply(&text.replace("min_requests = 10", "min_requests = 11"), 3);
    assert_eq!(state(&proxy), BreakerState::Closed, "another breaker");
}

/// Silent for the first few, to hold the probes.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_three_probes_are_out() {
    let legacy = Upstream::named("legacy").await;
    let orders = Upstream::raw(|mut stream| async move {
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let breaker = "{ min_requests = 1, open_for = \"100ms\" }";
    let proxy = Proxy::start(&table(&legacy, &orders, breaker, "timeout = \"600ms\""));
    assert_eq!(get(proxy.address, "/a", "").await.status, 504);
    assert_eq!(state(&proxy), BreakerState::Open);
    proxy.until("time for probes", || proxy.gateway.breakers()[0].probes_in == Some(Duration::ZERO));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        clients.spawn(get(proxy.address, "/a", ""));
    }
    let answers: Vec<u16> = clients.join_all().await.iter().map(|answer| answer.status).collect();
    let timed_out = answers.iter().filter(|status| **status == 504).count();
    assert_eq!(timed_out, 3, "{answers:?}");
    assert!(answers.iter().all(|status| matches!(status, 503 | 504)), "{answers:?}");
    assert_eq!(state(&proxy), BreakerState::Open);
}
