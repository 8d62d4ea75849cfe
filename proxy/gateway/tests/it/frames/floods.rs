//! Too much of anything: the connection ends or goes on, memory stays bounded, and others are served.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::wire::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Event, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, Wire, fields, frame, get,
};
use crate::client;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// Most that a flood may make the whole process grow: this test, the upstream, and other tests of the same process.
const MOST_GROWTH_KIB: u64 = 128 << 10;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends the frames of each turn without reading, until the other side closes; then somebody else must be served.
async fn flood(settings: &[u8], turns: u32, frames: impl Fn(u32) -> Vec<u8>) -> Option<String> {
    let upstream = Upstream::http(|_| Response::new(Full::new(Bytes::from(vec![b'x'; 1 << 20])))).await;
    let proxy = Proxy::before(&upstream);
    let before = resident_kib();
    let Wire { stream } = Wire::open(proxy.address).await;
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(settings).await.unwrap();
    let mut blocked = 0;
    for turn in 0..turns {
        // A peer that stops reading is as good an end as one that closes.
        let sent =
            tokio::time::timeout(std::time::Duration::from_secs(1), writer.write_all(&frames(turn))).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => break,
            Err(_) => {
                blocked += 1;
                break;
            }
        }
    }
    let growth = resident_kib().saturating_sub(before);
    assert!(growth < MOST_GROWTH_KIB, "grew by {growth} KiB");
    assert_eq!(client::get(proxy.address, "/", "").await.body.len(), 1 << 20);
    if blocked > 0 {
        return Some("no longer read".to_owned());
    }
    drop(writer);
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), reader.read_to_end(&mut bytes));
    let _ = read.await;
    last_goaway(&bytes)
}

/// The reason of the last GOAWAY in a stream of frames.
fn last_goaway(mut bytes: &[u8]) -> Option<String> {
    let mut reason = None;
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let Some(payload) = bytes.get(9..9 + length) else { break };
        if bytes[3] == super::wire::GOAWAY {
            reason = Some(super::wire::name_of(u32::from_be_bytes(payload[4..8].try_into().unwrap())));
        }
        bytes = &bytes[9 + length..];
    }
    reason
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_reset_at_once() {
    let ended = flood(&[], 20_000, |turn| {
        let stream = turn * 2 + 1;
        [frame(HEADERS, WHOLE, stream, &get("/x")), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    assert_eq!(ended.await.as_deref(), Some("ENHANCE_YOUR_CALM"));
}

/// CVE-2024-27316 and its kin.
#[tokio::test(flavor = "multi_thread")]
async fn fields_without_an_end() {
    let part = fields(&[("x-a", &"a".repeat(1000))]);
    let ended = flood(&[], 100_000, |turn| match turn {
        0 => frame(HEADERS, 0, 1, &get("/x")),
        _ => frame(CONTINUATION, 0, 1, &part),
    });
    assert!(ended.await.is_some());
}

/// One field of 4 000 bytes in the table, named a thousand times with a byte each.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_block_that_unfolds() {
    let mut block = get("/x");
    block.extend([0x40, 3, b'x', b'-', b'a', 0x7f, 0xa1, 0x1e]);
    block.extend(std::iter::repeat_n(b'a', 4000));
    block.extend(std::iter::repeat_n(0xbe, 10_000));
    let ended = flood(&[], 1, |_| frame(HEADERS, WHOLE, 1, &block));
    // It may be answered 431, or end the connection: what counts is the memory.
    let _ = ended.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_nobody_asked_for() {
    let many = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(1000);
    let _ = flood(&[], 300, |_| many.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_without_reading() {
    let many = frame(PING, 0, 0, &[7; 8]).repeat(1000);
    let _ = flood(&[], 300, |_| many.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_data() {
    let many = frame(DATA, 0, 1, &[]).repeat(1000);
    let post = fields(&[(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x")]);
    let _ = flood(&frame(HEADERS, END_HEADERS, 1, &post), 300, |_| many.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn priorities() {
    let many = frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]).repeat(1000);
    let _ = flood(&[], 300, |_| many.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_opened_byte_by_byte() {
    let many = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(1000);
    let _ = flood(&[], 300, |_| many.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_of_nothing() {
    let many = frame(SETTINGS, ACK, 0, &[]).repeat(1000);
    let _ = flood(&[], 300, |_| many.clone()).await;
}

/// A hundred answers of a megabyte, and no window to send them in.
#[tokio::test(flavor = "multi_thread")]
async fn answers_nobody_takes() {
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let _ = flood(&no_window, 100, |turn| frame(HEADERS, WHOLE, turn * 2 + 1, &get("/x"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_allowed_are_refused() {
    let upstream = Upstream::raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let proxy = Proxy::before(&upstream);
    let mut wire = Wire::open(proxy.address).await;
    for turn in 0..300 {
        wire.send(&frame(HEADERS, WHOLE, turn * 2 + 1, &get("/x"))).await;
    }
    loop {
        match wire.next().await {
            Event::Reset(_, code) => break assert_eq!(code, "REFUSED_STREAM"),
            Event::Other => {}
            other => panic!("{other:?}"),
        }
    }
}
