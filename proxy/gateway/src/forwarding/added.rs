//! What a request gets that tells nothing of its way here. Nearly every request is one: as lines that are written behind its
//! fields, this costs a fraction of what putting them among its fields does.

use http::header::{FORWARDED, HeaderMap, HeaderName, HeaderValue};

use super::trace::{self, TRACEPARENT, Traceparent};
use super::{BANYAN_HOP, Peer, Scheme, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};

pub(crate) struct Added {
    pub(super) hop: HeaderValue,
    /// Of `Forwarded`.
    pub(super) element: HeaderValue,
    pub(super) scheme: Scheme,
    pub(super) host: Option<HeaderValue>,
    /// None where the client's passes.
    pub(super) traceparent: Option<Traceparent>,
}

/// With the peer that the request is from.
pub(crate) type Lines<'l> = (&'l Added, &'l Peer);

impl Added {
    /// As lines of HTTP/1.
    pub(crate) fn write(&self, peer: &Peer, text: &mut Vec<u8>) {
        let mut line = |name: &HeaderName, value: &[u8]| {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value);
            text.extend_from_slice(b"\r\n");
        };
        line(&BANYAN_HOP, self.hop.as_bytes());
        line(&X_FORWARDED_FOR, peer.for_list.as_bytes());
        line(&FORWARDED, self.element.as_bytes());
        line(&X_FORWARDED_PROTO, self.scheme.as_str().as_bytes());
        if let Some(host) = &self.host {
            line(&X_FORWARDED_HOST, host.as_bytes());
        }
        if let Some(value) = &self.traceparent {
            line(&TRACEPARENT, value);
        }
    }

    /// Among the fields of a copy.
    pub(crate) fn put_into(&self, peer: &Peer, headers: &mut HeaderMap) {
        headers.insert(BANYAN_HOP, self.hop.clone());
        headers.insert(X_FORWARDED_FOR, peer.for_list.clone());
        headers.insert(FORWARDED, self.element.clone());
        headers.insert(X_FORWARDED_PROTO, self.scheme.value());
        if let Some(host) = &self.host {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        trace::put(headers, self.traceparent);
    }
}
