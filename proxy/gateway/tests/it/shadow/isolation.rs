//! Whatever a candidate does with copies, clients cannot tell.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::AsyncWriteExt;
use tokio::sync::Barrier;

use super::recorder::read;
use super::{EVERYTHING, is_quiet, result, routes, settled, verdict};
use crate::client::{Client, get};
use crate::faults::servers::{FAULTS, Server};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// Takes every request and answers none.
async fn hanging() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    })
    .await
}

const LONG: &str = "percent = 0\nshadow = { percent = 100, timeout = \"1m\", max_body = \"8MiB\" }";

/// The order of things is the proof: every answer is there while not one copy has one.
#[tokio::test(flavor = "multi_thread")]
async fn answers_do_not_wait_for_a_candidate_that_hangs() {
    let (legacy, candidate) = (Upstream::named("legacy").await, hanging().await);
    let proxy = Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", LONG)]));
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..300 {
        assert_eq!(client.get("/a/b", "").await.text(), "legacy");
    }
    proxy.until("as many as may are on their way", || proxy.count("banyan_shadow_inflight") == 64);
    proxy.until("and have their connections", || candidate.connections() == 64);
    assert_eq!(proxy.count("banyan_shadow_duration_seconds_count{route=\"a\"}"), 0);
    // Those in the queue give up, and none is lost without a count.
    proxy.until("the rest is counted", || settled(&proxy, "a") == 300);
    assert_eq!(result(&proxy, "a", "sent"), 64);
    assert_eq!(result(&proxy, "a", "in-flight") + result(&proxy, "a", "queue-full"), 236);
    assert_eq!(client.get("/a/b", "").await.text(), "legacy");
    // A stop does not wait for them.
    assert_eq!(proxy.drained(), banyan_gateway::Drained::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_a_candidate_reaches_a_client() {
    let legacy = Upstream::named("legacy").await;
    let mut candidates = Vec::new();
    for fault in FAULTS {
        candidates.push((fault, Server::failing(fault, Duration::from_millis(100)).await));
    }
    for (fault, candidate) in &candidates {
        let url = format!("http://{}", candidate.address);
        let settings = "percent = 0\nshadow = { percent = 100, timeout = \"300ms\" }";
        let proxy = Proxy::start(&routes(&legacy.url(), &url, &[("a", settings)]));
        let mut client = Client::connect(proxy.address).await;
        for _ in 0..40 {
            assert_eq!(client.get("/a/b", "").await.text(), "legacy", "{}", fault.word);
        }
        proxy.until(fault.word, || settled(&proxy, "a") == 40 && is_quiet(&proxy));
        assert_eq!(verdict(&proxy, "a", "incomparable"), result(&proxy, "a", "sent"), "{}", fault.word);
        assert!(result(&proxy, "a", "sent") > 0 && proxy.count("banyan_panics_total") == 0);
        assert_eq!(proxy.count(r#"banyan_requests_total{route="a",arm="banyan",code_class="5xx"}"#), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_within_its_bound() {
    let large = Bytes::from(vec![b'x'; 4 << 20]);
    let legacy = Upstream::http(move |_| Response::new(Full::new(large.clone()))).await;
    let candidate = hanging().await;
    let proxy = Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", LONG)]));
    let mut client = Client::connect(proxy.address).await;
    let mut most = 0;
    for _ in 0..30 {
        assert_eq!(client.get("/a/b", "").await.body.len(), 4 << 20);
        most = most.max(proxy.count("banyan_shadow_queue_bytes"));
        assert!(most <= 64 << 20, "{most}");
    }
    assert!(most > 32 << 20, "{most}");
    assert!(result(&proxy, "a", "memory") > 0, "{}", proxy.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_whose_candidate_hangs_does_not_starve_another() {
    let (legacy, candidate, stuck) =
        (Upstream::named("same").await, Upstream::named("same").await, hanging().await);
    let text = routes(&legacy.url(), &candidate.url(), &[("quiet", EVERYTHING)]);
    let busy = format!(
        "[upstreams.stuck]\ntargets = [\"{}\"]\n[[route]]\nname = \"busy\"\npath = \"/busy/*\"\nto = \"stuck\"\n{LONG}\n",
        stuck.url()
    );
    let proxy = Proxy::start(&(text + &busy));
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..300 {
        client.get("/busy/b", "").await;
    }
    proxy.until("stuck", || proxy.count("banyan_shadow_inflight") == 48);
    for _ in 0..10 {
        client.get("/quiet/b", "").await;
    }
    proxy.until("quiet is compared", || verdict(&proxy, "quiet", "match") == 10);
    assert_eq!(settled(&proxy, "quiet"), 10);
    assert_eq!(proxy.count("banyan_shadow_inflight"), 48, "and the other is stuck as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_leave_connections_and_places_to_clients() {
    let (legacy, candidate) = (Upstream::named("legacy").await, hanging().await);
    for (limit, most) in [("max_connections = 8", 2), ("max_connections = 1", 0), ("max_requests = 8", 2)] {
        let text = routes(&legacy.url(), &candidate.url(), &[("a", LONG)])
            .replace("[stores.shared]", &format!("{limit}\n[stores.shared]"));
        let proxy = Proxy::start(&text);
        let mut client = Client::connect(proxy.address).await;
        for _ in 0..10 {
            assert_eq!(client.get("/a/b", "").await.text(), "legacy");
        }
        proxy.until(limit, || settled(&proxy, "a") == 10);
        assert_eq!(result(&proxy, "a", "sent"), most, "{limit}");
        assert_eq!(result(&proxy, "a", "unavailable"), 10 - most, "{limit}");
    }
}

/// Two connections at the most, one of them left by a copy: two clients that are answered together get both.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_the_connection_that_a_copy_has_left() {
    let legacy = Upstream::named("same").await;
    let together = Arc::new(Barrier::new(2));
    let candidate = Upstream::raw(move |mut stream| {
        let together = Arc::clone(&together);
        async move {
            while let Some(raw) = read(&mut stream).await {
                if raw.head.starts_with("GET /b/") {
                    together.wait().await;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsame").await;
            }
        }
    })
    .await;
    let text = routes(&legacy.url(), &candidate.url(), &[("a", EVERYTHING), ("b", "percent = 100")])
        .replace("[stores.shared]", "max_connections = 2\n[stores.shared]");
    let proxy = Proxy::start(&text);
    get(proxy.address, "/a/x", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
    let (one, other) = tokio::join!(get(proxy.address, "/b/x", ""), get(proxy.address, "/b/x", ""));
    assert_eq!((one.status, other.status), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_any_more_once_a_stop_has_begun() {
    let (release, released) = tokio::sync::watch::channel(false);
    let legacy = Upstream::raw(move |mut stream| {
        let mut released = released.clone();
        async move {
            read(&mut stream).await;
            let _ = released.wait_for(|released| *released).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        }
    })
    .await;
    let candidate = Upstream::named("done").await;
    let proxy = Proxy::start(&routes(&legacy.url(), &candidate.url(), &[("a", EVERYTHING)]));
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n").await;
    proxy.until("in flight", || proxy.count("banyan_inflight_requests{upstream=\"legacy\"}") == 1);
    proxy.stop();
    proxy.until("not accepting", || !proxy.gateway.is_accepting());
    release.send(true).unwrap();
    assert_eq!(client.answer().await.text(), "done");
    proxy.until("counted", || result(&proxy, "a", "stopping") == 1);
    assert!(candidate.seen().is_empty() && is_quiet(&proxy));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_for_clients_is_out_for_copies_and_copies_take_nothing_out() {
    let legacy = Upstream::named("legacy").await;
    let failing = Upstream::raw(|stream| async move { drop(stream) }).await;
    let text = routes(&legacy.url(), &failing.url(), &[("a", EVERYTHING), ("b", "percent = 100")]).replace(
        "[stores.shared]",
        "breaker = { error_percent = 1, min_requests = 1, open_for = \"1m\" }\n[stores.shared]",
    );
    let proxy = Proxy::start(&text);
    for _ in 0..5 {
        get(proxy.address, "/a/b", "").await;
    }
    proxy.until("compared", || verdict(&proxy, "a", "incomparable") == 5);
    assert_eq!(proxy.gateway.breakers()[0].requests, 0, "no breaker hears of copies");
    assert_eq!(get(proxy.address, "/b/b", "").await.status, 502);
    get(proxy.address, "/a/b", "").await;
    proxy.until("open", || result(&proxy, "a", "unavailable") == 1);
}
