//! The head of an answer as its client reads it, and how the body behind it ends.

use std::io::Write as _;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};
use http_body::Body as _;
use tokio::sync::oneshot;

use super::framing::{self, Encoder, Role, has_option};
use super::{Switched, date};
use crate::body::ResponseBody;
use crate::message::{AnswerHead, write_own_line};

/// What is left of a request when its body has gone.
pub(super) struct Exchange {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) keeps_alive: bool,
    pub(super) takes_trailers: bool,
    pub(super) switch: Option<oneshot::Sender<Switched>>,
}

/// What a head says of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    None,
    /// What the fields say.
    Said,
    Is(u64),
}

impl Exchange {
    pub(super) fn refused() -> Self {
        Self {
            method: Method::GET,
            version: Version::HTTP_11,
            keeps_alive: false,
            takes_trailers: false,
            switch: None,
        }
    }

    /// Says how the body ends, by which the connection may have to end, too.
    pub(super) fn write_head(
        &mut self,
        head: &AnswerHead,
        body: &ResponseBody,
        out: &mut Vec<u8>,
    ) -> Encoder {
        let is_http_10 = self.version == Version::HTTP_10;
        let reason = head.reason.map(|reason| head.fields.text(reason));
        write_status(head.status, reason, is_http_10, out);
        let (encoder, length) = self.framing(head, body);
        let is_chunked = matches!(encoder, Encoder::Chunked(_));
        let (mut has_length, mut has_date, mut has_connection) = (false, false, false);
        head.fields.write(out, |name| match Role::of(name) {
            Role::Coding => true,
            Role::Trailer => !is_chunked,
            // Once, and where one is said.
            Role::Length => length == Length::None || std::mem::replace(&mut has_length, true),
            Role::Date => {
                has_date = true;
                false
            }
            Role::Connection => {
                has_connection = true;
                false
            }
            _ => false,
        });
        match length {
            Length::Is(length) if !has_length => {
                write!(out, "{CONTENT_LENGTH}: {length}\r\n").expect("memory takes all that is written");
            }
            _ if is_chunked => write_own_line(&TRANSFER_ENCODING, b"chunked", out),
            _ => {}
        }
        let says = |option: &[u8]| {
            has_connection && head.fields.get_all(&CONNECTION).any(|line| has_option(line, option))
        };
        let says_close = says(b"close");
        self.keeps_alive &= !says_close;
        // RFC 9112 9.6: the last answer says so.
        if !is_http_10 && !self.keeps_alive && !says_close && head.status != StatusCode::SWITCHING_PROTOCOLS {
            write_own_line(&CONNECTION, b"close", out);
        }
        let is_until_close = matches!(encoder, Encoder::UntilClose);
        if is_http_10 && self.keeps_alive && !is_until_close && !says(b"keep-alive") {
            write_own_line(&CONNECTION, b"keep-alive", out);
        }
        if !has_date {
            out.extend_from_slice(DATE.as_ref());
            out.extend_from_slice(b": ");
            date::write(out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        encoder
    }

    /// RFC 9112 6.3, and which lengths are said (RFC 9110 8.6).
    fn framing(&self, head: &AnswerHead, body: &ResponseBody) -> (Encoder, Length) {
        let status = head.status;
        if status.is_informational() || status == StatusCode::NO_CONTENT {
            return (Encoder::NONE, Length::None);
        }
        let said = || head.fields.get(&CONTENT_LENGTH);
        if status == StatusCode::NOT_MODIFIED || self.method == Method::HEAD {
            let of_body = body.size_hint().exact().filter(|&length| length > 0);
            let length = match (said(), of_body) {
                (Some(_), _) => Length::Said,
                (None, Some(length)) if status != StatusCode::NOT_MODIFIED => Length::Is(length),
                _ => Length::None,
            };
            return (Encoder::NONE, length);
        }
        let exact = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        match exact.or_else(|| said().and_then(framing::length)) {
            Some(length) => (Encoder::Length(length), Length::Is(length)),
            None if self.version == Version::HTTP_10 => (Encoder::UntilClose, Length::None),
            None => (Encoder::chunked(&head.fields), Length::None),
        }
    }
}

fn write_status(status: StatusCode, reason: Option<&[u8]>, is_http_10: bool, out: &mut Vec<u8>) {
    if status == StatusCode::OK && reason.is_none() && !is_http_10 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(if is_http_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let usual = || status.canonical_reason().unwrap_or("<none>").as_bytes();
    out.extend_from_slice(reason.unwrap_or_else(usual));
    out.extend_from_slice(b"\r\n");
}
