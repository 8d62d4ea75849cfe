//! Frames as bytes (RFC 9113 4.1), fields without compression (RFC 7541 6.2.3).

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// How a client begins (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Fields, each with its name and value in full.
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0x10);
        for text in [name, value] {
            number(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 5.1).
fn number(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(u8::try_from(number).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

pub(super) fn get(path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "a.test"), (":path", path)])
}

/// What the other side says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Answer(u32, String),
    Reset(u32, String),
    GoAway(String),
    Closed,
    Other,
}

pub(super) struct Wire {
    pub(super) stream: TcpStream,
}

impl Wire {
    /// The preface and settings of both sides.
    pub(super) async fn open(address: SocketAddr) -> Self {
        let mut wire = Self { stream: TcpStream::connect(address).await.unwrap() };
        wire.send(PREFACE).await;
        wire.send(&frame(SETTINGS, 0, 0, &[])).await;
        wire.send(&frame(SETTINGS, ACK, 0, &[])).await;
        wire
    }

    /// A peer that has closed already is seen when reading.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(super) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.read()).await.expect("nothing comes").unwrap_or(Event::Closed)
    }

    async fn read(&mut self) -> std::io::Result<Event> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        let code = |at: usize| name_of(u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()));
        Ok(match head[3] {
            HEADERS => Event::Answer(stream, status_of(&payload)),
            RST_STREAM => Event::Reset(stream, code(0)),
            GOAWAY => Event::GoAway(code(4)),
            _ => Event::Other,
        })
    }
}

/// The status stands first: one of the static table (RFC 7541 A), or a literal.
fn status_of(block: &[u8]) -> String {
    // A change of the table's size may stand before it.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    let indexed = ["200", "204", "206", "304", "400", "404", "500"];
    let place = usize::from(block[0]).wrapping_sub(0x88);
    indexed.get(place).map_or_else(|| "another status".to_owned(), ToString::to_string)
}

pub(super) fn name_of(code: u32) -> String {
    let names = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
    ];
    names.get(code as usize).map_or_else(|| format!("{code}"), ToString::to_string)
}
