//! When an upstream fails: what the client is told, and that nothing is sent twice.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, get};
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::{Upstream, nobody};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_502() {
    let proxy = Proxy::start(&legacy_at(&format!("http://{}", nobody())));
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("connect-error")));
    let requests = r#"banyan_requests_total{arm="banyan",code_class="5xx",route="default"}"#;
    proxy.until("counted", || proxy.metric(requests) > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_in_time_is_504() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "timeout = \"200ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (504, Some("timeout")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_or_silence_before_the_head_is_502() {
    for (bytes, reason) in [("", "upstream-reset"), ("SSH-2.0-OpenSSH\r\n\r\n", "bad-answer")] {
        let upstream = Upstream::raw(move |mut stream| async move {
            let mut sink = [0; 1024];
            let _ = stream.read(&mut sink).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
        })
        .await;
        let proxy = Proxy::before(&upstream);
        let answer = get(proxy.address, "/", "").await;
        assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some(reason)), "{bytes:?}");
    }
}

/// Answers one request of each connection, then closes without a word when the next one comes.
async fn hangs_up() -> Upstream {
    Upstream::raw(|mut stream| async move {
        let mut sink = [0; 4096];
        let _ = stream.read(&mut sink).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let _ = stream.read(&mut sink).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_request_on_a_connection_that_hung_up_is_sent_again() {
    let upstream = hangs_up().await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..5 {
        assert_eq!(client.get("/", "").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_request_is_never_sent_again() {
    let upstream = hangs_up().await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.status, 200);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("upstream-reset")));
    assert_eq!(upstream.connections(), 1, "the request went out on another connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_target_beside_a_living_one_is_not_noticed() {
    let upstream = Upstream::named("alive").await;
    let text =
        legacy_at(&upstream.url()).replace("targets = [", &format!("targets = [\"http://{}\", ", nobody()));
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    for turn in 0..200 {
        let answer = client.get("/", "").await;
        assert_eq!(answer.status, 200, "at {turn}: {}", answer.head);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(client.answer().await.status, 200, "POST at {turn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_target_is_left_alone() {
    let sick = Upstream::http(|seen| {
        let status = if seen.target == "/healthz" { 500 } else { 200 };
        Response::builder().status(status).body(Full::new(Bytes::from("sick"))).unwrap()
    })
    .await;
    let well = Upstream::named("well").await;
    let text = legacy_at(&well.url()).replace("targets = [", &format!("targets = [\"{}\", ", sick.url()))
        + "health = { path = \"/healthz\", every = \"100ms\", unhealthy_after = 2 }\n";
    let proxy = Proxy::start(&text);
    proxy.until("unhealthy", || proxy.gateway.targets().iter().any(|target| !target.healthy));
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "/", "").await.text(), "well");
    }
    let labels = format!(r#"upstream="legacy",target="{}""#, sick.address);
    assert!(
        proxy.metrics().contains(&format!("banyan_upstream_healthy{{{labels}}} 0")),
        "{}",
        proxy.metrics()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_healthy_target_is_503() {
    let sick = Upstream::http(|_| Response::builder().status(500).body(Full::default()).unwrap()).await;
    let text =
        legacy_at(&sick.url()) + "health = { path = \"/healthz\", every = \"100ms\", unhealthy_after = 1 }\n";
    let proxy = Proxy::start(&text);
    proxy.until("unhealthy", || !proxy.gateway.targets()[0].healthy);
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (503, Some("no-target")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_limit_holds_over_all_threads() {
    let upstream = Upstream::named("ok").await;
    let text = legacy_at(&upstream.url()) + "max_connections = 3\n";
    let proxy = Proxy::start(&text);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let address = proxy.address;
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..50 {
                assert_eq!(client.get("/", "").await.status, 200);
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(upstream.connections() <= 3, "{} connections", upstream.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_a_connection_is_told_so() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut sink = [0; 1024];
        while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "timeout = \"20s\"\n[upstreams")
        + "max_connections = 1\n";
    let proxy = Proxy::start(&text);
    let mut first = Client::connect(proxy.address).await;
    first.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    proxy.until("in flight", || proxy.gateway.targets()[0].inflight == 1);
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (503, Some("upstream-busy")));
}

/// Holds every request until it is let go, by a place in the channel.
async fn holding(release: std::sync::Arc<tokio::sync::Semaphore>) -> Upstream {
    Upstream::raw(move |mut stream| {
        let release = std::sync::Arc::clone(&release);
        async move {
            let mut sink = [0; 1024];
            while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {
                release.acquire().await.unwrap().forget();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld").await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_has_so_many_requests_at_a_time() {
    let release = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let upstream = holding(std::sync::Arc::clone(&release)).await;
    let proxy = Proxy::start(&(legacy_at(&upstream.url()) + "max_requests = 2\n"));
    let mut clients = Vec::new();
    for number in 1..=2 {
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        proxy.until("in flight", || proxy.gateway.targets()[0].inflight == number);
        clients.push(client);
    }
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (503, Some("upstream-busy")));
    let busy = r#"banyan_upstream_errors_total{upstream="legacy",kind="busy"}"#;
    assert!(proxy.count(busy) == 1, "{}", proxy.counters());

    release.add_permits(100);
    assert_eq!(clients[0].answer().await.text(), "held");
    // One who leaves gives the place back, too.
    drop(clients);
    proxy.until("none in flight", || proxy.gateway.targets()[0].inflight == 0);
    for _ in 0..5 {
        assert_eq!(get(proxy.address, "/", "").await.text(), "held");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn legacy_takes_over_from_a_candidate_that_is_busy() {
    let release = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let (legacy, candidate) =
        (Upstream::named("legacy").await, holding(std::sync::Arc::clone(&release)).await);
    let text = legacy_at(&legacy.url())
        + &format!("[upstreams.new]\ntargets = [\"{}\"]\nmax_requests = 1\n", candidate.url())
        + "[[route]]\nname = \"all\"\npath = \"/*\"\nto = \"new\"\npercent = 100\n\
           sticky = [\"client-ip\"]\nfallback = { on = [\"connect-error\"] }\n";
    let proxy = Proxy::start(&text);
    let mut first = Client::connect(proxy.address).await;
    first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    proxy.until("in flight", || proxy.gateway.targets().iter().any(|target| target.inflight == 1));
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.text(), answer.header("banyan-reason")), ("legacy", Some("fallback")));
    release.add_permits(1);
    assert_eq!(first.answer().await.text(), "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_resolved() {
    let upstream = Upstream::named("by name").await;
    let proxy = Proxy::start(&legacy_at(&format!("http://localhost:{}", upstream.address.port())));
    assert_eq!(get(proxy.address, "/", "").await.text(), "by name");
    let proxy = Proxy::start(&legacy_at("http://no-such-host.invalid:80"));
    let answer = tokio::time::timeout(Duration::from_secs(10), get(proxy.address, "/", "")).await.unwrap();
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("connect-error")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_side_effects_is_never_sent_again() {
    let upstream = hangs_up().await;
    let route = "[[route]]\nname = \"views\"\npath = \"/tickets/{id}\"\nside_effects = true\n";
    let proxy = Proxy::start(&(legacy_at(&upstream.url()) + route));
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/tickets/7", "").await.status, 200);
    assert_eq!(client.get("/tickets/7", "").await.status, 502);
    assert_eq!(upstream.connections(), 1, "the request went out on another connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_coded_in_another_way_is_502() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut sink = [0; 1024];
        let _ = stream.read(&mut sink).await;
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
        let _ = stream.write_all(answer).await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("bad-answer")));
}
