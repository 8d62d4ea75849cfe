//! HTTP/2 on the way to an upstream.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::authority::Authority;
use crate::client::{Client, get};
use crate::http2;
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::{Seen, Upstream};

const PATIENCE: Duration = Duration::from_secs(10);

fn ok(_: &Seen) -> Response<Full<Bytes>> {
    Response::new(Full::new(Bytes::from("ok")))
}

/// Everything to one upstream that speaks HTTP/2 without TLS.
fn by_http2(upstream: &Upstream, lines: &str) -> String {
    format!("{}http2 = \"prior-knowledge\"\n{lines}\n", legacy_at(&upstream.url()))
}

/// Hands every stream to the script, with its number over all connections.
async fn scripted<F, A>(builder: h2::server::Builder, script: F) -> Upstream
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>, u32) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicU32::new(0));
    Upstream::raw(move |stream: TcpStream| {
        let (script, builder, count) = (script.clone(), builder.clone(), Arc::clone(&count));
        async move {
            let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                let number = count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(script(request, respond, number));
            }
        }
    })
    .await
}

fn answer(respond: &mut SendResponse<Bytes>, text: &'static str) {
    let mut body = respond.send_response(Response::new(()), false).unwrap();
    body.send_data(Bytes::from_static(text.as_bytes()), true).unwrap();
}

async fn post(proxy: &Proxy, lines: &str, body: &str) -> u16 {
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: shop.test\r\n{lines}\r\n{body}")).await;
    client.answer().await.status
}

#[tokio::test]
async fn fields_are_those_of_http2() {
    let upstream = Upstream::http2(ok).await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    let lines = "Connection: x-mine, te, keep-alive\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers, gzip\r\n\
                 Cookie: a=1\r\nTransfer-Encoding: chunked\r\n";
    client
        .send(format!("POST /a%20b?c HTTP/1.1\r\nHost: Shop.test:81\r\n{lines}\r\n2\r\nhi\r\n0\r\n\r\n"))
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "ok"));
    assert!(answer.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.head);
    let seen = &upstream.seen()[0];
    assert_eq!((seen.version, seen.target.as_str()), (Version::HTTP_2, "http://Shop.test:81/a%20b?c"));
    assert_eq!(&seen.body[..], b"hi");
    assert!(seen.headers["te"] == "trailers" && seen.headers["cookie"] == "a=1", "{:?}", seen.headers);
    for gone in ["host", "connection", "keep-alive", "transfer-encoding", "x-mine"] {
        assert!(!seen.headers.contains_key(gone), "{gone}: {:?}", seen.headers);
    }
    assert_eq!(seen.headers["x-forwarded-host"], "Shop.test:81");
}

