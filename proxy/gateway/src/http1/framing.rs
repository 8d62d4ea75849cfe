//! How long a body is (RFC 9112 6.3), where it ends when it is read, and how it is written.

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, TRAILER, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version, header};

use super::chunks::{Chunks, Decoded, Malformed};
use crate::message::{AnswerHead, Fields, is_name};

/// No body is longer, to hyper and to us: what is above stands for something else there.
const MAX_LENGTH: u64 = u64::MAX - 2;

/// What a field has to do with where its message ends, and with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Coding,
    Connection,
    Date,
    Expect,
    Length,
    Te,
    Trailer,
    Upgrade,
    None,
}

impl Role {
    /// Most names end at their length.
    pub(super) fn of(name: &[u8]) -> Self {
        let is = |wanted: &str| is_name(name, wanted.as_bytes());
        match name.len() {
            2 if is("te") => Self::Te,
            4 if is("date") => Self::Date,
            6 if is("expect") => Self::Expect,
            7 if is("trailer") => Self::Trailer,
            7 if is("upgrade") => Self::Upgrade,
            10 if is("connection") => Self::Connection,
            14 if is("content-length") => Self::Length,
            17 if is("transfer-encoding") => Self::Coding,
            _ => Self::None,
        }
    }
}

/// Where the body that is being read ends.
#[derive(Debug)]
pub(super) enum Decoder {
    /// After so many bytes more.
    Length(u64),
    Chunked(Chunks),
    /// With the stream, and only an answer's does.
    UntilClose,
}

impl Decoder {
    pub(super) const NONE: Self = Self::Length(0);

    /// Takes from the front of `input` what belongs to the body. `is_last`: nothing comes behind it.
    pub(super) fn decode(&mut self, input: &mut BytesMut, is_last: bool) -> Result<Decoded, Malformed> {
        match self {
            Self::Length(0) => Ok(Decoded::End),
            Self::Length(left) => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= length as u64;
                Ok(piece(input, length))
            }
            Self::Chunked(chunks) => chunks.decode(input),
            Self::UntilClose if input.is_empty() && is_last => Ok(Decoded::End),
            Self::UntilClose => Ok(piece(input, input.len())),
        }
    }

    /// Known without reading on.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.has_ended(),
            Self::UntilClose => false,
        }
    }

    /// Bytes to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Chunked(chunks) if chunks.has_ended() => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

fn piece(input: &mut BytesMut, length: usize) -> Decoded {
    if length == 0 { Decoded::Need } else { Decoded::Data(input.split_to(length).freeze()) }
}

/// Digits and nothing else (RFC 9110 8.6).
pub(super) fn length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let length = value.iter().try_fold(0_u64, |length, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    });
    length.filter(|&length| length <= MAX_LENGTH)
}

/// One `chunked` and nothing else.
pub(super) fn is_chunked_alone(fields: &Fields) -> bool {
    let mut lines = fields.get_all(&TRANSFER_ENCODING);
    let is_chunked = |line: &[u8]| line.trim_ascii().eq_ignore_ascii_case(b"chunked");
    lines.next().is_some_and(is_chunked) && lines.next().is_none()
}

/// The body of an answer: none to HEAD, of 204 and 304, whatever the fields say. `length_alone` is what they say
/// where they say one length and nothing else of it.
pub(super) fn of_answer(
    method: &Method,
    head: &AnswerHead,
    length_alone: Option<u64>,
) -> Result<Decoder, Malformed> {
    let fields = &head.fields;
    let has_none = matches!(
        head.status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if has_none || *method == Method::HEAD {
        return Ok(Decoder::NONE);
    }
    if let Some(length) = length_alone {
        return Ok(Decoder::Length(length));
    }
    if fields.contains(&TRANSFER_ENCODING) {
        if head.version == Version::HTTP_10 {
            return Err(Malformed("a transfer coding with HTTP/1.0"));
        }
        return if is_chunked_alone(fields) {
            Ok(Decoder::Chunked(Chunks::new()))
        } else {
            Err(Malformed("a transfer coding besides a single `chunked`"))
        };
    }
    let lines = fields.get_all(&CONTENT_LENGTH);
    let mut said = lines.flat_map(|line| line.split(|&byte| byte == b','));
    let Some(first) = said.next() else { return Ok(Decoder::UntilClose) };
    let parsed = |text: &[u8]| length(text.trim_ascii());
    match parsed(first) {
        Some(length) if said.all(|other| parsed(other) == Some(length)) => Ok(Decoder::Length(length)),
        _ => Err(Malformed("a length that is none, or several")),
    }
}

/// How the body that is being written ends.
#[derive(Debug)]
pub(super) enum Encoder {
    /// After so many bytes more; what is beyond is left out.
    Length(u64),
    /// With these trailers, and no others.
    Chunked(Option<Box<[HeaderName]>>),
    /// With the stream.
    UntilClose,
}

impl Encoder {
    pub(super) const NONE: Self = Self::Length(0);

    /// In chunks, with the trailers that `Trailer` announces (RFC 9110 6.6.2).
    pub(super) fn chunked(fields: &Fields) -> Self {
        if !fields.contains(&TRAILER) {
            return Self::Chunked(None);
        }
        let lines = fields.get_all(&TRAILER);
        let names = lines.flat_map(|line| line.split(|&byte| byte == b','));
        let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        Self::Chunked(Some(names.filter(may_trail).collect()))
    }
}

/// What frames a message, or says how to read it, must not come behind it (RFC 9110 6.5.1).
fn may_trail(name: &HeaderName) -> bool {
    !matches!(
        *name,
        header::AUTHORIZATION
            | header::CACHE_CONTROL
            | header::CONTENT_ENCODING
            | CONTENT_LENGTH
            | header::CONTENT_RANGE
            | header::CONTENT_TYPE
            | header::HOST
            | header::MAX_FORWARDS
            | header::SET_COOKIE
            | TRAILER
            | TRANSFER_ENCODING
            | header::TE
    )
}

/// What was read, as it is written behind a chunk or in place of one.
pub(super) fn write_trailers(trailers: &HeaderMap, allowed: &[HeaderName], out: &mut Vec<u8>) {
    for (name, value) in trailers {
        if allowed.contains(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Whether any of these lines names the option (RFC 9110 7.6.1).
pub(super) fn has_option(value: &[u8], option: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|found| found.trim_ascii().eq_ignore_ascii_case(option))
}
