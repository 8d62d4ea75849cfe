//! HTTP/1.0 and 1.1 as clients really use them.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Client, get};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// Reads one request head.
async fn read_head(stream: &mut tokio::net::TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { break };
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

/// An upstream that answers every request of a connection with the same bytes.
async fn fixed(bytes: &'static str) -> Upstream {
    Upstream::raw(move |mut stream| async move {
        while !read_head(&mut stream).await.is_empty() {
            stream.write_all(bytes.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_connection_share_one_upstream_connection() {
    let upstream = Upstream::named("hello").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..100 {
        assert_eq!(client.get("/", "").await.text(), "hello");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::http(|seen| Response::new(Full::new(Bytes::from(seen.target.clone())))).await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.text(), "/1");
    assert_eq!(client.answer().await.text(), "/2");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_0_gets_an_answer_it_understands() {
    let upstream =
        fixed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.header("transfer-encoding"), None, "{}", answer.head);
    assert_eq!(answer.text(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_keeps_the_length_and_the_connection() {
    let upstream = fixed("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..3 {
        client.send("HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answer = client.head().await;
        assert_eq!((answer.status, answer.header("content-length")), (200, Some("1234")), "{}", answer.head);
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_have_none() {
    for (bytes, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n", 304),
    ] {
        let upstream = fixed(bytes).await;
        let proxy = Proxy::before(&upstream);
        let mut client = Client::connect(proxy.address).await;
        for _ in 0..3 {
            assert_eq!(client.get("/", "").await.status, status);
        }
        assert_eq!(upstream.connections(), 1, "{status} must not cost the connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn header_case_is_kept_both_ways() {
    let (sender, mut heads) = tokio::sync::mpsc::channel(16);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nX-ANSWER-Case: yes\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let answer = get(proxy.address, "/", "X-ReQuest-Case: yes\r\n").await;
    assert!(answer.head.contains("X-ANSWER-Case: yes"), "{}", answer.head);
    let head = heads.recv().await.unwrap();
    assert!(head.contains("X-ReQuest-Case: yes"), "{head}");
}

/// These fields end here and are said anew: old programs know them by this spelling only.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_anew_is_spelled_as_usual() {
    let (sender, mut heads) = tokio::sync::mpsc::channel(16);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            sender.send(read_head(&mut stream).await).await.unwrap();
            let answer =
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    let asked =
        "Transfer-Encoding: chunked\r\nConnection: TE, Upgrade, close\r\nTE: trailers\r\nUpgrade: x\r\n";
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{asked}\r\n0\r\n\r\n")).await;
    let answer = client.head().await;
    for line in ["Transfer-Encoding: chunked\r\n", "Connection: close\r\n"] {
        assert!(answer.head.contains(line), "{}", answer.head);
    }
    let head = heads.recv().await.unwrap();
    for line in ["Transfer-Encoding: chunked", "Connection: upgrade, te", "TE: trailers", "Upgrade: x"] {
        assert!(head.contains(&format!("{line}\r\n")), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    let (release, released) = tokio::sync::watch::channel(0_u32);
    let upstream = Upstream::raw(move |mut stream| {
        let mut released = released.clone();
        async move {
            read_head(&mut stream).await;
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            stream.write_all(head).await.unwrap();
            for event in 1..=3_u32 {
                released.wait_for(|released| *released >= event).await.unwrap();
                stream.write_all(format!("data: {event}\n\n").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    for event in 1..=3_u32 {
        release.send(event).unwrap();
        client.until(format!("data: {event}\n\n").as_bytes()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_a_client_that_asks_for_them() {
    let upstream = fixed(
        "HTTP/1.1 200 OK\r\nTrailer: x-checksum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-checksum: 7\r\n\r\n",
    )
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    let body = String::from_utf8(client.until(b"x-checksum: 7\r\n\r\n").await).unwrap();
    assert!(body.starts_with("2\r\nok\r\n0\r\n"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_waits_for_permission_where_the_client_asks() {
    let upstream = Upstream::raw(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(head.to_ascii_lowercase().contains("expect: 100-continue"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"hello");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await.status, 100);
    client.send("hello").await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_expectation_costs_no_upload() {
    let upstream = Upstream::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await.status, 401, "no 100 before it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_reaches_a_client_that_is_still_uploading() {
    let upstream = Upstream::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer =
            b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo big\n";
        stream.write_all(answer).await.unwrap();
        // Closes with unread bytes: the kernel resets the connection.
    })
    .await;
    let proxy = Proxy::before(&upstream);
    for _ in 0..20 {
        let mut client = Client::connect(proxy.address).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n").await;
        let (mut reader, mut writer) = client.stream.into_split();
        let upload = tokio::spawn(async move {
            let chunk = vec![b'x'; 64 * 1024];
            let mut sent = 0;
            while sent < 67_108_864 && writer.write_all(&chunk).await.is_ok() {
                sent += chunk.len();
            }
        });
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413") && answer.ends_with("too big\n"), "{answer}");
        upload.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_and_lengths_are_framed_anew() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client
        .send("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    client.send("POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = upstream.seen();
    assert_eq!(seen.iter().map(|seen| &seen.body[..]).collect::<Vec<_>>(), [b"abcde", b"abcde"]);
    assert_eq!(seen[1].headers["content-length"], "5");
    assert!(!seen[1].headers.contains_key("transfer-encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_targets_reach_the_upstream_byte_for_byte() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let targets = ["/a%20b?q=%2F&x=1", "/%7Euser", "/a;v=1/b", "/?", "/a?b?c", "//double", "/caf%C3%A9"];
    for target in targets {
        get(proxy.address, target, "").await;
    }
    let seen: Vec<String> = upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(seen, targets);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_before_any_upstream() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let count = AtomicUsize::new(0);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    ] {
        let mut client = Client::connect(proxy.address).await;
        client.send(request).await;
        let answer = client.head().await;
        assert_eq!(answer.status, status, "{request:?}: {}", answer.head);
        client.rest().await;
        count.fetch_add(1, Ordering::Relaxed);
    }
    let mut client = Client::connect(proxy.address).await;
    client.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").await;
    assert!([405, 501].contains(&client.head().await.status));
    assert!(upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn absolute_form_becomes_the_host() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET http://shop.test/x?y=1 HTTP/1.1\r\nHost: other.test\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let seen = &upstream.seen()[0];
    assert_eq!((seen.target.as_str(), seen.headers["host"].to_str().unwrap()), ("/x?y=1", "shop.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_are_dropped_and_counted() {
    let upstream = fixed(
        "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let proxy = Proxy::before(&upstream);
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
    assert!(
        (proxy.metric("banyan_informational_dropped_total") - 1.0).abs() < f64::EPSILON,
        "{}",
        proxy.counters()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_may_have_a_body_in_chunks() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client
        .send("GET /_search HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(&upstream.seen()[0].body[..], b"{}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_lengths_of_an_answer_the_chunks_count() {
    let upstream = fixed(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
    )
    .await;
    let proxy = Proxy::before(&upstream);
    let answer = get(proxy.address, "/", "").await;
    assert_eq!((answer.header("content-length"), answer.text()), (None, "0123456789"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_1_0_upstream_does_not_cost_the_client_its_connection() {
    let upstream = Upstream::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nold").await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..3 {
        let answer = client.get("/", "").await;
        assert!(answer.head.starts_with("HTTP/1.1 200"), "{}", answer.head);
        assert_eq!(answer.text(), "old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_do_not_cost_the_upstream_connection() {
    let upstream = fixed(
        "HTTP/1.1 200 OK\r\nTrailer: x-checksum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-checksum: 7\r\n\r\n",
    )
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..5 {
        assert_eq!(client.get("/", "").await.text(), "ok");
    }
    assert_eq!(upstream.connections(), 1);
}
