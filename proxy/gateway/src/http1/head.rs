//! From bytes to heads (RFC 9112 2 to 5), by `httparse`.
//!
//! A head is looked for whole before it is parsed, so that it is parsed once. It is copied then, at its length: what waits for an
//! answer holds no more than that, and the buffer it was read into is free. Of the rest only the beginning is parsed, so that
//! nonsense is not waited for.

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Extensions, Method, StatusCode, Uri, Version};
use httparse::Status;

use super::chunks::{Chunks, Malformed};
use super::framing::{Decoder, Role, has_option, length};
use crate::message::{AnswerHead, Fields, RequestHead, Span};

/// Fields for which no memory is needed but the stack.
const FIELDS: usize = 100;
/// What a field name may be for HTTP/2, by the `http` crate.
const LONGEST_NAME: usize = (1 << 16) - 1;
/// Most fields of an answer.
const ANSWER_FIELDS: usize = 256;

/// How long a head may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) fields: usize,
    pub(super) target: usize,
}

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed(&'static str),
    TooLong,
    TargetTooLong,
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

impl From<httparse::Error> for Refused {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLong,
            httparse::Error::HeaderName => Self::Malformed("a field name that is none"),
            httparse::Error::HeaderValue => Self::Malformed("a field value that is none"),
            httparse::Error::Version => Self::Malformed("a version that is not HTTP/1"),
            httparse::Error::Status => Self::Malformed("a status that is none"),
            httparse::Error::NewLine | httparse::Error::Token => Self::Malformed("a first line that is none"),
        }
    }
}

/// A request, and what it says of its connection.
#[expect(clippy::struct_excessive_bools, reason = "four facts, each by itself")]
pub(super) struct Asked {
    pub(super) head: Box<RequestHead>,
    pub(super) body: Decoder,
    pub(super) expects_continue: bool,
    pub(super) keeps_alive: bool,
    pub(super) wants_upgrade: bool,
    pub(super) takes_trailers: bool,
}

/// The head of an answer, and whether the connection goes on behind it.
pub(super) struct Answered {
    pub(super) head: AnswerHead,
    pub(super) keeps_alive: bool,
    /// Of the body, where one line says it and nothing else is said.
    pub(super) length: Option<u64>,
}

/// Where the search for the end of a head goes on.
#[derive(Debug, Default)]
pub(super) struct Search {
    searched: usize,
}

impl Search {
    /// How long the head at the front of `input` is, if it is whole; first `parse` sees the beginning of one that is not.
    fn length<E>(
        &mut self,
        input: &mut BytesMut,
        parse_beginning: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        if self.searched == 0 {
            skip_empty_lines(input);
        }
        if let Some(end) = end_of_head(input, self.searched) {
            self.searched = 0;
            return Ok(Some(end));
        }
        if self.searched == 0 && !input.is_empty() {
            parse_beginning(input)?;
        }
        // The end may begin three bytes back.
        self.searched = input.len().saturating_sub(3);
        Ok(None)
    }
}

/// Before a first line, for the sake of old clients (RFC 9112 2.2).
fn skip_empty_lines(input: &mut BytesMut) {
    loop {
        match &input[..] {
            [b'\n', ..] => input.advance(1),
            [b'\r', b'\n', ..] => input.advance(2),
            _ => return,
        }
    }
}

/// Behind the first empty line.
fn end_of_head(input: &[u8], from: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &input[from..]).find_map(|place| match &input[from + place + 1..] {
        [b'\n', ..] => Some(from + place + 2),
        [b'\r', b'\n', ..] => Some(from + place + 3),
        _ => None,
    })
}

