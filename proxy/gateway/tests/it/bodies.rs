//! Bodies stream both ways at constant memory, and a broken one never looks complete.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::client::{Client, get};
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::Upstream;

async fn skip_head(stream: &mut tokio::net::TcpStream) {
    let mut last = [0; 4];
    while &last != b"\r\n\r\n" {
        last.rotate_left(1);
        last[3] = stream.read_u8().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_the_upstream_back() {
    const TOTAL: usize = 64 * 1024 * 1024;
    let (sender, mut written) = tokio::sync::watch::channel(0_usize);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            skip_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let chunk = vec![b'x'; 64 * 1024];
            for _ in 0..TOTAL / chunk.len() {
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
                sender.send_modify(|sent| *sent += chunk.len());
            }
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.head().await;
    // The upstream stops when socket buffers and ours are full: nothing moves for a while.
    let mut before = usize::MAX;
    while before != *written.borrow_and_update() {
        before = *written.borrow();
        let _ = tokio::time::timeout(Duration::from_millis(300), written.changed()).await;
    }
    assert!(before < TOTAL / 2, "{before} bytes taken from the upstream while nobody reads");
    assert!(client.exactly(TOTAL).await.iter().all(|&byte| byte == b'x'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_arrives_whole() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    let body: Vec<u8> = (0..8 * 1024 * 1024_u32).map(|place| (place % 251) as u8).collect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len())).await;
    client.send(&body).await;
    assert_eq!(client.answer().await.status, 200);
    assert!(upstream.seen()[0].body == body, "the body differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_never_looks_complete() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let upstream = Upstream::raw(move |mut stream| async move {
            skip_head(&mut stream).await;
            let part = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n");
            stream.write_all(part.as_bytes()).await.unwrap();
        })
        .await;
        let proxy = Proxy::before(&upstream);
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.head().await;
        let rest = client.rest().await;
        let is_complete = match answer.header("content-length") {
            Some(length) => rest.len() >= length.parse().unwrap(),
            None => rest.ends_with(b"0\r\n\r\n"),
        };
        assert!(!is_complete, "{head}: {rest:?}");
        let errors = r#"banyan_upstream_errors_total{upstream="legacy",kind="broken-off"}"#;
        assert!((proxy.metric(errors) - 1.0).abs() < f64::EPSILON, "{}", proxy.counters());
    }
}

/// Such an answer ends with its connection: only a reset tells a broken one from a whole one.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_http_1_0_that_breaks_off_ends_in_a_reset() {
    for (ending, is_whole) in [("0\r\n\r\n", true), ("", false), ("nonsense\r\n", false)] {
        let head_is_there = Arc::new(Notify::new());
        let go_on = Arc::clone(&head_is_there);
        let upstream = Upstream::raw(move |mut stream| {
            let go_on = Arc::clone(&go_on);
            async move {
                skip_head(&mut stream).await;
                let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
                let _ = stream.write_all(answer.as_bytes()).await;
                go_on.notified().await;
                let _ = stream.write_all(ending.as_bytes()).await;
            }
        })
        .await;
        let proxy = Proxy::before(&upstream);
        let mut client = Client::connect(proxy.address).await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(client.head().await.header("transfer-encoding"), None);
        head_is_there.notify_one();
        let mut body = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), client.stream.read_to_end(&mut body)).await;
        let ended = ended.unwrap().map_err(|error| error.kind());
        if is_whole {
            assert!(ended.is_ok(), "{ended:?}");
        } else {
            assert_eq!(ended, Err(std::io::ErrorKind::ConnectionReset), "{ending:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_the_upstream() {
    let (sender, mut left) = tokio::sync::mpsc::channel(16);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            skip_head(&mut stream).await;
            // Ends when the proxy closes its side.
            let ended = stream.read_u8().await.is_err();
            sender.send(ended).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while proxy.gateway.targets()[0].inflight == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the request reaches the upstream");
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(5), left.recv()).await.expect("in time").unwrap();
    assert!(ended);
    proxy.until("counted as left", || {
        proxy.metric(r#"banyan_requests_total{arm="legacy",code_class="4xx",route="default"}"#) > 0.0
    });
    assert_eq!(proxy.gateway.targets()[0].inflight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_cut_after_the_idle_time() {
    let upstream = Upstream::raw(|mut stream| async move {
        skip_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"200ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.rest().await, b"half");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_but_moving_body_is_not_cut() {
    let upstream = Upstream::raw(|mut stream| async move {
        skip_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n").await.unwrap();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stream.write_all(b"x").await.unwrap();
        }
    })
    .await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"500ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    assert_eq!(get(proxy.address, "/", "").await.text(), "xxxxxxxx");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stalls_after_its_answer_frees_the_upstream() {
    let (sender, mut closed) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            skip_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            let mut sink = [0; 1024];
            while stream.read(&mut sink).await.is_ok_and(|count| count > 0) {}
            let _ = sender.send(()).await;
        }
    })
    .await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"300ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome").await;
    assert_eq!(client.head().await.status, 401);
    tokio::time::timeout(Duration::from_secs(5), closed.recv()).await.expect("closed in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_uploading_is_told_so() {
    let upstream = Upstream::named("never").await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"300ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome").await;
    let answer = client.head().await;
    assert_eq!(
        (answer.status, answer.header("banyan-reason")),
        (408, Some("upload-idle")),
        "{}",
        answer.head
    );
}
