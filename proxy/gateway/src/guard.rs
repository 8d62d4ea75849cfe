//! What is a well-formed head, and is refused before routing nevertheless.
//!
//! - `Host`: exactly one with HTTP/1.1, well-formed (RFC 9112 3.2, RFC 9110 7.2).
//! - Target: origin-form, absolute-form, or `*` with OPTIONS (RFC 9112 3.2). A fragment never gets this far: the
//!   `http` crate cuts it off while reading the target, so that it is neither matched nor forwarded.
//! - `Transfer-Encoding`: one `chunked` and nothing else, never with HTTP/1.0 (RFC 9112 6.1). A `Content-Length`
//!   beside it is dropped by the HTTP/1 server, which then closes the connection after the answer; every message is framed anew.
//!
//! Answer a refusal with `Connection: close`: what follows on such a connection cannot be trusted.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, COOKIE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery};
use http::{Method, StatusCode, Uri, Version};

use crate::forwarding::Seen;
use crate::limits::Limits;
use crate::message::RequestHead;

/// No body is longer: 1 EiB. The end of one would be waited for for ever.
const MAX_CONTENT_LENGTH: u64 = 1 << 60;

/// A head that may be routed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted<'p> {
    /// Authority of the request, byte for byte: that of an absolute target, else `Host`. Empty when there is none
    /// (HTTP/1.0, `OPTIONS *`).
    pub(crate) host: &'p str,
    /// Path and query as sent, or `*`. Borrowed but for `http://host?query`, which gets its slash.
    pub(crate) target: Cow<'p, str>,
}

/// Why a head is refused. Displays as one sentence for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// HTTP/1.1 without `Host`, HTTP/2 without `:authority` and `Host`.
    HostMissing,
    /// More than one `Host`, or one that is not what `:authority` says.
    HostRepeated,
    /// `Host`, or the authority of an absolute target, is not `host[:port]`.
    HostMalformed(HostProblem),
    /// The target cannot be read.
    Target(TargetProblem),
    /// CONNECT: Banyan is no tunnel.
    Connect,
    /// A transfer coding other than `chunked`.
    CodingUnknown,
    /// `Transfer-Encoding` that different parsers frame differently.
    CodingMalformed,
    /// `Transfer-Encoding` with HTTP/1.0.
    CodingInHttp10,
    /// `Content-Length` beyond anything that can arrive, in bytes.
    LengthAbsurd,
    /// A target longer than the limit.
    TargetTooLong,
    /// More fields than the limit.
    TooManyFields,
    /// This request has been here before, or passed too many Banyans.
    Loop,
    /// A field name that HTTP/1 has no room for.
    FieldName,
}

/// What is wrong with an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostProblem {
    Empty,
    UserInfo,
    Character(char),
    NoText,
    Port,
    Ipv6Literal,
}

/// What is wrong with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetProblem {
    /// No leading slash and no scheme.
    NotOriginForm,
    /// `*` with another method than OPTIONS.
    Asterisk,
    /// Absolute-form with another scheme than `http` and `https`.
    Scheme,
}

/// A refusal in one word: value of `Banyan-Reason` and metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedReason {
    BadHost,
    BadTarget,
    ConnectMethod,
    UnknownTransferCoding,
    BadTransferEncoding,
    BodyTooLong,
    TargetTooLong,
    TooManyFields,
    HeadTooLong,
    HeadTimeout,
    MalformedHead,
    Loop,
}