/// `None` while the head is not whole.
pub(super) fn request(
    input: &mut BytesMut,
    search: &mut Search,
    bounds: &Bounds,
) -> Result<Option<Asked>, Refused> {
    let length = search.length(input, |beginning| {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS];
        match httparse::Request::new(&mut []).parse_with_uninit_headers(beginning, &mut room) {
            Err(httparse::Error::TooManyHeaders) | Ok(_) => Ok(()),
            Err(error) => Err(Refused::from(error)),
        }
    })?;
    let length = match length {
        Some(length) if length > bounds.bytes => return Err(Refused::TooLong),
        None if input.len() > bounds.bytes => return Err(Refused::TooLong),
        None => return Ok(None),
        Some(length) => length,
    };
    let asked = if bounds.fields <= FIELDS {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS];
        parsed_request(&input[..length], &mut room[..bounds.fields], bounds)
    } else {
        let mut room = vec![MaybeUninit::uninit(); bounds.fields];
        parsed_request(&input[..length], &mut room, bounds)
    };
    input.advance(length);
    asked.map(Some)
}

fn parsed_request<'h>(
    head: &'h [u8],
    room: &mut [MaybeUninit<httparse::Header<'h>>],
    bounds: &Bounds,
) -> Result<Asked, Refused> {
    let mut parsed = httparse::Request::new(&mut []);
    let whole = match parsed.parse_with_uninit_headers(head, room)? {
        Status::Complete(length) => length == head.len(),
        Status::Partial => false,
    };
    let (Some(method), Some(target), Some(version), true) =
        (parsed.method, parsed.path, parsed.version, whole)
    else {
        return Err(Refused::Malformed("a head that ends before its end"));
    };
    if target.len() > bounds.target {
        return Err(Refused::TargetTooLong);
    }
    let method = Method::from_bytes(method.as_bytes());
    let target = Uri::try_from(target);
    let mut asked = Asked {
        head: Box::new(RequestHead {
            method: method.map_err(|_| Refused::Malformed("a method that is none"))?,
            uri: target.map_err(|_| Refused::Malformed("a target that is none"))?,
            version: if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 },
            fields: Fields::of_text(head, parsed.headers.len()),
            extensions: Extensions::new(),
        }),
        body: Decoder::NONE,
        expects_continue: false,
        keeps_alive: version == 1,
        wants_upgrade: false,
        takes_trailers: false,
    };
    asked.fields(head, parsed.headers)?;
    Ok(asked)
}

/// What the fields of a request say of its framing (RFC 9112 6.3).
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "four facts, each by itself")]
struct Said {
    length: Option<u64>,
    has_length: bool,
    has_coding: bool,
    is_chunked: bool,
    closes: bool,
}

impl Asked {
    fn fields(&mut self, head: &[u8], lines: &[httparse::Header<'_>]) -> Result<(), Refused> {
        let is_http_11 = self.head.version == Version::HTTP_11;
        let mut said = Said::default();
        for line in lines {
            let value = line.value;
            if line.name.len() > LONGEST_NAME {
                return Err(Refused::Malformed("a field name that is too long"));
            }
            let is_kept = match Role::of(line.name.as_bytes()) {
                Role::Length => said.length(value)?,
                Role::Coding if !is_http_11 => {
                    return Err(Refused::Malformed("a transfer coding with HTTP/1.0"));
                }
                Role::Coding => {
                    said.coding(value);
                    true
                }
                Role::Connection => {
                    said.closes |= has_option(value, b"close");
                    self.keeps_alive |= has_option(value, b"keep-alive");
                    true
                }
                Role::Expect => {
                    self.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                    true
                }
                Role::Upgrade => {
                    self.wants_upgrade = is_http_11;
                    true
                }
                Role::Te => {
                    self.takes_trailers |= has_option(value, b"trailers");
                    true
                }
                _ => true,
            };
            if is_kept {
                let name = Span::in_text(head, line.name.as_bytes());
                self.head.fields.push(name, Span::in_text(head, value));
            }
        }
        if said.has_coding && !said.is_chunked {
            return Err(Refused::Malformed("`chunked` is not the last transfer coding"));
        }
        if said.has_coding && said.has_length {
            self.head.fields.remove(&CONTENT_LENGTH);
            // Whoever sent both may have been made to (RFC 9112 6.1).
            said.closes = true;
        }
        self.keeps_alive &= !said.closes;
        self.body = match said.length {
            _ if said.is_chunked => Decoder::Chunked(Chunks::new()),
            Some(length) => Decoder::Length(length),
            None => Decoder::NONE,
        };
        Ok(())
    }
}

impl Said {
    /// False for one that says what was said before.
    fn length(&mut self, value: &[u8]) -> Result<bool, Refused> {
        self.has_length = true;
        if self.has_coding {
            return Ok(false);
        }
        let length = length(value).ok_or(Refused::Malformed("a length that is none"))?;
        match self.length.replace(length) {
            Some(before) if before != length => Err(Refused::Malformed("lengths that differ")),
            before => Ok(before.is_none()),
        }
    }

