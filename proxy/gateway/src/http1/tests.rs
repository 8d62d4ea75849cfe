//! What is read does not depend on how it comes in, and what is written is read as it was meant.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use proptest::prelude::*;
use tokio::io::AsyncWrite;

use super::chunks::{Chunks, Decoded, Malformed};
use super::framing::{self, Decoder, Encoder};
use super::head::{self, Bounds, Refused, Search};
use super::output::Output;
use crate::message::{AnswerHead, Fields};

const BOUNDS: Bounds = Bounds { bytes: 16 << 10, fields: 100, target: 8 << 10 };

/// A body as it was read: data, trailers, and what is left behind it.
type Read = Result<(Vec<u8>, Option<HeaderMap>, Vec<u8>), Malformed>;

/// Reads a body that comes in these pieces. `None` when it has no end.
fn read(mut decoder: Decoder, pieces: &[&[u8]]) -> Option<Read> {
    let (mut input, mut data) = (BytesMut::new(), Vec::new());
    let mut pieces = pieces.iter();
    loop {
        match decoder.decode(&mut input, pieces.len() == 0) {
            Err(malformed) => return Some(Err(malformed)),
            Ok(Decoded::Need) => input.extend_from_slice(pieces.next()?),
            Ok(Decoded::Data(piece)) => data.extend_from_slice(&piece),
            Ok(end) => {
                let trailers = if let Decoded::Trailers(trailers) = end { Some(trailers) } else { None };
                let rest: Vec<u8> = pieces.flat_map(|piece| piece.iter().copied()).collect();
                return Some(Ok((data, trailers, [&input[..], &rest].concat())));
            }
        }
    }
}

fn chunked() -> Decoder {
    Decoder::Chunked(Chunks::new())
}

/// Takes a byte or a few at a time.
struct Trickle {
    taken: Vec<u8>,
    step: usize,
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let count = bytes.len().min(self.step);
        self.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What is on the wire of a body in these pieces.
fn written(
    mut encoder: Encoder,
    pieces: &[Vec<u8>],
    trailers: Option<&HeaderMap>,
    step: usize,
) -> Option<Vec<u8>> {
    let mut wire = Trickle { taken: Vec::new(), step };
    let mut output = Output::default();
    let mut flush = |output: &mut Output| {
        let flushed = output.poll_flush(&mut wire, &mut Context::from_waker(Waker::noop()));
        assert!(matches!(flushed, Poll::Ready(Ok(()))), "a trickle takes all there is");
    };
    for piece in pieces {
        output.data(&mut encoder, Bytes::copy_from_slice(piece));
        flush(&mut output);
    }
    output.end(&encoder, trailers).ok()?;
    flush(&mut output);
    Some(wire.taken)
}

fn in_two(bytes: &[u8], at: prop::sample::Index) -> [&[u8]; 2] {
    let (one, other) = bytes.split_at(at.index(bytes.len() + 1));
    [one, other]
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6000), 0..6)
}

/// Text with what matters in heads and chunks.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    let telling = prop::sample::select(b"\r\n :;,0159aFGET/HTP.cunked\t\0".to_vec());
    prop::collection::vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..200)
}

/// A request with its refusal, and what is left behind it.
type Parsed = Result<Option<(Method, String, HeaderMap, usize)>, Refused>;

fn parsed(pieces: &[&[u8]]) -> Parsed {
    let (mut input, mut search) = (BytesMut::new(), Search::default());
    for piece in pieces {
        input.extend_from_slice(piece);
        if let Some(asked) = head::request(&mut input, &mut search, &BOUNDS)? {
            let fields = HeaderMap::from(&asked.head.fields);
            return Ok(Some((asked.head.method, asked.head.uri.to_string(), fields, input.len())));
        }
    }
    Ok(None)
}