impl RefusedReason {
    /// Every reason, for metrics made ready; in the order of the discriminants.
    pub(crate) const ALL: [Self; 12] = [
        Self::BadHost,
        Self::BadTarget,
        Self::ConnectMethod,
        Self::UnknownTransferCoding,
        Self::BadTransferEncoding,
        Self::BodyTooLong,
        Self::TargetTooLong,
        Self::TooManyFields,
        Self::HeadTooLong,
        Self::HeadTimeout,
        Self::MalformedHead,
        Self::Loop,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BadHost => "bad-host",
            Self::BadTarget => "bad-target",
            Self::ConnectMethod => "connect-method",
            Self::UnknownTransferCoding => "unknown-transfer-coding",
            Self::BadTransferEncoding => "bad-transfer-encoding",
            Self::BodyTooLong => "body-too-long",
            Self::TargetTooLong => "target-too-long",
            Self::TooManyFields => "too-many-fields",
            Self::HeadTooLong => "head-too-long",
            Self::HeadTimeout => "head-timeout",
            Self::MalformedHead => "malformed-head",
            Self::Loop => "loop",
        }
    }
}

/// Checks how large a head is.
pub(crate) fn check_size(head: &RequestHead, limits: &Limits) -> Result<(), Refused> {
    let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if target.len() > limits.target_bytes {
        return Err(Refused::TargetTooLong);
    }
    // HTTP/2 clients may send one line per cookie, which become one.
    let cookies = || head.fields.get_all(&COOKIE).skip(1).count();
    let is_within = |fields: usize| fields <= limits.fields;
    let count = head.fields.len();
    if is_within(count) || is_within(count - cookies()) { Ok(()) } else { Err(Refused::TooManyFields) }
}

/// Checks a head as it was read. `seen` is what its fields are.
pub(crate) fn check(head: &RequestHead, seen: Seen) -> Result<Accepted<'_>, Refused> {
    // 501 and not 405 (RFC 9110 15.6.2): no resource here ever takes it.
    if head.method == Method::CONNECT {
        return Err(Refused::Connect);
    }
    if seen.has(Seen::CODING) || seen.has(Seen::LENGTH) {
        check_framing(head)?;
    }
    // HTTP/2 reads a quote as a part of a name (RFC 9113 8.2.1); no token has one (RFC 9110 5.6.2).
    if head.version == Version::HTTP_2 && head.fields.names().any(has_quote) {
        return Err(Refused::FieldName);
    }
    let target = target(head)?;
    let field = host_field(head)?;
    let host = match head.uri.authority() {
        Some(authority) => checked_authority(authority.as_str())?,
        None => field,
    };
    if head.version == Version::HTTP_2 {
        check_http2_host(host, field)?;
    }
    Ok(Accepted { host, target })
}

/// RFC 9113 8.3.1: `:authority` stands for `Host`; where both are there, they say the same.
fn check_http2_host(host: &str, field: &str) -> Result<(), Refused> {
    if host.is_empty() {
        return Err(Refused::HostMissing);
    }
    if field.is_empty() || host.eq_ignore_ascii_case(field) { Ok(()) } else { Err(Refused::HostRepeated) }
}

/// Makes an accepted head origin-form: the authority of an absolute target becomes `Host` (RFC 9112 3.2.2).
pub(crate) fn to_origin_form(head: &mut RequestHead) {
    let Some(authority) = head.uri.authority() else { return };
    let host = host_value(authority);
    let target = slashed(&head.uri);
    head.fields.insert(&HOST, &host);
    head.uri = Uri::from(target);
}

fn host_value(authority: &Authority) -> HeaderValue {
    HeaderValue::from_str(authority.as_str()).expect("an authority holds only visible ASCII")
}

fn slashed(uri: &Uri) -> PathAndQuery {
    match uri.path_and_query() {
        // Of `http://a#b` it is an empty text that only claims to be a slash, and would be sent as it is.
        Some(target) if target.as_str() == "/" => PathAndQuery::from_static("/"),
        Some(target) if target.as_str().starts_with('/') || target.as_str() == "*" => target.clone(),
        Some(target) => PathAndQuery::try_from(format!("/{}", target.as_str()))
            .expect("a slash before a valid query is a valid target"),
        None => PathAndQuery::from_static("/"),
    }
}

