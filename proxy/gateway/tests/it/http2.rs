//! HTTP/2 on the way in, to an upstream that speaks HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use banyan_gateway::{Drained, Settings};

use crate::client;
use crate::proxy::{Proxy, legacy_at, settings};
use crate::upstream::Upstream;

pub(crate) type Body = BoxBody<Bytes, Infallible>;
type Sender = http2::SendRequest<Body>;

pub(crate) fn empty() -> Body {
    Empty::new().boxed()
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).boxed()
}

/// A connection that begins with the preface of HTTP/2, whose task is told beside it.
pub(crate) async fn over<S>(stream: S) -> (Sender, tokio::task::JoinHandle<hyper::Result<()>>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let builder = http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

async fn connect(address: SocketAddr) -> Sender {
    over(TcpStream::connect(address).await.unwrap()).await.0
}

fn get(target: &str) -> Request<Body> {
    Request::get(format!("http://shop.test{target}")).body(empty()).unwrap()
}

async fn text(answer: Response<hyper::body::Incoming>) -> String {
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn requests_go_through_side_by_side_on_one_connection() {
    let upstream = Upstream::http(|seen| Response::new(Full::new(Bytes::from(seen.target.clone())))).await;
    let proxy = Proxy::before(&upstream);
    let sender = connect(proxy.address).await;
    let asked = (0..100).map(|number| {
        let mut sender = sender.clone();
        async move {
            let answer = sender.send_request(get(&format!("/{number}?x"))).await.unwrap();
            assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));
            assert_eq!(text(answer).await, format!("/{number}?x"));
        }
    });
    futures_util::future::join_all(asked).await;
    let counted = proxy.metric("banyan_requests_total{route=\"default\",arm=\"legacy\",code_class=\"2xx\"}");
    assert!((counted - 100.0).abs() < 0.5, "{counted}");
}

#[tokio::test]
async fn the_authority_is_the_host_and_cookies_are_one_line() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut request = get("/");
    request.headers_mut().append("cookie", HeaderValue::from_static("a=1"));
    request.headers_mut().append("cookie", HeaderValue::from_static("b=2"));
    request.headers_mut().append("te", HeaderValue::from_static("trailers"));
    let answer = connect(proxy.address).await.send_request(request).await.unwrap();
    assert_eq!(text(answer).await, "ok");
    let seen = &upstream.seen()[0].headers;
    for (name, expected) in
        [("host", "shop.test"), ("cookie", "a=1; b=2"), ("te", "trailers"), ("x-forwarded-host", "shop.test")]
    {
        assert_eq!(seen[name], expected, "{name}");
    }
    assert_eq!(seen.get_all("host").iter().count(), 1);
}

