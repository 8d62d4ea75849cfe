//! WebSockets of HTTP/2 clients (RFC 8441).
//!
//! - `client`: a real client of HTTP/2, and upstreams that shake hands as RFC 6455 says.

mod client;

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use banyan_gateway::Drained;

use crate::authority::Authority;
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::Upstream;
use client::{Client, accept_of, accepting, echo, fields_of, head_of};

const COUNTED: &str = r#"banyan_requests_total{route="default",arm="legacy",code_class="1xx"}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_sees_the_upgrade_that_http1_would_send() {
    let (told, mut heads) = mpsc::channel(16);
    let upstream = accepting("Sec-WebSocket-Protocol: chat\r\n", move |head, _| {
        told.try_send(head).unwrap();
        async {}
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut keys = Vec::new();
    for _ in 0..2 {
        let mut request = client::ask("/ws?x=1");
        let fields = [
            ("sec-websocket-protocol", "chat, other"),
            ("sec-websocket-key", "bm90IGZvciB0aGUgdXBzdHJlYW0="),
            ("origin", "http://shop.test"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ];
        for (name, value) in fields {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let answer = client.send(request).await.0.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        for gone in ["upgrade", "connection", "sec-websocket-accept", "content-length", "transfer-encoding"] {
            assert!(!answer.headers().contains_key(gone), "{gone}: {:?}", answer.headers());
        }
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with("GET /ws?x=1 HTTP/1.1\r\n"), "{head}");
        let expected = [
            ("host", "shop.test"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat, other"),
            ("origin", "http://shop.test"),
            ("cookie", "a=1; b=2"),
        ];
        for (name, value) in expected {
            assert_eq!(fields_of(&head, name), [value], "{name}: {head}");
        }
        assert!(!head.contains("protocol: websocket"), "{head}");
        keys.extend(fields_of(&head, "sec-websocket-key").into_iter().map(str::to_owned));
    }
    assert_eq!(keys.len(), 2, "one each: {keys:?}");
    assert_ne!(keys[0], keys[1]);
    assert!(keys.iter().all(|key| key.len() == 24 && key.ends_with("==")), "{keys:?}");
    proxy.until("counted as with HTTP/1", || proxy.count(COUNTED) == 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_pass_both_ways_even_early_ones() {
    let upstream = accepting("", |_, mut stream| async move {
        stream.write_all(b"early").await.unwrap();
        echo(stream).await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    for _ in 0..50 {
        let mut socket = client.hasty("/ws", "hasty").await;
        assert_eq!(socket.exactly(10).await, b"earlyhasty");
        socket.send("more").await;
        assert_eq!(socket.exactly(4).await, b"more");
    }
}

/// Both at once in one segment: what comes with the 101 is not lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_the_segment_of_the_101_are_not_lost() {
    let upstream = Upstream::raw(|mut stream| async move {
        let head = head_of(&mut stream).await;
        let accept = accept_of(fields_of(&head, "sec-websocket-key")[0]);
        let answer = format!(
            "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\nearly"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    assert_eq!(client.open("/ws").await.rest().await, b"early");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn either_side_may_end_first_and_still_hears_the_other() {
    let (told, mut heard) = mpsc::channel(16);
    let upstream = accepting("", move |head, mut stream| {
        let told = told.clone();
        async move {
            let ends_first = head.starts_with("GET /first");
            if ends_first {
                stream.write_all(b"bye").await.unwrap();
                stream.shutdown().await.unwrap();
            }
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            if !ends_first {
                stream.write_all(b"goodbye").await.unwrap();
            }
            told.try_send(rest).unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/last").await;
    socket.send("last words").await;
    socket.end();
    assert_eq!(socket.rest().await, b"goodbye");
    assert_eq!(heard.recv().await.unwrap(), b"last words");

    let mut socket = client.open("/first").await;
    assert_eq!(socket.rest().await, b"bye");
    socket.send("still here").await;
    socket.end();
    assert_eq!(heard.recv().await.unwrap(), b"still here");
    proxy.until("both are over", || proxy.count(COUNTED) == 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upgrade_is_an_ordinary_answer_but_for_one_that_would_read_as_consent() {
    let upstream = Upstream::http(|seen| {
        let status = seen.target.trim_start_matches('/').parse::<u16>().unwrap();
        let answer = Response::builder().status(status).header("x-why", "not here");
        answer.body(Full::new(Bytes::from("no"))).unwrap()
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    for status in ["400", "403", "404", "426", "302", "500"] {
        let answer = client.send(client::ask(&format!("/{status}"))).await.0.await.unwrap();
        assert_eq!(
            (answer.status().as_str(), &answer.headers()["x-why"]),
            (status, &"not here".parse().unwrap())
        );
        assert_eq!(client::text(answer).await, "no");
    }
    for status in ["200", "206"] {
        let answer = client.send(client::ask(&format!("/{status}"))).await.0.await.unwrap();
        assert_eq!(answer.status(), 502);
        assert_eq!(answer.headers()["banyan-reason"], "upgrade-refused");
        assert!(!answer.headers().contains_key("x-why"), "it is Banyan's own");
    }
    assert_eq!(client.get("/200").await, "no");
    let own = r#"banyan_requests_total{route="default",arm="banyan",code_class="5xx"}"#;
    assert_eq!(proxy.count(own), 2);
    proxy.until("nothing is left behind", || proxy.gateway.targets()[0].inflight == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_another_key_is_nonsense() {
    let upstream = Upstream::raw(|mut stream| async move {
        let head = head_of(&mut stream).await;
        let right = accept_of(fields_of(&head, "sec-websocket-key")[0]);
        let lines = match head.split(' ').nth(1).unwrap() {
            "/none" => String::new(),
            "/twice" => format!("Sec-WebSocket-Accept: {right}\r\nSec-WebSocket-Accept: {right}\r\n"),
            "/other" => format!("Sec-WebSocket-Accept: {}\r\n", accept_of("dGhlIHNhbXBsZSBub25jZQ==")),
            "/protocol" => format!("Sec-WebSocket-Accept: {right}\r\nUpgrade: chat\r\n"),
            other => panic!("{other}"),
        };
        let upgrade = if lines.contains("Upgrade") { "" } else { "Upgrade: websocket\r\n" };
        let answer =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n{upgrade}{lines}\r\nhello");
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    for target in ["/none", "/twice", "/other", "/protocol"] {
        let answer = client.send(client::ask(target)).await.0.await.unwrap();
        assert_eq!(answer.status(), 502, "{target}");
        assert_eq!(answer.headers()["banyan-reason"], "bad-answer", "{target}");
        assert!(!client::text(answer).await.contains("hello"), "{target}");
    }
    assert_eq!(proxy.count(r#"banyan_upstream_errors_total{upstream="legacy",kind="bad-answer"}"#), 4);
    assert_eq!(proxy.count(COUNTED), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_websocket_is_no_tunnel() {
    let upstream = Upstream::named("ok").await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    for protocol in ["connect-udp", "websocket2", "h2c"] {
        let mut request = client::ask("/ws");
        request.extensions_mut().insert(h2::ext::Protocol::from(protocol));
        let answer = client.send(request).await.0.await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["banyan-reason"]),
            (StatusCode::NOT_IMPLEMENTED, &"connect-method".parse().unwrap())
        );
    }
    let request = http::Request::connect("shop.test:443").body(()).unwrap();
    assert_eq!(client.send(request).await.0.await.unwrap().status(), 501);
    assert_eq!(client.get("/").await, "ok");
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_host_and_sticky_key_decide_as_for_a_get() {
    let named = |name: &'static str| {
        accepting("", move |_, mut stream| async move { stream.write_all(name.as_bytes()).await.unwrap() })
    };
    let (legacy, candidate) = (named("legacy").await, named("candidate").await);
    let routes = legacy_at(&legacy.url())
        + &format!(
            "[upstreams.chat]\ntargets = [\"{}\"]\n[[route]]\nname = \"chat\"\npath = \"/chat/*\"\nhost = \"shop.test\"\n\
             methods = [\"GET\"]\nto = \"chat\"\nsticky = [\"client-ip\"]\npercent = 0\npin = [{{ header = \"x-beta\", equals = \"yes\", to = \"candidate\" }}]\n",
            candidate.url()
        );
    let proxy = Proxy::start(&routes);
    let client = Client::connect(proxy.address).await;
    for (target, beta, expected) in
        [("/chat/1", "yes", "candidate"), ("/chat/1", "no", "legacy"), ("/other", "yes", "legacy")]
    {
        let mut request = client::ask(target);
        request.headers_mut().insert("x-beta", beta.parse().unwrap());
        let answer = client.send(request).await.0.await.unwrap();
        assert_eq!(client::text(answer).await, expected, "{target} {beta}");
    }
    let mut refused = client::ask("/a%00b");
    refused.headers_mut().insert("x-beta", "yes".parse().unwrap());
    assert_eq!(client.send(refused).await.0.await.unwrap().status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_16_mib_comes_back_whole() {
    const LENGTH: usize = 16 << 20;
    let upstream = accepting("", |_, stream| echo(stream)).await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    let message: Vec<u8> = (0..LENGTH).map(|place| u8::try_from(place % 251).unwrap()).collect();
    let sent = message.clone();
    let mut sender = socket.take_sender();
    let sending = tokio::spawn(async move {
        client::send_all(&mut sender, &sent).await;
        sender
    });
    assert!(socket.exactly(LENGTH).await == message, "it changed on the way");
    drop(sending.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_takes_nothing_holds_up_its_own_stream_and_no_other() {
    const LENGTH: usize = 64 << 20;
    let upstream = accepting("", |head, stream| async move {
        if head.starts_with("GET /quick") {
            return echo(stream).await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut held = client.open("/held").await;
    let mut sender = held.take_sender();
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        while counter.load(std::sync::atomic::Ordering::Relaxed) < LENGTH {
            client::send_all(&mut sender, &[b'x'; 16 << 10]).await;
            counter.fetch_add(16 << 10, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let sent = || sent.load(std::sync::atomic::Ordering::Relaxed);
    let mut quick = client.open("/quick").await;
    let (mut quiet_for, mut before) = (0, 0);
    // Twenty round trips without a byte more of the other: it stands still.
    while quiet_for < 20 && sent() < LENGTH {
        quick.send("ping").await;
        assert_eq!(quick.exactly(4).await, b"ping");
        quiet_for = if sent() == before { quiet_for + 1 } else { 0 };
        before = sent();
    }
    assert!(sent() < LENGTH / 2, "{} bytes went where nobody reads", sent());
    sending.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_share_a_connection_with_ordinary_requests() {
    let upstream = Upstream::raw(|mut stream| async move {
        let head = head_of(&mut stream).await;
        if head.starts_with("GET /plain") {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain").await.unwrap();
        }
        client::consent(&mut stream, &head, "").await;
        echo(stream).await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut sockets = Vec::new();
    for number in 0..20 {
        sockets.push(client.open(&format!("/ws/{number}")).await);
    }
    for round in 0..10 {
        for (number, socket) in sockets.iter_mut().enumerate() {
            socket.send(&format!("{number:04}{round:04}")).await;
        }
        assert_eq!(client.get("/plain").await, "plain");
        for (number, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(socket.exactly(8).await, format!("{number:04}{round:04}").as_bytes());
        }
    }
    // One that ends takes no other with it.
    sockets.remove(7).reset();
    proxy.until("one is over", || proxy.count(COUNTED) == 1);
    for socket in &mut sockets {
        socket.send("on").await;
        assert_eq!(socket.exactly(2).await, b"on");
    }
    assert_eq!(proxy.count("banyan_open_connections"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_stream_lets_the_upstream_go_at_once() {
    let (told, mut is_over) = mpsc::channel(16);
    let upstream = accepting("", move |_, mut stream| {
        let told = told.clone();
        async move {
            stream.write_all(b"welcome").await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            told.try_send(rest).unwrap();
            // It keeps its own side open.
            std::future::pending::<()>().await;
        }
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    assert_eq!(socket.exactly(7).await, b"welcome");
    assert_eq!(proxy.count(COUNTED), 0);
    socket.reset();
    assert_eq!(is_over.recv().await.unwrap(), b"");
    // Not after the idle time, which is a minute.
    proxy.until("over", || proxy.count(COUNTED) == 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_stream_ends_after_the_idle_time_and_its_connection_goes_on() {
    let upstream = accepting("", |_, stream| echo(stream)).await;
    let text = legacy_at(&upstream.url()).replace("[upstreams", "idle_timeout = \"200ms\"\n[upstreams");
    let proxy = Proxy::start(&text);
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    assert_eq!(socket.rest().await, b"");
    let mut socket = client.open("/ws").await;
    socket.send("ping").await;
    assert_eq!(socket.exactly(4).await, b"ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_outlives_reloads_and_stays_with_its_arm() {
    let upstream = accepting("", |_, stream| echo(stream)).await;
    let other = Upstream::named("other").await;
    let proxy = Proxy::before(&upstream);
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    for generation in 2..50 {
        proxy.apply(&legacy_at(&if generation % 2 == 0 { other.url() } else { upstream.url() }), generation);
        socket.send("ping").await;
        assert_eq!(socket.exactly(4).await, b"ping");
    }
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_the_stream_and_begins_no_more() {
    let upstream = accepting("", |_, stream| echo(stream)).await;
    let proxy = Proxy::start_with(
        &legacy_at(&upstream.url()),
        banyan_gateway::Settings { drain_timeout: Duration::from_mins(1), ..crate::proxy::settings() },
    );
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    proxy.stop();
    proxy.until("closed to newcomers", || !proxy.gateway.is_accepting());
    client.until_told_to_go(&mut socket).await;
    socket.send("ping").await;
    assert_eq!(socket.exactly(4).await, b"ping");
    socket.end();
    assert_eq!(socket.rest().await, b"");
    drop((socket, client));
    assert_eq!(proxy.drained(), Drained::Clean);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstreams_with_http2_are_asked_by_http1_where_they_have_it() {
    let authority = Authority::new();
    let acceptor = authority.server(&[b"h2", b"http/1.1"], false);
    let upstream = Upstream::raw(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            assert_ne!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let head = head_of(&mut stream).await;
            client::consent(&mut stream, &head, "").await;
            let mut said = [0; 4];
            stream.read_exact(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await;
    let ca = format!("tls = {{ ca_file = \"{}\" }}\n", authority.root().display());
    let proxy = Proxy::start(&(legacy_at(&upstream.https_url()) + &ca));
    let client = Client::connect(proxy.address).await;
    let mut socket = client.open("/ws").await;
    socket.send("ping").await;
    assert_eq!(socket.rest().await, b"ping");

    let always = Upstream::http2(|_| Response::new(Full::new(Bytes::from("no")))).await;
    let proxy = Proxy::start(&(legacy_at(&always.url()) + "http2 = \"prior-knowledge\"\n"));
    let client = Client::connect(proxy.address).await;
    let answer = client.send(client::ask("/ws")).await.0.await.unwrap();
    assert_eq!(answer.headers()["banyan-reason"], "upgrade-refused");
    let seen = &always.seen()[0];
    assert_eq!((seen.method.as_str(), seen.headers.get("upgrade")), ("GET", None));
}
