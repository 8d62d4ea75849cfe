//! From bytes to heads (RFC 9112 2 to 5), by `httparse`.
//!
//! A head is looked for whole before it is parsed, so that it is parsed once and its values share its bytes. Of the rest only
//! the beginning is parsed, so that nonsense is not waited for.

use std::mem::MaybeUninit;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use httparse::Status;

use super::chunks::{Chunks, Malformed};
use super::framing::{Decoder, has_option, length};
use super::spelling::Spelling;

/// Fields for which no memory is needed but the stack.
const FIELDS: usize = 100;
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
    pub(super) request: Request<()>,
    pub(super) body: Decoder,
    pub(super) expects_continue: bool,
    pub(super) keeps_alive: bool,
    pub(super) wants_upgrade: bool,
    pub(super) takes_trailers: bool,
}

/// The head of an answer, and whether the connection goes on behind it.
pub(super) struct Answered {
    pub(super) response: Response<()>,
    pub(super) keeps_alive: bool,
}

/// Where the search for the end of a head goes on.
#[derive(Debug, Default)]
pub(super) struct Search {
    searched: usize,
}

impl Search {
    /// Takes a whole head from the front of `input`; first `parse` sees the beginning of one that is not whole.
    fn take<E>(
        &mut self,
        input: &mut BytesMut,
        parse_beginning: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<Option<Bytes>, E> {
        if self.searched == 0 {
            skip_empty_lines(input);
        }
        if let Some(end) = end_of_head(input, self.searched) {
            self.searched = 0;
            return Ok(Some(input.split_to(end).freeze()));
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
    let head = search.take(input, |beginning| {
        let mut room = [const { MaybeUninit::uninit() }; FIELDS];
        match httparse::Request::new(&mut []).parse_with_uninit_headers(beginning, &mut room) {
            Err(httparse::Error::TooManyHeaders) | Ok(_) => Ok(()),
            Err(error) => Err(Refused::from(error)),
        }
    })?;
    match head {
        Some(head) if head.len() > bounds.bytes => Err(Refused::TooLong),
        None if input.len() > bounds.bytes => Err(Refused::TooLong),
        None => Ok(None),
        Some(head) if bounds.fields <= FIELDS => {
            let mut room = [const { MaybeUninit::uninit() }; FIELDS];
            parsed_request(&head, &mut room[..bounds.fields], bounds).map(Some)
        }
        Some(head) => {
            let mut room = vec![MaybeUninit::uninit(); bounds.fields];
            parsed_request(&head, &mut room, bounds).map(Some)
        }
    }
}

fn parsed_request<'h>(
    head: &'h Bytes,
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
    let target = Uri::from_maybe_shared(head.slice_ref(target.as_bytes()));
    let mut asked = Asked {
        request: Request::new(()),
        body: Decoder::NONE,
        expects_continue: false,
        keeps_alive: version == 1,
        wants_upgrade: false,
        takes_trailers: false,
    };
    let request = &mut asked.request;
    *request.method_mut() = method.map_err(|_| Refused::Malformed("a method that is none"))?;
    *request.uri_mut() = target.map_err(|_| Refused::Malformed("a target that is none"))?;
    *request.version_mut() = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    *request.headers_mut() = HeaderMap::with_capacity(parsed.headers.len() + ROOM_FOR_OURS);
    asked.fields(head, parsed.headers)?;
    if let Some(spelling) = Spelling::of(head, parsed.headers, None) {
        asked.request.extensions_mut().insert(spelling);
    }
    Ok(asked)
}

/// Fields that are added on the way.
const ROOM_FOR_OURS: usize = 6;

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
    fn fields(&mut self, head: &Bytes, lines: &[httparse::Header<'_>]) -> Result<(), Refused> {
        let is_http_11 = self.request.version() == Version::HTTP_11;
        let mut said = Said::default();
        for line in lines {
            let (name, value) = field(head, line)?;
            let is_kept = match name {
                header::CONTENT_LENGTH => said.length(&value)?,
                header::TRANSFER_ENCODING => {
                    if !is_http_11 {
                        return Err(Refused::Malformed("a transfer coding with HTTP/1.0"));
                    }
                    said.coding(&value);
                    true
                }
                header::CONNECTION => {
                    said.closes |= has_option(&value, b"close");
                    self.keeps_alive |= has_option(&value, b"keep-alive");
                    true
                }
                header::EXPECT => {
                    self.expects_continue = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                    true
                }
                header::UPGRADE => {
                    self.wants_upgrade = is_http_11;
                    true
                }
                header::TE => {
                    self.takes_trailers |= has_option(&value, b"trailers");
                    true
                }
                _ => true,
            };
            if is_kept {
                self.request.headers_mut().append(name, value);
            }
        }
        if said.has_coding && !said.is_chunked {
            return Err(Refused::Malformed("`chunked` is not the last transfer coding"));
        }
        if said.has_coding && said.has_length {
            self.request.headers_mut().remove(header::CONTENT_LENGTH);
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
    fn length(&mut self, value: &HeaderValue) -> Result<bool, Refused> {
        self.has_length = true;
        if self.has_coding {
            return Ok(false);
        }
        let length = length(value.as_bytes()).ok_or(Refused::Malformed("a length that is none"))?;
        match self.length.replace(length) {
            Some(before) if before != length => Err(Refused::Malformed("lengths that differ")),
            before => Ok(before.is_none()),
        }
    }

    fn coding(&mut self, value: &HeaderValue) {
        self.has_coding = true;
        let last = value.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default();
        self.is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
    }
}

/// `None` while the head is not whole. Interim answers are answers here.
pub(super) fn answer(input: &mut BytesMut, search: &mut Search) -> Result<Option<Answered>, Malformed> {
    let malformed = |error| match Refused::from(error) {
        Refused::Malformed(what) => Malformed(what),
        Refused::TooLong | Refused::TargetTooLong => Malformed("too many fields"),
    };
    let mut room = [const { MaybeUninit::uninit() }; ANSWER_FIELDS];
    let config = httparse::ParserConfig::default();
    let head = search.take(input, |beginning| {
        let mut response = httparse::Response::new(&mut []);
        let mut room = [const { MaybeUninit::uninit() }; ANSWER_FIELDS];
        let parsed = config.parse_response_with_uninit_headers(&mut response, beginning, &mut room);
        parsed.map(drop).map_err(malformed)
    })?;
    let Some(head) = head else { return Ok(None) };
    let mut parsed = httparse::Response::new(&mut []);
    let outcome = config.parse_response_with_uninit_headers(&mut parsed, &head, &mut room);
    let whole = matches!(outcome.map_err(malformed)?, Status::Complete(length) if length == head.len());
    let (Some(code), Some(version), true) = (parsed.code, parsed.version, whole) else {
        return Err(Malformed("a head that ends before its end"));
    };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(code).map_err(|_| Malformed("a status that is none"))?;
    *response.version_mut() = if version == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + ROOM_FOR_OURS);
    let (mut keeps_alive, mut closes) = (version == 1, false);
    for line in &*parsed.headers {
        let (name, value) = field(&head, line)?;
        if name == header::CONNECTION {
            closes |= has_option(&value, b"close");
            keeps_alive |= has_option(&value, b"keep-alive");
        }
        headers.append(name, value);
    }
    *response.headers_mut() = headers;
    let reason = parsed.reason.filter(|reason| Some(*reason) != response.status().canonical_reason());
    let reason = reason.map(|reason| head.slice_ref(reason.as_bytes()));
    if let Some(spelling) = Spelling::of(&head, parsed.headers, reason) {
        response.extensions_mut().insert(spelling);
    }
    Ok(Some(Answered { response, keeps_alive: keeps_alive && !closes }))
}

/// A field that shares the bytes of its head.
pub(super) fn field(
    head: &Bytes,
    line: &httparse::Header<'_>,
) -> Result<(HeaderName, HeaderValue), Malformed> {
    let name = HeaderName::from_bytes(line.name.as_bytes());
    let name = name.map_err(|_| Malformed("a field name that is none"))?;
    let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value));
    Ok((name, value.map_err(|_| Malformed("a field value that is none"))?))
}
