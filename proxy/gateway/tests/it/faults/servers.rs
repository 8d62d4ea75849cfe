//! Candidates that fail, and a legacy that does not. Each counts the requests whose heads it got whole, by path.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::upstream::{Upstream, nobody};

/// One way to fail.
pub(crate) struct Fault {
    /// In headings.
    pub(crate) name: &'static str,
    /// In paths and names of routes.
    pub(crate) word: &'static str,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Refuses,
    BlackHole,
    Resets,
    HalfAHead,
    HalfABody,
    Hangs,
    Drips,
    Garbage,
    EndlessHead,
    EndlessInterim,
}

pub(crate) const FAULTS: &[Fault] = &[
    Fault { name: "Refuses connections", word: "refuses", kind: FaultKind::Refuses },
    Fault { name: "A black hole: connecting takes for ever", word: "black-hole", kind: FaultKind::BlackHole },
    Fault { name: "Resets before the head of an answer", word: "resets", kind: FaultKind::Resets },
    Fault { name: "Resets in the middle of the head", word: "half-a-head", kind: FaultKind::HalfAHead },
    Fault { name: "Resets in the middle of the body", word: "half-a-body", kind: FaultKind::HalfABody },
    Fault { name: "Never answers", word: "hangs", kind: FaultKind::Hangs },
    Fault { name: "Sends its head a byte at a time", word: "drips", kind: FaultKind::Drips },
    Fault { name: "Answers with something that is no HTTP", word: "garbage", kind: FaultKind::Garbage },
    Fault { name: "Sends a head without end", word: "endless-head", kind: FaultKind::EndlessHead },
    Fault {
        name: "Sends interim answers without end",
        word: "endless-interim",
        kind: FaultKind::EndlessInterim,
    },
];

type Count = Arc<Mutex<HashMap<String, u32>>>;

/// The paths whose clients have got some of the body of an answer.
type Begun = watch::Sender<HashSet<String>>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    executed: Count,
    begun: Begun,
    /// What keeps the address as it is.
    _held: Held,
}

#[expect(dead_code, reason = "held, not read")]
pub(super) enum Held {
    Nothing,
    Upstream(Upstream),
    FullLine(TcpListener, Vec<TcpStream>),
}

impl Server {
    pub(crate) fn executed(&self, path: &str) -> u32 {
        self.executed.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    /// The client has got some of the body of the answer.
    pub(super) fn has_begun(&self, path: &str) {
        self.begun.send_if_modified(|begun| begun.insert(path.to_owned()));
    }

    /// Reads every request to its end and answers it.
    pub(crate) async fn sound() -> Self {
        Self::counting(Begun::default(), |mut stream, head| async move {
            let _ = read_body(&mut stream, &head).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nlegacy")
                .await;
        })
        .await
    }

    /// `patience` is for a client that does not tell what it has got.
    pub(crate) async fn failing(fault: &Fault, patience: Duration) -> Self {
        let (kind, begun) = (fault.kind, Begun::default());
        let (address, held) = match kind {
            FaultKind::Refuses => (nobody(), Held::Nothing),
            FaultKind::BlackHole => with_a_full_line().await,
            _ => {
                let told = begun.clone();
                let fail = move |stream, head| fail(kind, stream, head, told.clone(), patience);
                return Self::counting(begun, fail).await;
            }
        };
        Self { address, executed: Count::default(), begun, _held: held }
    }

    async fn counting<A>(
        begun: Begun,
        then: impl Fn(TcpStream, String) -> A + Clone + Send + Sync + 'static,
    ) -> Self
    where
        A: Future<Output = ()> + Send + 'static,
    {
        let executed = Count::default();
        let counted = Arc::clone(&executed);
        let upstream = Upstream::raw(move |mut stream| {
            let (counted, then) = (Arc::clone(&counted), then.clone());
            async move {
                let Some(head) = read_head(&mut stream).await else { return };
                *counted.lock().unwrap().entry(path(&head)).or_default() += 1;
                then(stream, head).await;
            }
        })
        .await;
        Self { address: upstream.address, executed, begun, _held: Held::Upstream(upstream) }
    }
}

fn path(head: &str) -> String {
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Listens, with all places for those who wait taken.
pub(super) async fn with_a_full_line() -> (SocketAddr, Held) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(Ok(filler)) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        fillers.push(filler);
        assert!(fillers.len() < 1_000, "the line has no end");
    }
    (address, Held::FullLine(listener, fillers))
}

async fn fail(kind: FaultKind, mut stream: TcpStream, head: String, begun: Begun, patience: Duration) {
    let answer: &[u8] = match kind {
        FaultKind::HalfAHead => b"HTTP/1.1 200 OK\r\nContent-Le",
        FaultKind::HalfABody if head.contains("websocket") => {
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81"
        }
        FaultKind::HalfABody => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
        FaultKind::Garbage => b"\x16\x03\x03 this is no HTTP\r\n\r\n",
        FaultKind::Drips => return drip(stream).await,
        FaultKind::EndlessHead => {
            return repeat(stream, b"HTTP/1.1 200 OK\r\n", b"X-More: of the same\r\n").await;
        }
        FaultKind::EndlessInterim => return repeat(stream, b"", early_hints().as_bytes()).await,
        FaultKind::Hangs => return swallow(stream).await,
        FaultKind::Resets | FaultKind::Refuses | FaultKind::BlackHole => b"",
    };
    let _ = stream.write_all(answer).await;
    if kind == FaultKind::Garbage {
        return swallow(stream).await;
    }
    if kind == FaultKind::HalfABody {
        // A reset overtakes what was sent before it: it has to arrive first.
        let path = path(&head);
        let _ = timeout(patience, begun.subscribe().wait_for(|begun| begun.contains(&path))).await;
    }
    let _ = stream.set_zero_linger();
}

/// An interim answer.
fn early_hints() -> String {
    format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", hints())
}

/// As long as those of a page with many parts. The proxy bears so many bytes before a head, and what takes its time is each
/// answer: the shortest ones keep all threads of an unoptimised build from everything else.
pub(super) fn hints() -> String {
    ["</part.css>; rel=preload"; 160].join(", ")
}

/// Takes all that comes, until the other side closes.
async fn swallow(mut stream: TcpStream) {
    let mut some = vec![0; 64 << 10];
    while stream.read(&mut some).await.is_ok_and(|count| count > 0) {}
}

async fn drip(stream: TcpStream) {
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().chain(std::iter::repeat_n(&b'a', 10_000)) {
        if writer.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    reading.abort();
}

/// Sends the same again and again for as long as it is taken.
async fn repeat(stream: TcpStream, first: &[u8], again: &[u8]) {
    let (mut reader, mut writer) = stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
    let _ = writer.write_all(first).await;
    let many = again.repeat(100);
    while writer.write_all(&many).await.is_ok() {}
    reading.abort();
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// By its length, or to the last chunk.
async fn read_body(stream: &mut TcpStream, head: &str) -> std::io::Result<()> {
    let head = head.to_ascii_lowercase();
    if let Some(length) = head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        let mut body = vec![0; length.parse().unwrap()];
        return stream.read_exact(&mut body).await.map(drop);
    }
    let is_chunked = head.contains("transfer-encoding: chunked");
    let (mut tail, mut some) = (Vec::new(), vec![0; 64 << 10]);
    while is_chunked && !tail.ends_with(b"\r\n0\r\n\r\n") {
        let count = stream.read(&mut some).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        tail.extend_from_slice(&some[..count]);
        tail.drain(..tail.len().saturating_sub(7));
    }
    Ok(())
}
