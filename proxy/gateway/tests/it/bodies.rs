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

/// Records what it was sent until the other side is done.
async fn recording(sender: tokio::sync::mpsc::Sender<Vec<u8>>) -> Upstream {
    Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            let mut sent = Vec::new();
            let _ = stream.read_to_end(&mut sent).await;
            sender.send(sent).await.unwrap();
        }
    })
    .await
}

const TOO_LONG: &str = r#"banyan_refused_total{reason="body-too-long"}"#;

fn with_most(upstream: &Upstream, most: &str) -> String {
    legacy_at(&upstream.url()).replace("[upstreams", &format!("max_body = \"{most}\"\n[upstreams"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_known_to_be_too_long_is_asked_of_nobody() {
    let upstream = Upstream::named("ok").await;
    let routes = "[[route]]\nname = \"large\"\npath = \"/large\"\nmax_body = \"2KiB\"\n\
                  [[route]]\nname = \"any\"\npath = \"/any\"\nmax_body = \"unlimited\"\n";
    let proxy = Proxy::start(&(with_most(&upstream, "1KiB") + routes));
    for (path, length, status) in [
        ("/", 1024, 200),
        ("/", 1025, 413),
        ("/large", 2048, 200),
        ("/large", 2049, 413),
        ("/any", 100_000, 200),
    ] {
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
        client.send(vec![b'x'; length]).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{path} {length}");
        assert_eq!(answer.header("banyan-reason"), (status == 413).then_some("body-too-long"));
    }
    assert_eq!((upstream.seen().len(), proxy.count(TOO_LONG)), (3, 2));
    // Who asks first is not told to go on.
    let mut client = Client::connect(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 413);
}

/// What the upstream has seen of it by then must not look whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_too_long_is_broken_off() {
    let (sender, mut received) = tokio::sync::mpsc::channel(1);
    let upstream = recording(sender).await;
    let proxy = Proxy::start(&with_most(&upstream, "1KiB"));
    let mut client = Client::connect(proxy.address).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    for _ in 0..3 {
        client.send(&chunk).await;
    }
    // More than all buffers take: the answer must get past it.
    let rest = chunk.repeat(2000);
    let (mut reading, mut writing) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        let _ = writing.write_all(rest.as_bytes()).await;
        writing
    });
    let mut answer = vec![0; 12];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    let sent = received.recv().await.unwrap();
    assert!(sent.starts_with(b"POST / HTTP/1.1\r\n") && !sent.ends_with(b"0\r\n\r\n"), "it looks whole");
    assert!(sent.len() < 2000, "{} bytes", sent.len());
    sending.abort();
    assert!(proxy.count(TOO_LONG) == 1, "{}", proxy.counters());
}
