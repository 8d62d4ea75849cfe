//! A client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a field, by its name in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self
    }

    /// GET with `Host: shop.test` and further header lines, each ended by CRLF.
    pub(crate) async fn get(&mut self, target: &str, lines: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n{lines}\r\n")).await;
        self.answer().await
    }

    async fn more(&mut self) -> usize {
        let mut buffer = vec![0; 65536];
        let count = timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("no byte in time").unwrap();
        self.unread.extend_from_slice(&buffer[..count]);
        count
    }

    /// Reads up to and with `end`.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(place) = self.unread.windows(end.len()).position(|window| window == end) {
                return self.unread.drain(..place + end.len()).collect();
            }
            assert_ne!(self.more().await, 0, "closed early: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert_ne!(self.more().await, 0, "closed early");
        }
        self.unread.drain(..count).collect()
    }

    /// Everything until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.unread)
    }

    /// An answer, or as much of it as comes before the other side closes.
    pub(crate) async fn rest_of_one(&mut self) {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.expect("an end in time");
    }

    pub(crate) async fn head(&mut self) -> Answer {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// A whole answer to anything but HEAD, by length, chunks or close.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut answer = self.head().await;
        answer.body = match (answer.header("content-length"), answer.header("transfer-encoding")) {
            _ if matches!(answer.status, 100..200 | 204 | 304) => Vec::new(),
            (Some(length), _) => self.exactly(length.parse().unwrap()).await,
            (None, Some(_)) => self.chunks().await,
            (None, None) => self.rest().await,
        };
        answer
    }

    /// The next answer, or `None` when the connection ends before it.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        while !self.unread.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut buffer = vec![0; 65536];
            let read = timeout(PATIENCE, self.stream.read(&mut buffer))
                .await
                .expect("neither answer nor end in time");
            let count = read.unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.unread.extend_from_slice(&buffer[..count]);
        }
        Some(self.answer().await)
    }

    /// The status of GET, or `None` when the connection is closed instead.
    pub(crate) async fn next_status(&mut self) -> Option<u16> {
        let _ = self.stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        self.next().await.map(|answer| answer.status)
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await).unwrap();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            if size == 0 {
                self.until(b"\r\n").await;
                return body;
            }
            body.extend(self.exactly(size).await);
            self.exactly(2).await;
        }
    }
}

/// One GET on a connection of its own.
pub(crate) async fn get(address: SocketAddr, target: &str, lines: &str) -> Answer {
    Client::connect(address).await.get(target, lines).await
}
