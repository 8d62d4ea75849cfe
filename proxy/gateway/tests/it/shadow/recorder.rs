//! An upstream that keeps what it was sent byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::Upstream;

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) head: String,
    /// With its framing.
    pub(super) body: Vec<u8>,
}

impl Raw {
    pub(super) fn line(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find(|line| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name)))
    }

    /// The lines, in order of their text, without those that differ between any two requests.
    pub(super) fn lines_without(&self, names: &[&str]) -> Vec<&str> {
        let is_named = |line: &&str| {
            names
                .iter()
                .any(|name| line.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name)))
        };
        let mut lines: Vec<_> = self.head.lines().filter(|line| !is_named(line)).collect();
        lines.sort_unstable();
        lines
    }
}

pub(super) struct Recorder {
    pub(super) upstream: Upstream,
    seen: Arc<Mutex<Vec<Raw>>>,
}

impl Recorder {
    /// Answers every request with these bytes after `HTTP/1.1 200 OK` and a length of two.
    pub(super) async fn answering(fields: &'static str) -> Self {
        let seen = Arc::<Mutex<Vec<Raw>>>::default();
        let kept = Arc::clone(&seen);
        let upstream = Upstream::raw(move |mut stream| {
            let kept = Arc::clone(&kept);
            async move {
                while let Some(raw) = read(&mut stream).await {
                    kept.lock().unwrap().push(raw);
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        Self { upstream, seen }
    }

    pub(super) fn seen(&self) -> Vec<Raw> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request; `None` at the end.
pub(super) async fn read(stream: &mut TcpStream) -> Option<Raw> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let mut raw = Raw { head: String::from_utf8(head).ok()?, body: Vec::new() };
    let length = raw.line("content-length").and_then(|line| line.split_once(':')?.1.trim().parse().ok());
    if let Some(length) = length {
        raw.body = vec![0; length];
        stream.read_exact(&mut raw.body).await.ok()?;
    } else if raw.line("transfer-encoding").is_some() {
        while !raw.body.ends_with(b"0\r\n\r\n") {
            raw.body.push(stream.read_u8().await.ok()?);
        }
    }
    Some(raw)
}