#[tokio::test]
async fn requests_without_a_host_and_for_the_server_itself_have_an_authority() {
    let upstream = Upstream::http2(ok).await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let mut client = Client::connect(proxy.address).await;
    client.send("OPTIONS * HTTP/1.1\r\nHost: shop.test\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let targets: Vec<_> = upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets[0], format!("http://{}/", upstream.address));
    assert!(targets[1].contains("shop.test"), "{targets:?}");
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_the_connection() {
    let upstream = Upstream::http2(|seen| {
        let status = if seen.target.ends_with("/gone") { 304 } else { 200 };
        let body = if seen.method == "GET" && status == 200 { "ok" } else { "" };
        let answer = Response::builder().status(status).header("content-length", "2");
        answer.body(Full::new(Bytes::from(body))).unwrap()
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    for (asked, status) in [("HEAD /", 200), ("GET /gone", 304), ("HEAD /gone", 304)] {
        client.send(format!("{asked} HTTP/1.1\r\nHost: shop.test\r\n\r\n")).await;
        let answer = client.head().await;
        assert_eq!(answer.status, status, "{asked}");
        assert!(status == 304 || answer.header("content-length") == Some("2"), "{}", answer.head);
    }
    assert_eq!(client.get("/", "").await.text(), "ok");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn requests_of_a_worker_share_one_connection_from_the_first_on() {
    let upstream = Upstream::http2(|seen| Response::new(Full::new(Bytes::from(seen.target.clone())))).await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let asked = (0..64).map(|number| {
        let address = proxy.address;
        async move {
            let answer = get(address, &format!("/{number}"), "").await;
            assert_eq!(answer.text(), format!("http://shop.test/{number}"));
        }
    });
    futures_util::future::join_all(asked).await;
    assert!(upstream.connections() <= 2, "two workers: {}", upstream.connections());
    proxy.until("nothing in flight", || proxy.gateway.targets()[0].inflight == 0);
}

#[tokio::test]
async fn more_connections_are_opened_when_streams_run_out_and_never_more_than_allowed() {
    for (limit, most) in [("", 30), ("max_connections = 2", 2)] {
        let (open, peak) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (now, highest) = (Arc::clone(&open), Arc::clone(&peak));
        let builder = h2::server::Builder::new().max_concurrent_streams(2).clone();
        let upstream = scripted(builder, move |_, mut respond, _| {
            let (now, highest) = (Arc::clone(&now), Arc::clone(&highest));
            async move {
                highest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                answer(&mut respond, "ok");
            }
        })
        .await;
        let proxy = Proxy::start(&by_http2(&upstream, limit));
        // From here on it is known how many each connection takes.
        assert_eq!(get(proxy.address, "/", "").await.status, 200);
        let asked = (0..20).map(|_| get(proxy.address, "/", ""));
        let statuses: Vec<_> =
            futures_util::future::join_all(asked).await.iter().map(|answer| answer.status).collect();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        assert!(upstream.connections() <= most, "{}", upstream.connections());
        assert!(limit.is_empty() || peak.load(Ordering::SeqCst) <= 4, "{peak:?}");
    }
}

#[tokio::test]
async fn a_connection_that_says_goodbye_costs_no_request() {
    let upstream = Upstream::raw(|stream: TcpStream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        // The last one of this connection, and the answer comes after saying so.
        connection.graceful_shutdown();
        let answered = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer(&mut respond, "ok");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = answered => {}
            () = async { while connection.accept().await.is_some() {} } => {}
        }
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    for _ in 0..20 {
        assert_eq!(post(&proxy, "Content-Length: 2\r\n", "hi").await, 200);
    }
}

/// hyper's client hands no interim answer of HTTP/2 on: neither a permission nor a hint.
#[tokio::test]
async fn interim_answers_are_not_heard_and_the_body_goes_after_a_second() {
    let upstream = scripted(h2::server::Builder::new(), |request, mut respond, _| async move {
        for status in [103, 100] {
            let interim = Response::builder().status(status).header("link", "</a>").body(()).unwrap();
            respond.send_informational(interim).unwrap();
        }
        let mut body = request.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "hi");
        answer(&mut respond, "ok");
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    let begun = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await;
    assert_eq!(client.head().await.status, 100);
    assert!(begun.elapsed() >= Duration::from_secs(1), "docs/upstreams.md says so: {:?}", begun.elapsed());
    client.send("hi").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text(), answer.header("link")), (200, "ok", None));
    assert_eq!(proxy.count("banyan_informational_dropped_total"), 0, "what is not heard cannot be counted");
}

#[tokio::test]
async fn what_was_refused_unread_is_asked_once_more() {
    for (lines, body, expected) in [("Content-Length: 0\r\n", "", 200), ("Content-Length: 2\r\n", "hi", 502)]
    {
        let upstream = scripted(h2::server::Builder::new(), |_, mut respond, number| async move {
            if number == 0 {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                answer(&mut respond, "ok");
            }
        })
        .await;
        let proxy = Proxy::start(&by_http2(&upstream, ""));
        assert_eq!(post(&proxy, lines, body).await, expected, "what was pulled of a body is gone");
        assert_eq!(upstream.connections(), 1);
    }
    let upstream = scripted(h2::server::Builder::new(), |_, mut respond, _| async move {
        respond.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    assert_eq!(post(&proxy, "Content-Length: 0\r\n", "").await, 502);
    let attempts = proxy.metric("banyan_attempts_total{route=\"default\",arm=\"legacy\",outcome=\"reset\"}");
    assert!((attempts - 1.0).abs() < 0.5, "an unsafe request that may have been read: {attempts}");
}

#[tokio::test]
async fn a_stream_reset_in_its_body_is_never_a_whole_answer() {
    let upstream = scripted(h2::server::Builder::new(), |_, mut respond, _| async move {
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"half"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        body.send_reset(Reason::ENHANCE_YOUR_CALM);
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    client.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").await;
    let all = client.rest().await;
    assert!(!all.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&all));

    let (mut sender, _) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
    let request = Request::get("http://shop.test/").body(http2::empty()).unwrap();
    let error = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap_err();
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    assert_eq!(cause.and_then(h2::Error::reason), Some(Reason::ENHANCE_YOUR_CALM), "its reason passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_resets_its_stream_and_no_other() {
    let (left, mut leaves) = mpsc::channel(8);
    let upstream = scripted(h2::server::Builder::new(), move |_, mut respond, number| {
        let left = left.clone();
        async move {
            if number == 2 {
                return answer(&mut respond, "ok");
            }
            let reset = if number == 0 {
                poll_fn(|cx| respond.poll_reset(cx)).await
            } else {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                body.send_data(Bytes::from_static(b"begun"), false).unwrap();
                poll_fn(|cx| body.poll_reset(cx)).await
            };
            left.send(reset.unwrap()).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::start(&format!("{}max_connections = 1\n", by_http2(&upstream, "")));
    // Before the head of an answer, and in its body.
    for _ in 0..2 {
        let (mut sender, connection) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
        let request = Request::get("http://shop.test/").body(http2::empty()).unwrap();
        let asked = tokio::spawn(async move {
            let answer = sender.send_request(request).await;
            std::future::pending::<()>().await;
            drop(answer);
        });
        proxy.until("asked", || proxy.gateway.targets()[0].inflight == 1);
        tokio::time::sleep(Duration::from_millis(50)).await;
        asked.abort();
        assert_eq!(timeout(PATIENCE, leaves.recv()).await.unwrap(), Some(Reason::CANCEL));
        connection.abort();
    }
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
    assert_eq!(upstream.connections(), 1);
    proxy.until("nothing in flight", || proxy.gateway.targets()[0].inflight == 0);
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = scripted(h2::server::Builder::new(), |mut request, mut respond, _| async move {
        while let Some(data) = request.body_mut().data().await {
            let _ = request.body_mut().flow_control().release_capacity(data.unwrap().len());
        }
        let trailers = request.body_mut().trailers().await.unwrap().unwrap();
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        body.send_data(Bytes::from_static(b"yes"), false).unwrap();
        body.send_trailers(trailers).unwrap();
    })
    .await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let trailers = HeaderMap::from_iter([("sum".parse().unwrap(), HeaderValue::from_static("7"))]);
    let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
    let request = Request::post("http://shop.test/").header("te", "trailers").body(BodyExt::boxed(body));
    let (mut sender, _) = http2::over(TcpStream::connect(proxy.address).await.unwrap()).await;
    let answer = sender.send_request(request.unwrap()).await.unwrap();
    let collected = answer.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["sum"], "7");
    assert_eq!(collected.to_bytes(), "yes");
}

#[tokio::test]
async fn large_bodies_pass_under_flow_control() {
    const SIZE: usize = 8 << 20;
    let upstream = Upstream::http2(|seen| Response::new(Full::new(seen.body.clone()))).await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    client.send(vec![7; SIZE]).await;
    let answer = client.answer().await;
    assert_eq!(answer.body.len(), SIZE);
    assert!(answer.body.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn a_connection_that_answers_nothing_in_time_is_not_asked_again() {
    let upstream = scripted(h2::server::Builder::new(), |_, mut respond, number| async move {
        if number > 0 {
            return answer(&mut respond, "ok");
        }
        let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
    })
    .await;
    let routes = by_http2(&upstream, "max_connections = 1");
    let proxy = Proxy::start(&routes.replace("[upstreams", "timeout = \"200ms\"\n[upstreams"));
    assert_eq!(get(proxy.address, "/", "").await.header("banyan-reason"), Some("timeout"));
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn a_suspect_connection_is_asked_when_there_can_be_no_other() {
    let upstream = scripted(h2::server::Builder::new(), |_, mut respond, number| async move {
        match number {
            // One that goes on for long, and one that gets no answer.
            0 => {
                let mut body = respond.send_response(Response::new(()), false).unwrap();
                let _ = poll_fn(|cx| body.poll_reset(cx)).await;
            }
            1 => drop(poll_fn(|cx| respond.poll_reset(cx)).await),
            _ => answer(&mut respond, "ok"),
        }
    })
    .await;
    let routes = by_http2(&upstream, "max_connections = 1");
    let proxy = Proxy::start(&routes.replace("[upstreams", "timeout = \"200ms\"\n[upstreams"));
    let mut long = Client::connect(proxy.address).await;
    long.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n").await;
    assert_eq!(long.head().await.status, 200);
    assert_eq!(get(proxy.address, "/", "").await.header("banyan-reason"), Some("timeout"));
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn an_upstream_that_does_not_speak_it_after_all_is_a_failure_and_no_more() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    for _ in 0..3 {
        let answer = get(proxy.address, "/", "").await;
        assert_eq!(answer.status, 502, "{}", answer.head);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn an_upgrade_goes_by_http1_where_the_upstream_has_it_and_else_is_no_upgrade() {
    let upstream = Upstream::http2(ok).await;
    let proxy = Proxy::start(&by_http2(&upstream, ""));
    let lines = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    assert_eq!(get(proxy.address, "/", lines).await.status, 200);
    assert!(!upstream.seen()[0].headers.contains_key("upgrade"));

    let authority = Authority::new();
    let acceptor = authority.server(&[b"h2", b"http/1.1"], false);
    let told = Arc::new(Notify::new());
    let hears = Arc::clone(&told);
    let upstream = Upstream::raw(move |stream| {
        let (acceptor, told) = (acceptor.clone(), Arc::clone(&hears));
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    answer(&mut respond, "ok");
                }
                return;
            }
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
            }
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello";
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
            told.notified().await;
        }
    })
    .await;
    let root = authority.root();
    let routes = legacy_at(&upstream.https_url())
        + &format!("max_connections = 1\ntls = {{ ca_file = \"{}\" }}\n", root.display());
    let proxy = Proxy::start(&routes);
    // The only connection there may be is of HTTP/2 now.
    assert_eq!(get(proxy.address, "/", "").await.text(), "ok");
    let mut client = Client::connect(proxy.address).await;
    client.send(format!("GET / HTTP/1.1\r\nHost: shop.test\r\n{lines}\r\n")).await;
    assert_eq!(client.head().await.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(client.exactly(5).await, b"hello");
    told.notify_one();
}
