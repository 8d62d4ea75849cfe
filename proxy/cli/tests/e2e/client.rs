//! One connection, one request after the other.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::PATIENCE;
use crate::bodies::{AnyBody, empty, full};

/// A connection.
pub(crate) struct Client {
    sender: SendRequest<AnyBody>,
    host: String,
}

/// No answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The connection was closed before anything was sent.
    Unsent(#[expect(dead_code, reason = "read when it is printed")] String),
    /// Something was sent, and no whole answer came.
    Lost(#[expect(dead_code, reason = "read when it is printed")] String),
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether the server said that it closes the connection.
    pub(crate) fn closes(&self) -> bool {
        self.headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
    }
}

impl Client {
    /// Opens a connection.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, NoAnswer> {
        let stream = TcpStream::connect(address).await.map_err(|error| NoAnswer::Unsent(told(&error)))?;
        stream.set_nodelay(true).map_err(|error| NoAnswer::Unsent(told(&error)))?;
        let shaken = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| NoAnswer::Unsent(told(&error)))?;
        // Its errors come back with the request.
        tokio::spawn(connection.with_upgrades());
        Ok(Self { sender, host: address.to_string() })
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&mut self, request: Request<AnyBody>) -> Result<Answer, NoAnswer> {
        let exchange = async {
            let (head, body) = self.begin(request).await?.into_parts();
            let body = body.collect().await.map_err(|error| NoAnswer::Lost(told(&error)))?;
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes() })
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        answered.unwrap_or_else(|_| Err(NoAnswer::Lost("no answer in time".to_owned())))
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) async fn begin(
        &mut self,
        mut request: Request<AnyBody>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        request.headers_mut().insert(HOST, self.host.parse().unwrap());
        self.sender.ready().await.map_err(|error| NoAnswer::Unsent(told(&error)))?;
        self.sender.try_send_request(request).await.map_err(|mut error| {
            let is_unsent = error.take_message().is_some();
            let what = told(error.error());
            if is_unsent { NoAnswer::Unsent(what) } else { NoAnswer::Lost(what) }
        })
    }
}

/// One request on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<Answer, NoAnswer> {
    Client::connect(address).await?.send(request("GET", path, empty())).await
}

/// A request.
pub(crate) fn request(method: &str, path: &str, body: AnyBody) -> Request<AnyBody> {
    Request::builder().method(method).uri(path).body(body).unwrap()
}

/// A request with JSON in it.
pub(crate) fn post(path: &str, json: &str) -> Request<AnyBody> {
    let mut request = request("POST", path, full(json.to_owned()));
    request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    request
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