impl Refused {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Connect | Self::CodingUnknown => StatusCode::NOT_IMPLEMENTED,
            Self::LengthAbsurd => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyFields => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Loop => StatusCode::LOOP_DETECTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn reason(&self) -> RefusedReason {
        match self {
            Self::HostMissing | Self::HostRepeated | Self::HostMalformed(_) => RefusedReason::BadHost,
            Self::Target(_) => RefusedReason::BadTarget,
            Self::Connect => RefusedReason::ConnectMethod,
            Self::CodingUnknown => RefusedReason::UnknownTransferCoding,
            Self::CodingMalformed | Self::CodingInHttp10 => RefusedReason::BadTransferEncoding,
            Self::LengthAbsurd => RefusedReason::BodyTooLong,
            Self::TargetTooLong => RefusedReason::TargetTooLong,
            Self::TooManyFields => RefusedReason::TooManyFields,
            Self::Loop => RefusedReason::Loop,
            Self::FieldName => RefusedReason::MalformedHead,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostMissing => write!(out, "an HTTP/1.1 request without `Host`"),
            Self::HostRepeated => write!(out, "more than one `Host`"),
            Self::HostMalformed(problem) => write!(out, "`Host` is not `host[:port]`: {problem}"),
            Self::Target(problem) => write!(out, "{problem}"),
            Self::Connect => write!(out, "CONNECT is not supported"),
            Self::CodingUnknown => write!(out, "a transfer coding other than `chunked`"),
            Self::CodingMalformed => write!(out, "`Transfer-Encoding` is not exactly `chunked`"),
            Self::CodingInHttp10 => write!(out, "`Transfer-Encoding` in an HTTP/1.0 request"),
            Self::LengthAbsurd => write!(out, "`Content-Length` above {MAX_CONTENT_LENGTH} bytes"),
            Self::TargetTooLong => write!(out, "the target is too long"),
            Self::TooManyFields => write!(out, "too many fields"),
            Self::FieldName => write!(out, "a quote in the name of a field"),
            Self::Loop => write!(out, "the request came back to this proxy, or passed too many of them"),
        }
    }
}

impl fmt::Display for HostProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(out, "it is empty"),
            Self::UserInfo => write!(out, "it holds user information"),
            Self::Character(found) => write!(out, "it holds {found:?}"),
            Self::NoText => write!(out, "it holds bytes that are no text"),
            Self::Port => write!(out, "the port is not a number up to 65535"),
            Self::Ipv6Literal => write!(out, "what stands in brackets is no IPv6 address"),
        }
    }
}

impl fmt::Display for TargetProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOriginForm => write!(out, "the target does not begin with `/`"),
            Self::Asterisk => write!(out, "the target `*` belongs to OPTIONS alone"),
            Self::Scheme => write!(out, "the scheme of the target is neither `http` nor `https`"),
        }
    }
}

fn check_framing(head: &RequestHead) -> Result<(), Refused> {
    let mut codings = head.fields.get_all(&TRANSFER_ENCODING);
    if let Some(first) = codings.next() {
        if head.version == Version::HTTP_10 {
            return Err(Refused::CodingInHttp10);
        }
        let is_alone = codings.next().is_none();
        if !(is_alone && first.eq_ignore_ascii_case(b"chunked")) {
            return Err(coding_problem(head));
        }
    }
    match head.fields.get(&CONTENT_LENGTH) {
        Some(length) if is_absurd(length) => Err(Refused::LengthAbsurd),
        _ => Ok(()),
    }
}

/// Unknown when every element is a plain token and some are not `chunked` (501); else malformed (400).
fn coding_problem(head: &RequestHead) -> Refused {
    let lines = head.fields.get_all(&TRANSFER_ENCODING);
    let mut elements = lines.flat_map(|line| line.split(|&byte| byte == b','));
    let is_chunked = |element: &[u8]| element.eq_ignore_ascii_case(b"chunked");
    let (mut chunked, mut unknown) = (0, 0);
    let all_tokens = elements.all(|element| {
        let element = element.trim_ascii();
        *(if is_chunked(element) { &mut chunked } else { &mut unknown }) += 1;
        !element.is_empty() && element.iter().all(|&byte| is_token_byte(byte))
    });
    if all_tokens && chunked <= 1 && unknown > 0 { Refused::CodingUnknown } else { Refused::CodingMalformed }
}

