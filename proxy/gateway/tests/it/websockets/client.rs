//! A client that opens WebSockets over HTTP/2, and upstreams that consent by HTTP/1.1.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(20);

/// One connection.
pub(super) struct Client(SendRequest<Bytes>);

/// One stream after its 200.
pub(super) struct Socket {
    sender: Option<SendStream<Bytes>>,
    receiver: RecvStream,
    unread: Vec<u8>,
}

pub(super) fn ask(target: &str) -> Request<()> {
    let request = Request::connect(format!("http://shop.test{target}"));
    let request = request.header("sec-websocket-version", "13");
    request.extension(Protocol::from_static("websocket")).body(()).unwrap()
}

impl Client {
    /// Waits for the server's settings, which allow extended CONNECT (RFC 8441 3).
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, mut connection) = h2::client::Builder::new().handshake(stream).await.unwrap();
        let allowed = std::future::poll_fn(|cx| {
            let ended = Future::poll(std::pin::Pin::new(&mut connection), cx);
            assert!(ended.is_pending(), "{ended:?}");
            if sender.is_extended_connect_protocol_enabled() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        });
        timeout(PATIENCE, allowed).await.expect("extended CONNECT is announced");
        tokio::spawn(connection);
        Self(sender)
    }

    pub(super) async fn send(&self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.0.clone().ready().await.unwrap().send_request(request, false).unwrap()
    }

    pub(super) async fn open(&self, target: &str) -> Socket {
        self.hasty(target, "").await
    }

    /// Sends something before the answer has come.
    pub(super) async fn hasty(&self, target: &str, early: &'static str) -> Socket {
        let (answer, mut sender) = self.send(ask(target)).await;
        sender.send_data(Bytes::from_static(early.as_bytes()), false).unwrap();
        let answer = timeout(PATIENCE, answer).await.expect("an answer").unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.headers());
        Socket { sender: Some(sender), receiver: answer.into_body(), unread: Vec::new() }
    }

    pub(super) async fn get(&self, target: &str) -> String {
        let request = Request::get(format!("http://shop.test{target}")).body(()).unwrap();
        let (answer, _) = self.0.clone().ready().await.unwrap().send_request(request, true).unwrap();
        text(answer.await.unwrap()).await
    }

    /// Until GOAWAY has come; the stream lives on meanwhile.
    pub(super) async fn until_told_to_go(&self, socket: &mut Socket) {
        let told = async {
            while self.0.clone().ready().await.is_ok() {
                socket.send("ping").await;
                assert_eq!(socket.exactly(4).await, b"ping");
            }
        };
        timeout(PATIENCE, told).await.expect("GOAWAY");
    }
}

impl Socket {
    pub(super) async fn send(&mut self, text: &str) {
        send_all(self.sender.as_mut().unwrap(), text.as_bytes()).await;
    }

    /// To send from elsewhere.
    pub(super) fn take_sender(&mut self) -> SendStream<Bytes> {
        self.sender.take().unwrap()
    }

    /// `END_STREAM`.
    pub(super) fn end(&mut self) {
        self.sender.as_mut().unwrap().send_data(Bytes::new(), true).unwrap();
    }

    /// As a browser does whose page is closed.
    pub(super) fn reset(mut self) {
        self.sender.as_mut().unwrap().send_reset(Reason::CANCEL);
    }

    pub(super) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let piece = timeout(PATIENCE, self.receiver.data()).await.expect("something comes");
            self.take(&piece.expect("not the end").unwrap());
        }
        self.unread.drain(..count).collect()
    }

    /// To the `END_STREAM`.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        while let Some(piece) = timeout(PATIENCE, self.receiver.data()).await.expect("the end comes") {
            self.take(&piece.unwrap());
        }
        std::mem::take(&mut self.unread)
    }

    fn take(&mut self, piece: &Bytes) {
        self.unread.extend_from_slice(piece);
        self.receiver.flow_control().release_capacity(piece.len()).unwrap();
    }
}

/// No faster than the windows allow.
pub(super) async fn send_all(sender: &mut SendStream<Bytes>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        sender.reserve_capacity(bytes.len());
        if sender.capacity() == 0 {
            std::future::poll_fn(|cx| sender.poll_capacity(cx)).await.expect("open").unwrap();
        }
        let (piece, rest) = bytes.split_at(sender.capacity().min(bytes.len()));
        sender.send_data(Bytes::copy_from_slice(piece), false).unwrap();
        bytes = rest;
    }
}

pub(super) async fn text(answer: Response<RecvStream>) -> String {
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        text.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}

pub(super) async fn head_of(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// All values of a field.
pub(super) fn fields_of<'h>(head: &'h str, name: &str) -> Vec<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// RFC 6455 4.2.2.
pub(super) fn accept_of(key: &str) -> String {
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let hash = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes());
    STANDARD.encode(hash)
}

pub(super) async fn consent(stream: &mut (impl AsyncWrite + Unpin), head: &str, lines: &str) {
    let accept = accept_of(fields_of(head, "sec-websocket-key")[0]);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Consents, with these lines beside the usual ones, and hands head and stream to the script.
pub(super) async fn accepting<F, A>(lines: &'static str, script: F) -> Upstream
where
    F: Fn(String, TcpStream) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    Upstream::raw(move |mut stream| {
        let script = script.clone();
        async move {
            let head = head_of(&mut stream).await;
            consent(&mut stream, &head, lines).await;
            script(head, stream).await;
        }
    })
    .await
}

/// Until the client ends.
pub(super) async fn echo(mut stream: TcpStream) {
    let (mut reader, mut writer) = stream.split();
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}
