//! Stopping without losing a request.

use std::time::Duration;

use banyan_gateway::{AccessLogTarget, Drained, Gateway, StartError};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::client::Client;
use crate::proxy::{Proxy, legacy_at, settings, table};
use crate::upstream::Upstream;

/// Answers when released.
async fn held(released: watch::Receiver<bool>) -> Upstream {
    Upstream::raw(move |mut stream| {
        let mut released = released.clone();
        async move {
            let mut sink = [0; 4096];
            let _ = stream.read(&mut sink).await;
            let _ = released.wait_for(|released| *released).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_finishes() {
    let (release, released) = watch::channel(false);
    let upstream = held(released).await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    proxy.until("in flight", || proxy.gateway.targets()[0].inflight == 1);
    proxy.stop();
    proxy.until("not accepting", || !proxy.gateway.is_accepting());
    release.send(true).unwrap();
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "done"));
    assert_eq!(answer.header("connection"), Some("close"), "{}", answer.head);
    assert_eq!(client.rest().await, b"");
    assert_eq!(proxy.drained(), Drained::Clean);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_the_stop_up() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.get("/", "").await;
    assert_eq!(proxy.drained(), Drained::Clean);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_in_time_is_cut_off() {
    let (_release, released) = watch::channel(false);
    let upstream = held(released).await;
    let text = legacy_at(&upstream.url());
    let proxy = Proxy::start_with(
        &text,
        banyan_gateway::Settings { drain_timeout: Duration::from_millis(200), ..settings() },
    );
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    proxy.until("in flight", || proxy.gateway.targets()[0].inflight == 1);
    assert_eq!(proxy.drained(), Drained::CutOff { connections: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_taken_is_told_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let settings = banyan_gateway::Settings { listen: vec![taken.local_addr().unwrap()], ..settings() };
    let started =
        Gateway::new(settings, table(&legacy_at("http://127.0.0.1:1")), 1, &prometheus::Registry::new());
    assert!(matches!(started, Err(StartError::Bind { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_tells_who_answered_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let upstream = Upstream::named("ok").await;
    let log = Some(AccessLogTarget::File(path.clone()));
    let proxy = Proxy::start_with(
        &legacy_at(&upstream.url()),
        banyan_gateway::Settings { access_log: log, ..settings() },
    );
    let mut client = Client::connect(proxy.address).await;
    client.get("/page?token=secret1", "Authorization: Bearer secret2\r\nCookie: session=secret3\r\n").await;
    assert_eq!(proxy.drained(), Drained::Clean);
    let text = std::fs::read_to_string(path).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["route"], "default");
    assert_eq!(line["arm"], "legacy");
    assert_eq!(line["status"], 200);
    assert_eq!(line["path"], "/page");
    assert_eq!(line["bytes_out"], 2);
    assert_eq!(line["upstream"], "legacy");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_our_own_is_logged_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = Some(AccessLogTarget::File(path.clone()));
    let dead = legacy_at(&format!("http://{}", crate::upstream::nobody()));
    let proxy = Proxy::start_with(&dead, banyan_gateway::Settings { access_log: log, ..settings() });
    let answer = crate::client::get(proxy.address, "/", "").await;
    assert_eq!(proxy.drained(), Drained::Clean);
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!((&line["arm"], &line["status"]), (&"banyan".into(), &502.into()), "{line}");
    assert_eq!((&line["banyan_reason"], &line["retries"]), (&"connect-error".into(), &1.into()), "{line}");
    assert_eq!(line["bytes_out"], answer.body.len());
    assert!(line["aborted"].is_null(), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_accepted_just_before_the_stop_is_served() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    proxy.until("accepted", || proxy.metric("banyan_open_connections") >= 1.0);
    proxy.stop();
    proxy.until("not accepting", || !proxy.gateway.is_accepting());
    let answer = client.get("/", "").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{}", answer.head);
    assert_eq!(proxy.drained(), Drained::Clean);
}

/// What the server still holds for a client that takes it slowly belongs to the answer, though the upstream is done.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_a_client_that_takes_its_answer_slowly() {
    const LENGTH: usize = 3 << 20;
    let upstream = Upstream::http(|_| Response::new(Full::new(Bytes::from(vec![b'x'; LENGTH])))).await;
    let settings = banyan_gateway::Settings { drain_timeout: Duration::from_mins(1), ..settings() };
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(proxy.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").await.unwrap();
    let mut taken = vec![0; 16 << 10];
    let mut count = 0;
    // Until the upstream has given all of it, and the last part waits in the proxy.
    while proxy.metric(r#"banyan_requests_total{route="default",arm="legacy",code_class="2xx"}"#) < 0.5 {
        count += stream.read(&mut taken).await.unwrap();
    }
    proxy.stop();
    // Longer than a connection without requests is given.
    tokio::time::sleep(Duration::from_secs(4)).await;
    loop {
        match stream.read(&mut taken).await.unwrap() {
            0 => break,
            more => count += more,
        }
    }
    assert!(count > LENGTH, "{count} bytes of head and {LENGTH}");
    assert_eq!(proxy.drained(), Drained::Clean);
}
