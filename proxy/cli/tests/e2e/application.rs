//! An upstream in this process.
//!
//! | request | answer |
//! |---|---|
//! | `GET /down?bytes=N` | N bytes |
//! | `POST /up` | the number of bytes that came |
//! | `GET /events` | an endless stream (SSE) that counts, an event each 20 ms |
//! | `GET /socket` | a WebSocket that says everything back |
//! | `GET /api/order` | JSON with its name, and with a secret |
//! | `GET /api/quote?one=N&other=N` | JSON: two prices with the fee on them, besides a number and a time that no two answers share |
//! | `?NAME=STATUS` on anything else | that status, of the application with that name |
//! | `?ms=N` on anything else | its name, after N milliseconds |

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::bodies::{AnyBody, empty, full, many, streamed};

/// Between two events of `/events`.
pub(crate) const EVENT_EVERY: Duration = Duration::from_millis(20);

/// Gone when dropped, with all its connections, as if killed.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    killing: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Application {
    /// Starts one.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (killing, killed) = oneshot::channel();
        Self { address, killing, accepting: tokio::spawn(accept(listener, name, killed)) }
    }

    /// Ends it at once: requests in flight get no answer, new connections are refused. Every connection is closed when
    /// this returns.
    pub(crate) async fn kill(self) {
        let Self { killing, accepting, .. } = self;
        drop(killing);
        accepting.await.unwrap();
    }
}

async fn accept(listener: TcpListener, name: &'static str, mut killed: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = &mut killed => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| answer(name, request));
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // Who breaks off has its reason.
        connections.spawn(async { drop(serving.await) });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    connections.shutdown().await;
}

async fn answer(name: &'static str, request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let query = query(&request);
    Ok(match request.uri().path() {
        "/down" => Response::new(many(query["bytes"])),
        "/up" => Response::new(full(received(request.into_body()).await)),
        "/events" => events(),
        "/socket" => socket(request),
        "/api/order" => order(name),
        "/api/quote" => quote(name, query["one"], query["other"]),
        _ => {
            received(request.into_body()).await;
            if let Some(ms) = query.get("ms") {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
            }
            let status = query.get(name).and_then(|status| u16::try_from(*status).ok());
            let mut response = Response::new(full(name));
            *response.status_mut() = status.map_or(StatusCode::OK, |it| StatusCode::from_u16(it).unwrap());
            response
        }
    })
}

fn order(name: &str) -> Response<AnyBody> {
    let order = format!("{{\"id\":7,\"lines\":[{{\"by\":\"{name}\",\"apiKey\":\"hunter2\"}}]}}");
    Response::builder().header(CONTENT_TYPE, "application/json").body(full(order)).unwrap()
}

fn query(request: &Request<Incoming>) -> BTreeMap<String, u64> {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let number = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    pairs.filter_map(number).collect()
}

/// Reads a body to its end, keeping nothing; says how long it was, or how it failed.
async fn received(mut body: Incoming) -> String {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => return format!("broken after {bytes}: {error}"),
        }
    }
    bytes.to_string()
}

/// 2.5 % of the sum, rounded half up; the one that is named `per-line` rounds line by line.
fn quote(name: &str, one: u64, other: u64) -> Response<AnyBody> {
    let fee = |cents: u64| (cents * 25 + 500) / 1000;
    let fee = if name == "per-line" { fee(one) + fee(other) } else { fee(one + other) };
    let (number, now) =
        (fastrand::u64(..), SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros());
    let total = one + other + fee;
    let text = format!(
        r#"{{"number":"{number:016x}","at":{now},"lines":[{one},{other}],"fee_cents":{fee},"total_cents":{total}}}"#
    );
    Response::builder().header(CONTENT_TYPE, "application/json").body(full(text)).unwrap()
}

fn events() -> Response<AnyBody> {
    let (sender, body) = streamed();
    tokio::spawn(async move {
        for number in 0.. {
            if sender.send(format!("data: {number}\n\n").into()).await.is_err() {
                break;
            }
            tokio::time::sleep(EVENT_EVERY).await;
        }
    });
    Response::builder().header(CONTENT_TYPE, "text/event-stream").body(body).unwrap()
}

fn socket(mut request: Request<Incoming>) -> Response<AnyBody> {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return Response::builder().status(StatusCode::BAD_REQUEST).body(empty()).unwrap();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let stream = TokioIo::new(upgraded);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        // A goodbye is answered by the library, when it is asked for the next message.
        while let Some(Ok(message)) = socket.next().await {
            if !message.is_close() && socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let builder = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let builder = builder.header(CONNECTION, "upgrade").header(UPGRADE, "websocket");
    builder.header(SEC_WEBSOCKET_ACCEPT, key).body(empty()).unwrap()
}