    fn coding(&mut self, value: &[u8]) {
        self.has_coding = true;
        let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default();
        self.is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
    }
}

/// `None` while the head is not whole. Interim answers are answers here.
pub(super) fn answer(input: &mut BytesMut, search: &mut Search) -> Result<Option<Answered>, Malformed> {
    let length = search.length(input, |beginning| {
        let mut response = httparse::Response::new(&mut []);
        let mut room = [const { MaybeUninit::uninit() }; ANSWER_FIELDS];
        let config = httparse::ParserConfig::default();
        let parsed = config.parse_response_with_uninit_headers(&mut response, beginning, &mut room);
        parsed.map(drop).map_err(malformed)
    })?;
    let Some(length) = length else { return Ok(None) };
    let answered = parsed_answer(&input[..length]);
    input.advance(length);
    answered.map(Some)
}

fn malformed(error: httparse::Error) -> Malformed {
    match Refused::from(error) {
        Refused::Malformed(what) => Malformed(what),
        Refused::TooLong | Refused::TargetTooLong => Malformed("too many fields"),
    }
}

fn parsed_answer(text: &[u8]) -> Result<Answered, Malformed> {
    let mut room = [const { MaybeUninit::uninit() }; ANSWER_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let outcome = config.parse_response_with_uninit_headers(&mut parsed, text, &mut room);
    let whole = matches!(outcome.map_err(malformed)?, Status::Complete(length) if length == text.len());
    let (Some(code), Some(version), true) = (parsed.code, parsed.version, whole) else {
        return Err(Malformed("a head that ends before its end"));
    };
    let status = StatusCode::from_u16(code).map_err(|_| Malformed("a status that is none"))?;
    let mut fields = Fields::of_text(text, parsed.headers.len());
    let (mut keeps_alive, mut closes) = (version == 1, false);
    let (mut said, mut says_length) = (0, None);
    for line in &*parsed.headers {
        match Role::of(line.name.as_bytes()) {
            Role::Connection => {
                closes |= has_option(line.value, b"close");
                keeps_alive |= has_option(line.value, b"keep-alive");
            }
            Role::Length => {
                said += 1;
                says_length = length(line.value);
            }
            Role::Coding => said += 1,
            _ => {}
        }
        if line.name.len() > LONGEST_NAME {
            return Err(Malformed("a field name that is too long"));
        }
        let name = Span::in_text(text, line.name.as_bytes());
        fields.push(name, Span::in_text(text, line.value));
    }
    let reason = parsed.reason.filter(|reason| Some(*reason) != status.canonical_reason());
    let head = AnswerHead {
        status,
        version: if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 },
        reason: reason.map(|reason| Span::in_text(text, reason.as_bytes())),
        fields,
    };
    Ok(Answered { head, keeps_alive: keeps_alive && !closes, length: says_length.filter(|_| said == 1) })
}

/// A field behind a body.
pub(super) fn trailer(line: &httparse::Header<'_>) -> Result<(HeaderName, HeaderValue), Malformed> {
    let name = HeaderName::from_bytes(line.name.as_bytes());
    let name = name.map_err(|_| Malformed("a field name that is none"))?;
    let value = HeaderValue::from_bytes(line.value);
    Ok((name, value.map_err(|_| Malformed("a field value that is none"))?))
}
