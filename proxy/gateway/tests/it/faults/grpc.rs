//! gRPC: candidates that fail in frames, and a client. Each candidate is asked for one cell only, and counts the heads it
//! got without reading what is in them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::servers::{Fault, FaultKind, Held, hints, with_a_full_line};
use crate::frames::wire::{ACK, CONTINUATION, DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, fields, frame};
use crate::http2;
use crate::upstream::{Upstream, nobody};

/// One message without compression (the length-prefixed message of gRPC over HTTP/2).
const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";

pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    executed: Arc<AtomicU32>,
    /// The client has the head of an answer.
    begun: Arc<Notify>,
    _held: Held,
}

impl Candidate {
    pub(super) async fn failing(fault: &Fault) -> Self {
        let (executed, begun) = (Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let (address, held) = match fault.kind {
            FaultKind::Refuses => (nobody(), Held::Nothing),
            FaultKind::BlackHole => with_a_full_line().await,
            kind => {
                let (counted, told) = (Arc::clone(&executed), Arc::clone(&begun));
                let serve = move |stream| serve(kind, stream, Arc::clone(&counted), Arc::clone(&told));
                let upstream = Upstream::raw(serve).await;
                (upstream.address, Held::Upstream(upstream))
            }
        };
        Self { address, executed, begun, _held: held }
    }

    pub(super) fn executed(&self) -> u32 {
        self.executed.load(Ordering::SeqCst)
    }
}

/// Answers every call without a message.
pub(super) async fn sound() -> Upstream {
    Upstream::http2(|_| {
        let answer =
            Response::builder().header("content-type", "application/grpc").header("grpc-status", "0");
        answer.body(Full::default()).unwrap()
    })
    .await
}

async fn serve(kind: FaultKind, stream: TcpStream, counted: Arc<AtomicU32>, begun: Arc<Notify>) {
    let (reader, mut writer) = stream.into_split();
    let (asked, first) = oneshot::channel();
    let failing = async {
        let settings = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat();
        let _ = writer.write_all(&settings).await;
        if let Ok(id) = first.await {
            fail(kind, &mut writer, id, &begun).await;
        }
    };
    tokio::select! {
        _ = count(reader, &counted, asked) => {}
        () = failing => {}
    }
}

/// Reads frames for as long as they come, and tells the stream of the first head.
async fn count(
    mut reader: OwnedReadHalf,
    counted: &AtomicU32,
    first: oneshot::Sender<u32>,
) -> std::io::Result<()> {
    let mut first = Some(first);
    reader.read_exact(&mut [0; PREFACE.len()]).await?;
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).await?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        reader.read_exact(&mut payload).await?;
        if head[3] == HEADERS && head[4] & END_HEADERS != 0 {
            counted.fetch_add(1, Ordering::SeqCst);
            let id = u32::from_be_bytes(head[5..].try_into().unwrap());
            first.take().map(|first| first.send(id));
        }
    }
}

async fn fail(kind: FaultKind, writer: &mut OwnedWriteHalf, id: u32, begun: &Notify) {
    let head = fields(&[(":status", "200"), ("content-type", "application/grpc")]);
    let answer = match kind {
        FaultKind::HalfAHead => frame(HEADERS, 0, id, &head),
        FaultKind::HalfABody => {
            [frame(HEADERS, END_HEADERS, id, &head), frame(DATA, 0, id, MESSAGE)].concat()
        }
        FaultKind::Garbage => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(),
        FaultKind::Drips => return drip(writer, &slow_head(id, head)).await,
        FaultKind::EndlessHead => {
            let more = frame(CONTINUATION, 0, id, &fields(&[("x-more", "of the same")]));
            return repeat(writer, &frame(HEADERS, 0, id, &head), &more).await;
        }
        FaultKind::EndlessInterim => {
            let interim = frame(HEADERS, END_HEADERS, id, &fields(&[(":status", "103"), ("link", &hints())]));
            return repeat(writer, b"", &interim).await;
        }
        FaultKind::Hangs => return std::future::pending().await,
        FaultKind::Resets | FaultKind::Refuses | FaultKind::BlackHole => Vec::new(),
    };
    let _ = writer.write_all(&answer).await;
    if kind == FaultKind::Garbage {
        return std::future::pending().await;
    }
    if kind == FaultKind::HalfABody {
        // A reset overtakes what was sent before it: it has to arrive first.
        begun.notified().await;
    }
    let _ = writer.as_ref().set_zero_linger();
}

fn slow_head(id: u32, mut head: Vec<u8>) -> Vec<u8> {
    head.extend(fields(&[("x-slow", &"a".repeat(10_000))]));
    frame(HEADERS, END_HEADERS, id, &head)
}

async fn drip(writer: &mut OwnedWriteHalf, bytes: &[u8]) {
    for byte in bytes {
        if writer.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn repeat(writer: &mut OwnedWriteHalf, first: &[u8], again: &[u8]) {
    let _ = writer.write_all(first).await;
    let many = again.repeat(100);
    while writer.write_all(&many).await.is_ok() {}
}

/// Makes one call and tells the answer as a person would.
pub(super) async fn answer_to(address: SocketAddr, path: &str, candidate: &Candidate) -> String {
    let called = timeout(2 * super::longest(), call(address, path, &candidate.begun));
    called.await.unwrap_or_else(|_| panic!("{path}: neither answer nor end"))
}

async fn call(address: SocketAddr, path: &str, begun: &Notify) -> String {
    let (mut sender, _connection) = http2::over(TcpStream::connect(address).await.unwrap()).await;
    let request = Request::post(format!("http://shop.test{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let request = request.body(Full::new(Bytes::from_static(MESSAGE)).boxed()).unwrap();
    let answer = match sender.send_request(request).await {
        Ok(answer) => answer,
        Err(error) => return format!("no answer: {error:?}"),
    };
    begun.notify_one();
    let status = answer.status().as_u16();
    let field = |name: &str, before: &str| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.map(|value| format!(" {before}`{value}`")).unwrap_or_default()
    };
    let told = format!("{status}{}{}", field("grpc-status", "status "), field("banyan-reason", ""));
    let broken = if answer.into_body().collect().await.is_err() { ", broken off" } else { "" };
    told + broken
}