/// `tchar` (RFC 9110 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(crate) fn has_quote(name: &[u8]) -> bool {
    name.contains(&b'"')
}

/// The server has already refused what is no number.
fn is_absurd(length: &[u8]) -> bool {
    let number: Option<u64> = str::from_utf8(length).ok().and_then(|text| text.parse().ok());
    number.is_none_or(|number| number > MAX_CONTENT_LENGTH)
}

fn target(head: &RequestHead) -> Result<Cow<'_, str>, Refused> {
    let target = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    if target == "*" && head.method == Method::OPTIONS {
        // Of HTTP/2 the scheme stands beside it.
        return Ok(Cow::Borrowed(target));
    }
    match head.uri.scheme_str() {
        Some("http" | "https") if !target.starts_with('/') => Ok(Cow::Owned(format!("/{target}"))),
        Some("http" | "https") => Ok(Cow::Borrowed(target)),
        Some(_) => Err(Refused::Target(TargetProblem::Scheme)),
        None if target == "*" => Err(Refused::Target(TargetProblem::Asterisk)),
        None if target.starts_with('/') => Ok(Cow::Borrowed(target)),
        None => Err(Refused::Target(TargetProblem::NotOriginForm)),
    }
}

/// The `Host` field, or nothing where the protocol lets it be absent.
fn host_field(head: &RequestHead) -> Result<&str, Refused> {
    let mut fields = head.fields.get_all(&HOST);
    let Some(field) = fields.next() else {
        return if head.version == Version::HTTP_11 { Err(Refused::HostMissing) } else { Ok("") };
    };
    if fields.next().is_some() {
        return Err(Refused::HostRepeated);
    }
    let text = str::from_utf8(field).map_err(|_| Refused::HostMalformed(HostProblem::NoText))?;
    // Empty says "the target has no authority" (RFC 9112 3.2): true of `*`, and of old clients.
    let may_be_empty = head.version == Version::HTTP_10 || head.uri.path() == "*";
    if text.is_empty() && may_be_empty {
        return Ok(text);
    }
    checked_authority(text)
}

/// `uri-host [ ":" port ]` (RFC 9110 7.2, RFC 3986 3.2.2), narrowed: no percent-encoding, no `IPvFuture`, no zone
/// identifiers, and no comma, which would split `X-Forwarded-Host`.
fn checked_authority(text: &str) -> Result<&str, Refused> {
    let name_ends = text.bytes().position(|byte| !is_name_byte(byte)).unwrap_or(text.len());
    if name_ends > 0 && is_port(&text[name_ends..]) {
        return Ok(text);
    }
    let problem = |problem| Err(Refused::HostMalformed(problem));
    if text.contains('@') {
        return problem(HostProblem::UserInfo);
    }
    let port = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return problem(HostProblem::Ipv6Literal) };
        if address.parse::<Ipv6Addr>().is_err() {
            return problem(HostProblem::Ipv6Literal);
        }
        rest
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if name.is_empty() {
            return problem(HostProblem::Empty);
        }
        if !name.bytes().all(is_name_byte) {
            let found = name.chars().find(|&found| !u8::try_from(found).is_ok_and(is_name_byte));
            return problem(HostProblem::Character(found.unwrap_or_default()));
        }
        rest
    };
    if is_port(port) { Ok(text) } else { problem(HostProblem::Port) }
}

/// `unreserved` and `sub-delims` (RFC 3986 2) but for the comma.
fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[usize::from(byte)]
}

static NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b';'
                    | b'='
            );
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// Nothing, or a colon and up to 65535; a colon alone is the default port (RFC 3986 3.2.3).
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty() };
    digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.is_empty() || digits.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests;
