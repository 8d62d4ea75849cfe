//! Kinds of requests, and what their clients see.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::servers::Server;

const PIECE: usize = 64 << 10;

/// 16 MiB, and 1 GiB where all is as long as the requirement says.
fn pieces() -> usize {
    if super::is_full() { 16_384 } else { 256 }
}

/// One kind of request.
pub(crate) struct Kind {
    /// In the table.
    pub(crate) name: &'static str,
    /// In paths.
    pub(crate) word: &'static str,
    pub(crate) is_safe: bool,
    lines: &'static str,
    body: Body,
}

enum Body {
    Whole(&'static str),
    Stream,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind { name: "GET", word: "get", is_safe: true, lines: "", body: Body::Whole("") },
    Kind {
        name: "POST, small",
        word: "post",
        is_safe: false,
        lines: "Content-Length: 6\r\n",
        body: Body::Whole("a body"),
    },
    Kind {
        name: "POST, a long stream",
        word: "stream",
        is_safe: false,
        lines: "Transfer-Encoding: chunked\r\n",
        body: Body::Stream,
    },
    Kind {
        name: "WebSocket",
        word: "websocket",
        is_safe: true,
        lines: "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        body: Body::Whole(""),
    },
];

/// Sends the request and tells the answer as a person would. The candidate learns when some of a body has come.
pub(super) async fn answer_to(address: SocketAddr, kind: &Kind, path: &str, candidate: &Server) -> String {
    let method = if kind.name.starts_with("POST") { "POST" } else { "GET" };
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: shop.test\r\n{}\r\n", kind.lines);
    let sending = async {
        writer.write_all(head.as_bytes()).await?;
        match kind.body {
            Body::Whole(body) => writer.write_all(body.as_bytes()).await?,
            Body::Stream => stream(&mut writer).await?,
        }
        std::future::pending::<std::io::Result<()>>().await
    };
    let reading = async {
        let mut answer = Vec::new();
        let mut some = vec![0; 4096];
        while is_unfinished(&answer) {
            match reader.read(&mut some).await {
                Ok(count) if count > 0 => answer.extend_from_slice(&some[..count]),
                _ => break,
            }
            if parts(&answer).is_some_and(|(_, found, _)| found > 0) {
                candidate.has_begun(path);
            }
        }
        answer
    };
    let answer = timeout(2 * super::longest(), async {
        tokio::pin!(reading);
        tokio::select! {
            answer = &mut reading => answer,
            // An upload that broke off may have an answer all the same.
            _ = sending => reading.await,
        }
    });
    told(&answer.await.unwrap_or_else(|_| panic!("{path}: neither answer nor end")))
}

async fn stream(writer: &mut (impl AsyncWriteExt + Unpin)) -> std::io::Result<()> {
    let piece = [format!("{PIECE:x}\r\n").as_bytes(), &vec![b'x'; PIECE], b"\r\n"].concat();
    for _ in 0..pieces() {
        writer.write_all(&piece).await?;
    }
    writer.write_all(b"0\r\n\r\n").await
}

/// Head and body of an answer, and how long the body has to be.
fn parts(answer: &[u8]) -> Option<(String, usize, usize)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let length = field(&head, "content-length").and_then(|length| length.parse().ok());
    Some((head, answer.len() - end, length.unwrap_or(usize::MAX)))
}

fn is_unfinished(answer: &[u8]) -> bool {
    parts(answer).is_none_or(|(_, found, length)| found < length)
}

fn told(answer: &[u8]) -> String {
    let Some((head, found, length)) = parts(answer) else {
        return if answer.is_empty() { "closed".to_owned() } else { "half a head".to_owned() };
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let reason = field(&head, "banyan-reason").map(|reason| format!(" `{reason}`")).unwrap_or_default();
    let broken = if found < length { ", broken off" } else { "" };
    format!("{status}{reason}{broken}")
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}