#[tokio::test]
async fn a_host_that_is_not_the_authority_is_refused() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut sender = connect(proxy.address).await;
    let mut request = get("/");
    request.headers_mut().insert("host", HeaderValue::from_static("other.test"));
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["banyan-reason"], "bad-host");
    // The connection serves on.
    assert_eq!(sender.send_request(get("/")).await.unwrap().status(), 200);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n0\r\nchecksum: 7\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
        }
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: sum\r\n\r\n3\r\nyes\r\n0\r\nsum: 3\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let trailers = HeaderMap::from_iter([("checksum".parse().unwrap(), HeaderValue::from_static("7"))]);
    let frames = [Frame::data(Bytes::from_static(b"hello")), Frame::trailers(trailers)];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
    let request = Request::post("http://shop.test/").header("te", "trailers").header("trailer", "checksum");
    let request = request.body(BodyExt::boxed(body)).unwrap();
    let answer = connect(proxy.address).await.send_request(request).await.unwrap();
    let collected = answer.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["sum"], "3");
    assert_eq!(collected.to_bytes(), "yes");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_resets_the_stream_and_no_other() {
    let upstream = Upstream::raw(|mut stream| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut seen).await.unwrap() == 0 {
                return;
            }
        }
        let whole = seen.starts_with(b"GET /whole");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe").await.unwrap();
        if whole {
            stream.write_all(b"llo").await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut sender = connect(proxy.address).await;
    // The reset may overtake the head.
    if let Ok(broken) = sender.send_request(get("/broken")).await {
        broken.into_body().collect().await.expect_err("an answer that is not whole must not look whole");
    }
    assert_eq!(text(sender.send_request(get("/whole")).await.unwrap()).await, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_a_stream_ends_the_request_at_the_upstream() {
    let (ended, mut is_ended) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let ended = ended.clone();
        async move {
            let mut seen = Vec::new();
            while stream.read_buf(&mut seen).await.is_ok_and(|count| count > 0) {}
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut sender = connect(proxy.address).await;
    let asked = tokio::spawn(sender.send_request(get("/")));
    proxy.until("forwarded", || upstream.connections() == 1);
    asked.abort();
    timeout(Duration::from_secs(10), is_ended.recv()).await.expect("the upstream's connection ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drain_lets_streams_end_and_begins_no_more() {
    let (go, went) = tokio::sync::watch::channel(false);
    let upstream = Upstream::raw(move |mut stream| {
        let mut went = went.clone();
        async move {
            let mut seen = Vec::new();
            while !seen.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
            }
            went.wait_for(|go| *go).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate").await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let (mut sender, connection) = over(TcpStream::connect(proxy.address).await.unwrap()).await;
    let asked = tokio::spawn(sender.send_request(get("/")));
    proxy.until("forwarded", || upstream.connections() == 1);
    proxy.stop();
    proxy.until("closed to newcomers", || !proxy.gateway.is_accepting());
    go.send_replace(true);
    assert_eq!(text(asked.await.unwrap().unwrap()).await, "late");
    timeout(Duration::from_secs(10), connection).await.expect("GOAWAY ends the connection").unwrap().unwrap();
    assert_eq!(proxy.drained(), Drained::Clean);
}

#[tokio::test]
async fn without_h2c_the_preface_is_no_request() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), Settings { h2c: false, ..settings() });
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(!answer.starts_with(b"\0"), "no frames: {answer:?}");
    assert_eq!(client::get(proxy.address, "/", "").await.text(), "ok");
}

#[tokio::test]
async fn a_request_that_comes_in_small_pieces_is_told_from_http2() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let mut client = client::Client::connect(proxy.address).await;
    for piece in ["P", "RI", " /x HTTP/1.1\r\nHo", "st: shop.test\r\n\r", "\n"] {
        client.send(piece).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.text(), "ok");
    assert_eq!(upstream.seen()[0].target, "/x");
    let mut body = client::Client::connect(proxy.address).await;
    body.send("POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\n\r\nhello").await;
    assert_eq!(body.answer().await.text(), "ok");
    assert_eq!(upstream.seen()[1].body, "hello");
}

#[tokio::test]
async fn a_large_answer_waits_for_a_slow_client() {
    let upstream = Upstream::http(|_| Response::new(Full::new(Bytes::from(vec![b'x'; 8 << 20])))).await;
    let proxy = Proxy::before(&upstream);
    let mut sender = connect(proxy.address).await;
    let slow = sender.send_request(get("/")).await.unwrap();
    // The other stream is not held up by the one nobody reads.
    let quick =
        sender.send_request(Request::head("http://shop.test/").body(full("")).unwrap()).await.unwrap();
    assert_eq!(quick.status(), 200);
    assert_eq!(slow.into_body().collect().await.unwrap().to_bytes().len(), 8 << 20);
}

#[tokio::test]
async fn an_answer_of_our_own_to_head_has_no_body() {
    let upstream = Upstream::named("ok").await;
    let retired =
        format!("{}[[route]]\nname = \"old\"\npath = \"/old\"\nretire = {{}}\n", legacy_at(&upstream.url()));
    let proxy = Proxy::start(&retired);
    let mut sender = connect(proxy.address).await;
    for target in ["/old", "/%zz"] {
        let request = Request::head(format!("http://shop.test{target}")).body(empty()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 410), "{target}");
        assert!(answer.headers().contains_key("content-length"), "{target}");
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "", "{target}");
    }
}

#[tokio::test]
async fn an_upload_does_not_wait_for_a_permission_that_cannot_come() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let request =
        Request::post("http://shop.test/").header("expect", "100-continue").body(full("hello")).unwrap();
    let answer = connect(proxy.address).await.send_request(request).await.unwrap();
    assert_eq!(text(answer).await, "ok");
    let seen = &upstream.seen()[0];
    assert_eq!((&*seen.body, seen.headers.get("expect")), (&b"hello"[..], None));
}

#[tokio::test]
async fn uploads_that_wait_do_not_hold_up_others() {
    // It reads the heads, and no body but that of `/quick`.
    let upstream = Upstream::raw(|mut stream| async move {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            seen.push(byte);
        }
        if seen.starts_with(b"POST /quick") {
            while !seen.ends_with(b"hello") {
                let Ok(byte) = stream.read_u8().await else { return };
                seen.push(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut sender = connect(proxy.address).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let body = Full::new(Bytes::from(vec![b'x'; 64 << 20])).boxed();
        let request = Request::post("http://shop.test/held").body(body).unwrap();
        held.push(tokio::spawn(sender.send_request(request)));
    }
    while upstream.connections() < 16 {
        tokio::task::yield_now().await;
    }
    let request =
        Request::post("http://shop.test/quick").header("content-length", "5").body(full("hello")).unwrap();
    let quick = timeout(Duration::from_secs(20), sender.send_request(request)).await;
    assert_eq!(text(quick.expect("it is not held up").unwrap()).await, "ok");
}
