//! What a request gets that tells nothing of its way here. Nearly every request is one: as lines that are written behind its
//! fields, this costs a fraction of what putting them among its fields does.

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::trace::{TRACEPARENT, Traceparent};
use super::{BANYAN_HOP, Peer, Scheme, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::message::{Fields, Span, write_line};

pub(crate) struct Added {
    pub(super) hop: HeaderValue,
    /// Of `Forwarded`.
    pub(super) element: HeaderValue,
    pub(super) scheme: Scheme,
    /// In the text of the request's fields.
    pub(super) host: Option<Span>,
    /// None where the client's passes.
    pub(super) traceparent: Option<Traceparent>,
}

/// With the peer that the request is from.
pub(crate) type Lines<'l> = (&'l Added, &'l Peer);

impl Added {
    /// As lines of HTTP/1. `fields` are those of the request.
    pub(crate) fn write(&self, peer: &Peer, fields: &Fields, text: &mut Vec<u8>) {
        self.each(peer, fields, |name, value| write_line(name.as_ref(), value, text));
    }

    /// Among the fields of a copy with HTTP/2.
    pub(crate) fn put_into_map(&self, peer: &Peer, fields: &Fields, headers: &mut HeaderMap) {
        self.each(peer, fields, |name, value| {
            headers.insert(name, valid(value));
        });
    }

    /// Among the fields of the request itself.
    pub(crate) fn put_into(&self, peer: &Peer, fields: &mut Fields) {
        let before = fields.clone();
        self.each(peer, &before, |name, value| fields.insert(name, &valid(value)));
    }

    fn each(&self, peer: &Peer, fields: &Fields, mut line: impl FnMut(&HeaderName, &[u8])) {
        line(&BANYAN_HOP, self.hop.as_bytes());
        line(&X_FORWARDED_FOR, peer.for_list.as_bytes());
        line(&FORWARDED, self.element.as_bytes());
        line(&X_FORWARDED_PROTO, self.scheme.as_str().as_bytes());
        if let Some(host) = self.host {
            line(&X_FORWARDED_HOST, fields.text(host));
        }
        if let Some(value) = &self.traceparent {
            line(&TRACEPARENT, value);
        }
    }
}

fn valid(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).expect("made of what was a field value, or of visible ASCII")
}
