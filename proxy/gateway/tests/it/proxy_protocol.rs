//! A load balancer in front says in a PROXY header whom it speaks for.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use banyan_gateway::{AccessLogTarget, Drained, Limits, Settings};
use http::Request;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::authority::Authority;
use crate::client::Client;
use crate::http2;
use crate::proxy::{Proxy, legacy_at, settings};
use crate::tls::{ask, with_tls};
use crate::upstream::Upstream;

const LINE: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
const REFUSED: &str = r#"banyan_connections_refused_total{reason="bad-proxy-header"}"#;

fn behind_a_balancer() -> Settings {
    Settings { proxy_protocol_from: vec!["127.0.0.0/8".parse().unwrap()], ..settings() }
}

/// Version 2: TCP over IPv6 from `2001:db8::7`, with an extension.
fn binary() -> Vec<u8> {
    let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let block = [&address[..], &address, &[0xdc, 4, 1, 0xbb], &[4, 0, 1, 0]].concat();
    let length = u8::try_from(block.len()).unwrap();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0", &[length][..], &block].concat()
}

/// A connection that begins with these bytes.
async fn connect(proxy: &Proxy, header: &[u8]) -> Client {
    let mut client = Client::connect(proxy.address).await;
    client.send(header).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stated_client_is_the_client() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), behind_a_balancer());
    for (header, expected, node) in [
        (LINE.as_bytes(), "192.0.2.7", "for=192.0.2.7;"),
        (&binary(), "2001:db8::7", "for=\"[2001:db8::7]\";"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1", "for=127.0.0.1;"),
        // A health check of the balancer itself.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1", "for=127.0.0.1;"),
    ] {
        let mut client = connect(&proxy, header).await;
        // The header counts for the whole connection, and nobody else's word does.
        for lines in ["", "X-Forwarded-For: 203.0.113.9\r\n"] {
            assert_eq!(client.get("/", lines).await.text(), "ok");
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.headers["x-forwarded-for"], expected);
            assert!(seen.headers["forwarded"].to_str().unwrap().starts_with(node), "{:?}", seen.headers);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_may_come_in_pieces_and_with_the_request() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), behind_a_balancer());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for header in [LINE.as_bytes(), &binary()] {
        let whole = [header, request].concat();
        for cut in [1, 5, 11, 14, 20, header.len() - 1, header.len(), header.len() + 3] {
            let mut client = Client::connect(proxy.address).await;
            client.stream.set_nodelay(true).unwrap();
            client.send(&whole[..cut]).await;
            tokio::task::yield_now().await;
            client.send(&whole[cut..]).await;
            assert_eq!(client.answer().await.text(), "ok", "{cut}");
        }
    }
    assert_eq!(upstream.seen().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_must_send_it_and_does_not_is_refused() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), behind_a_balancer());
    for bytes in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 +443\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        assert!(connect(&proxy, bytes.as_bytes()).await.next().await.is_none(), "{bytes}");
    }
    proxy.until("counted", || proxy.count(REFUSED) == 3);
    // Half a header, then the end.
    let mut client = connect(&proxy, &LINE.as_bytes()[..9]).await;
    client.stream.shutdown().await.unwrap();
    assert!(client.next().await.is_none());
    proxy.until("counted", || proxy.count(REFUSED) == 4);
    // Who only looks whether the port is open has done nothing wrong.
    let mut client = Client::connect(proxy.address).await;
    client.stream.shutdown().await.unwrap();
    assert!(client.next().await.is_none());
    assert_eq!((proxy.count(REFUSED), upstream.seen().len()), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_others_it_is_not_looked_for() {
    let upstream = Upstream::named("ok").await;
    let from = vec!["192.0.2.0/24".parse().unwrap()];
    let settings = Settings { proxy_protocol_from: from, ..settings() };
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), settings);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.text(), "ok");
    assert_eq!(upstream.seen()[0].headers["x-forwarded-for"], "127.0.0.1");
    let mut liar = connect(&proxy, LINE.as_bytes()).await;
    assert_eq!(liar.get("/", "").await.status, 400, "a line that is no request");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_waited_for_longer_than_for_a_head() {
    let upstream = Upstream::named("ok").await;
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), Settings { limits, ..behind_a_balancer() });
    assert!(connect(&proxy, b"PROXY TCP4 192.").await.next().await.is_none());
    let late = r#"banyan_connections_refused_total{reason="late-proxy-header"}"#;
    proxy.until("counted", || proxy.count(late) == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_before_tls_and_before_http2() {
    let authority = Authority::new();
    let upstream = Upstream::named("ok").await;
    let with_tls = with_tls(vec![authority.sign("shop", &["shop.test"])], None);
    let proxy = Proxy::start_with(
        &legacy_at(&upstream.url()),
        Settings { proxy_protocol_from: behind_a_balancer().proxy_protocol_from, ..with_tls },
    );
    let stated = async |address: SocketAddr| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(LINE.as_bytes()).await.unwrap();
        stream
    };
    let connector = authority.client(&[b"http/1.1"], None);
    let stream = stated(proxy.gateway.tls_addresses()[0]).await;
    let mut stream = connector.connect("shop.test".try_into().unwrap(), stream).await.unwrap();
    assert!(ask(&mut stream).await.unwrap().ends_with("ok"));

    let (mut sender, _) = http2::over(stated(proxy.address).await).await;
    let request = Request::get("http://shop.test/2").body(http2::empty()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ok");
    for seen in upstream.seen() {
        assert_eq!(seen.headers["x-forwarded-for"], "192.0.2.7");
    }
    assert_eq!(upstream.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn stickiness_and_the_access_log_go_by_the_stated_client() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let text = format!(
        "{}sticky = [\"client-ip\"]\n[upstreams.legacy]\ntargets = [\"{}\"]\n[upstreams.new]\n\
         targets = [\"{}\"]\n[[route]]\nname = \"all\"\npath = \"/*\"\nto = \"new\"\npercent = 50\n",
        "version = 1\n[defaults]\nlegacy = \"legacy\"\n",
        legacy.url(),
        candidate.url()
    );
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let settings = Settings { access_log: Some(AccessLogTarget::File(log.clone())), ..behind_a_balancer() };
    let proxy = Proxy::start_with(&text, settings);
    let mut arms = Vec::new();
    for _ in 0..2 {
        for last in 1..=20 {
            let line = format!("PROXY TCP4 192.0.2.{last} 198.51.100.1 56324 443\r\n");
            arms.push(connect(&proxy, line.as_bytes()).await.get("/", "").await.text().to_owned());
        }
    }
    assert_eq!(arms[..20], arms[20..], "a client keeps its arm");
    assert!(arms.contains(&"legacy".to_owned()) && arms.contains(&"candidate".to_owned()), "{arms:?}");
    assert_eq!(proxy.drained(), Drained::Clean);
    let lines = std::fs::read_to_string(log).unwrap();
    assert!(lines.lines().next().unwrap().contains(r#""client":"192.0.2.1""#), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drain_does_not_wait_for_it() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::start_with(&legacy_at(&upstream.url()), behind_a_balancer());
    let mut client = std::net::TcpStream::connect(proxy.address).unwrap();
    client.write_all(b"PROXY ").unwrap();
    // This one came after it, and is being served.
    assert_eq!(connect(&proxy, LINE.as_bytes()).await.get("/", "").await.text(), "ok");
    assert_eq!(proxy.drained(), Drained::Clean);
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
}
