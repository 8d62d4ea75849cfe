//! WebSockets of HTTP/2 clients (RFC 8441): an extended CONNECT stands for a GET that asks for an upgrade.
//!
//! HTTP/2 needs no handshake of keys, since no server opens a stream by mistake. HTTP/1.1 does, so it is Banyan's own
//! with the upstream: without it a server that does not know WebSockets could take what the client sends for requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{Method, Version};
use hyper::ext::Protocol;
use ring::digest;

use crate::message::{Fields, RequestHead};

const WEBSOCKET: &str = "websocket";

/// What a server adds to the key before it hashes it (RFC 6455 1.3).
const SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Lengths of 16 and of 20 bytes in base64.
const KEY_LENGTH: usize = 24;
const ACCEPT_LENGTH: usize = 28;

/// Our handshake with the upstream: what it must answer.
pub(crate) struct Handshake {
    accept: [u8; ACCEPT_LENGTH],
}

/// Makes a CONNECT for a WebSocket the GET it stands for; false, and unchanged, if it is something else.
pub(crate) fn is_bootstrap(head: &mut RequestHead) -> bool {
    if head.version != Version::HTTP_2 || head.method != Method::CONNECT {
        return false;
    }
    let protocol = head.extensions.get::<Protocol>();
    if !protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case(WEBSOCKET)) {
        return false;
    }
    // Left in, it would reach an upstream with HTTP/2.
    head.extensions.remove::<Protocol>();
    head.method = Method::GET;
    true
}

/// What such a request asks for, in the words of HTTP/1.1.
pub(crate) fn protocols() -> HeaderValue {
    HeaderValue::from_static(WEBSOCKET)
}

impl Handshake {
    /// With a key that nobody had before.
    pub(crate) fn begin(fields: &mut Fields) -> Self {
        let key = encoded::<KEY_LENGTH>(&fastrand::u128(..).to_ne_bytes());
        let value = HeaderValue::from_bytes(&key).expect("base64 is visible ASCII");
        fields.insert(&SEC_WEBSOCKET_KEY, &value);
        Self { accept: accept_of(&key) }
    }

    pub(crate) fn is_met_by(&self, answer: &Fields) -> bool {
        let mut lines = answer.get_all(&SEC_WEBSOCKET_ACCEPT);
        lines.next().is_some_and(|line| line == self.accept) && lines.next().is_none()
    }

    /// Takes what is the handshake's own out of the answer, which a client with HTTP/2 reads as `200`.
    pub(crate) fn end(fields: &mut Fields) {
        for name in [SEC_WEBSOCKET_ACCEPT, UPGRADE, CONTENT_LENGTH] {
            fields.remove(&name);
        }
    }
}

fn accept_of(key: &[u8]) -> [u8; ACCEPT_LENGTH] {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(SALT);
    encoded(hash.finish().as_ref())
}

fn encoded<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    let written = STANDARD.encode_slice(bytes, &mut text).expect("the length is that of these bytes");
    debug_assert_eq!(written, LENGTH);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_rfc() {
        assert_eq!(&accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_differ_and_replace_what_the_client_sent() {
        let mut fields = Fields::default();
        fields.append(&SEC_WEBSOCKET_KEY, &HeaderValue::from_static("mine"));
        fields.append(&SEC_WEBSOCKET_KEY, &HeaderValue::from_static("again"));
        let first = Handshake::begin(&mut fields);
        assert_eq!(fields.get_all(&SEC_WEBSOCKET_KEY).count(), 1);
        let second = Handshake::begin(&mut fields);
        assert_ne!(first.accept, second.accept);
        let answer = HeaderValue::from_bytes(&second.accept).expect("visible");
        let mut answers = Fields::default();
        answers.append(&SEC_WEBSOCKET_ACCEPT, &answer);
        assert!(second.is_met_by(&answers) && !first.is_met_by(&answers));
        answers.append(&SEC_WEBSOCKET_ACCEPT, &answer);
        assert!(!second.is_met_by(&answers), "twice");
        assert!(!second.is_met_by(&Fields::default()), "none");
    }
}