proptest! {
    #[test]
    fn chunks_are_read_as_they_were_written(pieces in pieces(), step in 1_usize..9000, at in any::<prop::sample::Index>()) {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        trailers.insert("host", HeaderValue::from_static("frames nothing here"));
        let mut head = HeaderMap::new();
        head.insert("trailer", HeaderValue::from_static("X-Sum, Host"));
        let wire = written(Encoder::chunked(&Fields::from(&head)), &pieces, Some(&trailers), step).expect("it has an end");
        trailers.remove("host");
        let wire = [&wire[..], b"next"].concat();
        let expected = Ok((pieces.concat(), Some(trailers), b"next".to_vec()));
        prop_assert_eq!(read(chunked(), &[&wire]), Some(expected.clone()));
        let two = in_two(&wire, at);
        let (data, trailers, rest) = read(chunked(), &two).expect("it ends").expect("it is well-formed");
        prop_assert_eq!(Ok((data, trailers, rest)), expected);
    }

    #[test]
    fn lengths_are_kept(pieces in pieces(), step in 1_usize..9000) {
        let all = pieces.concat();
        let length = all.len() as u64;
        let wire = written(Encoder::Length(length), &pieces, None, step).expect("it is as long");
        prop_assert_eq!(read(Decoder::Length(length), &[&wire]), Some(Ok((all, None, Vec::new()))));
        prop_assert_eq!(written(Encoder::Length(length + 1), &pieces, None, step), None);
    }

    #[test]
    fn nonsense_in_chunks_is_the_same_nonsense_in_any_pieces(bytes in garbage(), at in any::<prop::sample::Index>()) {
        let whole = read(chunked(), &[&bytes]);
        let apart = read(chunked(), &in_two(&bytes, at));
        prop_assert_eq!(whole, apart);
    }

    #[test]
    fn heads_are_the_same_in_any_pieces(tail in garbage(), at in any::<prop::sample::Index>()) {
        for begin in [&b""[..], b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"] {
            // With an end: of half a head, nonsense is seen by whoever looks first.
            let bytes = [begin, &tail, b"\r\n\r\n"].concat();
            let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
            let (whole, apart) = (parsed(&[&bytes]), parsed(&in_two(&bytes, at)));
            // The rest behind a head is read with it or later.
            let head = |parsed: Parsed| parsed.map(|it| it.map(|(method, target, fields, _)| (method, target, fields)));
            prop_assert_eq!(head(whole.clone()).ok(), head(apart).ok());
            prop_assert_eq!(head(whole).ok(), head(parsed(&one_by_one)).ok());
            let _ = head::answer(&mut BytesMut::from(&bytes[..]), &mut Search::default());
        }
    }
}

#[test]
fn chunks_that_are_none_are_refused() {
    for text in [
        "\r\n",
        "g\r\n",
        " 5\r\n",
        "+5\r\n",
        "0x5\r\n",
        "5\n",
        "5\rx",
        "5;a\n",
        "5;\0\r\n",
        "5 5\r\n",
        "5\r\nhelloX",
        "5\r\nhello\n",
        "10000000000000000\r\n",
        "0\r\n\n",
        "0\r\na\r\n\r\n",
        "0\r\na: 1\n\r\n",
        "0\r\na : 1\r\n\r\n",
        "0\r\n b: 1\r\n\r\n",
    ] {
        let read = read(chunked(), &[text.as_bytes()]);
        assert!(matches!(read, Some(Err(_))), "{text:?}: {read:?}");
    }
}

#[test]
fn what_ends_too_early_has_no_end() {
    for text in ["", "5", "5\r\nhell", "5\r\nhello\r\n", "0\r\n", "0\r\na: 1\r\n", "0\r\n\r"] {
        assert_eq!(read(chunked(), &[text.as_bytes()]), None, "{text:?}");
    }
    assert_eq!(read(Decoder::Length(5), &[b"hell"]), None);
    assert_eq!(read(Decoder::UntilClose, &[b"all"]), Some(Ok((b"all".to_vec(), None, Vec::new()))));
}

#[test]
fn bodies_of_answers_are_as_long_as_the_rfc_says() {
    let of = |method: Method, status: u16, version: Version, fields: &[(&'static str, &'static str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
        let status = StatusCode::from_u16(status).expect("a status");
        let fields = Fields::from(&fields.collect::<HeaderMap>());
        let head = AnswerHead { status, version, reason: None, fields };
        framing::of_answer(&method, &head, None).map(|decoder| format!("{decoder:?}"))
    };
    let (new, old) = (Version::HTTP_11, Version::HTTP_10);
    let length = ("content-length", "5");
    let chunks = ("transfer-encoding", "chunked");
    let is = |decoder: Decoder| Ok(format!("{decoder:?}"));
    assert_eq!(of(Method::HEAD, 200, new, &[length]), is(Decoder::NONE));
    assert_eq!(of(Method::GET, 204, new, &[chunks]), is(Decoder::NONE));
    assert_eq!(of(Method::GET, 304, new, &[length]), is(Decoder::NONE));
    assert_eq!(of(Method::GET, 200, new, &[length, chunks]), is(chunked()));
    assert_eq!(of(Method::GET, 200, new, &[length]), is(Decoder::Length(5)));
    assert_eq!(of(Method::GET, 200, new, &[("content-length", "5, 5")]), is(Decoder::Length(5)));
    assert_eq!(of(Method::GET, 200, new, &[]), is(Decoder::UntilClose));
    assert!(of(Method::GET, 200, new, &[("content-length", "5, 6")]).is_err());
    assert!(of(Method::GET, 200, new, &[("content-length", "+5")]).is_err());
    assert!(of(Method::GET, 200, new, &[("transfer-encoding", "gzip, chunked")]).is_err());
    assert!(of(Method::GET, 200, old, &[chunks]).is_err());
}

#[test]
fn a_length_is_known_from_the_head_where_it_is_all_that_is_said() {
    let length = |fields: &str| {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let answered = head::answer(&mut BytesMut::from(text.as_bytes()), &mut Search::default());
        answered.expect("well-formed").expect("whole").length
    };
    assert_eq!(length("content-LENGTH: 5\r\n"), Some(5));
    for fields in [
        "",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    ] {
        assert_eq!(length(fields), None, "{fields}");
    }
}
