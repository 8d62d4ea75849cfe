//! Streams after a 101.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::Upstream;

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn head_of(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Accepts the upgrade, sends `early` together with the 101, then echoes.
async fn echo(early: &'static str) -> Upstream {
    Upstream::raw(move |mut stream| async move {
        let head = head_of(&mut stream).await.to_ascii_lowercase();
        assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(format!("{answer}{early}").as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
        let _ = writer.write_all(b"bye").await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_pass_both_ways_even_early_ones() {
    let upstream = echo("early").await;
    let proxy = Proxy::before(&upstream);
    for _ in 0..50 {
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("{ASK}hasty")).await;
        let answer = client.head().await;
        assert_eq!(answer.status, 101, "{}", answer.head);
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(client.exactly(10).await, b"earlyhasty");
        client.send("more").await;
        assert_eq!(client.exactly(4).await, b"more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_closing_lets_the_other_side_finish() {
    let upstream = echo("").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send(ASK).await;
    assert_eq!(client.head().await.status, 101);
    client.send("last words").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, b"last wordsbye");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_stays_http() {
    let upstream = Upstream::named("no upgrades here").await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send(ASK).await;
    assert_eq!(client.answer().await.text(), "no upgrades here");
    assert_eq!(client.get("/", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_101_nobody_asked_for_is_502() {
    let upstream = Upstream::raw(|mut stream| async move {
        head_of(&mut stream).await;
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
        let _ = stream.write_all(answer).await;
        let _ = stream.read_u8().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    assert_eq!(client.get("/", "").await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_outlives_reloads_and_stays_with_its_arm() {
    let upstream = echo("").await;
    let proxy = Proxy::before(&upstream);
    let other = Upstream::named("other").await;
    let mut client = Client::connect(proxy.address).await;
    client.send(ASK).await;
    assert_eq!(client.head().await.status, 101);
    for generation in 2..50 {
        proxy.apply(&legacy_at(&if generation % 2 == 0 { other.url() } else { upstream.url() }), generation);
        client.send("ping").await;
        assert_eq!(client.exactly(4).await, b"ping");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_closed_after_the_idle_time() {
    let upstream = echo("").await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"200ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    client.send(ASK).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.rest().await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_half_closes_still_hears_the_client() {
    let (sender, mut heard) = tokio::sync::mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let sender = sender.clone();
        async move {
            head_of(&mut stream).await;
            let answer =
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            let _ = sender.send(rest).await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    client.send(ASK).await;
    assert_eq!(client.head().await.status, 101);
    assert_eq!(client.rest().await, b"bye");
    client.send("still here").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(heard.recv().await.unwrap(), b"still here");
}
