//! How much a client may take, and what it is told.

use std::time::Duration;

use banyan_gateway::{AccessLogTarget, Drained, Limits, Settings};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Client, get};
use crate::http2;
use crate::proxy::{Proxy, legacy_at, settings};
use crate::upstream::Upstream;

async fn limited(limits: Limits) -> (Proxy, Upstream) {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), Settings { limits, ..settings() });
    (proxy, upstream)
}

fn small() -> Limits {
    Limits { head_bytes: 4096, fields: 10, target_bytes: 100, ..Limits::default() }
}

fn refused(proxy: &Proxy, reason: &str) -> u64 {
    proxy.count(&format!("banyan_refused_total{{reason=\"{reason}\"}}"))
}

/// `count` fields, with `Host`.
fn fields(count: usize) -> String {
    (1..count).fold(String::new(), |fields, number| fields + &format!("x-{number}: 1\r\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_has_its_bounds() {
    let (proxy, upstream) = limited(small()).await;
    let long = |length: usize| format!("/{}", "a".repeat(length - 1));
    for (target, lines, status, reason) in [
        (long(100), fields(10), 200, None),
        (long(101), String::new(), 414, Some("target-too-long")),
        ("/".to_owned(), fields(11), 431, Some("head-too-long")),
        ("/".to_owned(), format!("x-long: {}\r\n", "a".repeat(3900)), 200, None),
        ("/".to_owned(), format!("x-long: {}\r\n", "a".repeat(4200)), 431, Some("head-too-long")),
    ] {
        let answer = get(proxy.address, &target, &lines).await;
        assert_eq!((answer.status, answer.header("banyan-reason")), (status, reason), "{}", answer.head);
    }
    proxy.until("counted", || refused(&proxy, "head-too-long") == 2);
    assert_eq!(refused(&proxy, "target-too-long"), 1);
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_fields_than_usual_can_be_allowed() {
    // Whoever answers here reads no more than the usual number.
    let (proxy, _upstream) = limited(Limits { fields: 300, ..Limits::default() }).await;
    get(proxy.address, "/", &fields(300)).await;
    assert_eq!(refused(&proxy, "head-too-long"), 0);
    assert_eq!(get(proxy.address, "/", &fields(301)).await.status, 431);
    proxy.until("counted", || refused(&proxy, "head-too-long") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_none_is_counted() {
    let (proxy, _upstream) = limited(Limits::default()).await;
    let mut client = Client::connect(proxy.address).await;
    client.send("nonsense\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
    proxy.until("counted", || refused(&proxy, "malformed-head") == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_has_the_same_bounds() {
    let (proxy, upstream) = limited(small()).await;
    let (mut sender, _) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
    let cookies = |count: usize| (0..count).map(|_| ("cookie", "a=1".to_owned())).collect::<Vec<_>>();
    let others = |count: usize| (0..count).map(|_| ("x-a", "1".to_owned())).collect::<Vec<_>>();
    for (length, fields, status) in [
        (100, others(10), StatusCode::OK),
        (101, Vec::new(), StatusCode::URI_TOO_LONG),
        (1, others(11), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (1, [cookies(20), others(9)].concat(), StatusCode::OK),
        (1, [cookies(20), others(10)].concat(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (1, vec![("x-long", "a".repeat(4200))], StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    ] {
        let mut request = Request::get(format!("http://shop.test/{}", "a".repeat(length - 1)));
        for (name, value) in fields {
            request = request.header(name, value);
        }
        sender.ready().await.unwrap();
        let answer = sender.send_request(request.body(http2::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status);
        answer.into_body().collect().await.unwrap();
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_not_waited_for_long() {
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::default() };
    let (proxy, upstream) = limited(limits).await;
    let mut client = Client::connect(proxy.address).await;
    client.get("/", "").await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nx-").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (408, "408 Request Timeout: head-timeout\n"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.rest().await, b"");
    assert_eq!(refused(&proxy, "head-timeout"), 1);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_has_its_line_in_the_access_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let access_log = Some(AccessLogTarget::File(file.clone()));
    let limits = Limits { head_timeout: Duration::from_millis(200), ..Limits::default() };
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), Settings { limits, access_log, ..settings() });
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    for (sent, reason, status) in [
        ("this is no request\r\n\r\n", "malformed-head", 400),
        (long.as_str(), "head-too-long", 431),
        (target.as_str(), "target-too-long", 414),
        ("GET / HTTP/1.1\r\nHost: a\r\nx-", "head-timeout", 408),
    ] {
        let mut client = Client::connect(proxy.address).await;
        client.send(sent).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{reason}: {}", answer.head);
        let told = [format!("\"status\":{status},"), format!("\"banyan_reason\":\"{reason}\"")];
        proxy.until(reason, || {
            let lines = std::fs::read_to_string(&file).unwrap_or_default();
            lines.lines().any(|line| told.iter().all(|part| line.contains(part)))
        });
    }
    assert!(upstream.seen().is_empty());
}

/// Nothing is owed on a connection that rests, so nothing is said when it has rested enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_rests_for_a_while() {
    let limits = Limits {
        head_timeout: Duration::from_secs(30),
        keep_alive: Duration::from_millis(200),
        ..Limits::default()
    };
    let (proxy, _upstream) = limited(limits).await;
    let mut fresh = Client::connect(proxy.address).await;
    assert_eq!(fresh.rest().await, b"");
    let mut used = Client::connect(proxy.address).await;
    used.get("/", "").await;
    assert_eq!(used.rest().await, b"");
    let (mut sender, connection) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
    let request = Request::get("http://shop.test/").body(http2::empty()).unwrap();
    sender.send_request(request).await.unwrap();
    connection.await.unwrap().unwrap();
    assert_eq!(refused(&proxy, "head-timeout"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_may_take_longer_than_a_rest() {
    let limits = Limits { keep_alive: Duration::from_millis(100), ..Limits::default() };
    let (proxy, _upstream) = limited(limits).await;
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\n").await;
    // Longer than it could have rested: this is what is tested, and no wait for luck.
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.send("Host: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_so_many_requests() {
    let (proxy, upstream) = limited(Limits { requests_per_connection: Some(3), ..Limits::default() }).await;
    let mut client = Client::connect(proxy.address).await;
    for expected in [None, None, Some("close")] {
        assert_eq!(client.get("/", "").await.header("connection"), expected);
    }
    assert_eq!(client.rest().await, b"");

    let (mut sender, connection) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
    for _ in 0..3 {
        sender.ready().await.unwrap();
        let request = Request::get("http://shop.test/").body(http2::empty()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    }
    connection.await.unwrap().expect("GOAWAY without an error");
    assert_eq!(upstream.seen().len(), 6);
}

/// The connection is closed, and counted.
async fn assert_refused(proxy: &Proxy, reason: &str) {
    let series = format!("banyan_connections_refused_total{{reason=\"{reason}\"}}");
    let before = proxy.count(&series);
    let mut client = Client::connect(proxy.address).await;
    assert!(client.next().await.is_none());
    proxy.until("counted", || proxy.count(&series) > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_at_a_time() {
    let (proxy, _upstream) = limited(Limits { connections: Some(2), ..Limits::default() }).await;
    let mut first = Client::connect(proxy.address).await;
    let mut second = Client::connect(proxy.address).await;
    assert_eq!(first.get("/", "").await.status, 200);
    assert_eq!(second.get("/", "").await.status, 200);
    assert_refused(&proxy, "too-many").await;
    assert_eq!(first.get("/", "").await.status, 200, "who is in stays in");
    drop(second);
    proxy.until("one left", || proxy.count("banyan_open_connections") == 1);
    let mut third = Client::connect(proxy.address).await;
    while third.next_status().await.is_none() {
        // The metric falls a moment before the place is free.
        third = Client::connect(proxy.address).await;
    }
    assert_eq!(proxy.drained(), Drained::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_of_one_address() {
    let limits = Limits { connections_per_address: Some(1), ..Limits::default() };
    let upstream = Upstream::named("ok").await;
    let settings =
        Settings { limits, proxy_protocol_from: vec!["127.0.0.1/32".parse().unwrap()], ..settings() };
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let of = async |address: &str| {
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("PROXY TCP4 {address} 127.0.0.1 1 1\r\n")).await;
        client
    };
    let mut first = of("192.0.2.1").await;
    let mut other = of("192.0.2.2").await;
    assert_eq!(first.get("/", "").await.status, 200);
    assert_eq!(other.get("/", "").await.status, 200);
    assert!(of("192.0.2.1").await.next().await.is_none());
    assert_eq!(proxy.count(r#"banyan_connections_refused_total{reason="too-many-of-address"}"#), 1);
    assert_eq!(first.get("/", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_have_more_fields_than_a_request() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut request = [0; 4096];
        while let Ok(read) = stream.read(&mut request).await
            && read > 0
        {
            // The target says how many.
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let count: usize = text.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{}\r\n", fields(count));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let answer = get(proxy.address, "/256", "").await;
    assert_eq!((answer.status, answer.header("x-255")), (200, Some("1")));
    let answer = get(proxy.address, "/257", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (502, Some("bad-answer")));
}
