//! What a request gets that tells nothing of its way here. Nearly every request is one: as lines that are written behind its
//! fields, this costs a fraction of what putting them among its fields does. But for the trace they are those of the request
//! before on the same connection.

use std::sync::Arc;

use http::header::{FORWARDED, HeaderMap, HeaderValue};

use super::trace::{TRACEPARENT, Traceparent};
use super::{BANYAN_HOP, Peer, Scheme, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, chain};
use crate::message::{Fields, write_own_line};

pub(crate) struct Added {
    pub(super) lines: Arc<Fields>,
    /// None where the client's passes.
    pub(super) traceparent: Option<Traceparent>,
}

/// What the last request got, and what it was made from: most clients keep to one host.
pub(super) struct Last {
    pub(super) scheme: Scheme,
    pub(super) host: Option<Box<[u8]>>,
    pub(super) lines: Arc<Fields>,
}

impl Last {
    pub(super) fn new(hop: &HeaderValue, peer: &Peer, scheme: Scheme, host: Option<&[u8]>) -> Self {
        let mut lines = Fields::default();
        lines.append(&BANYAN_HOP, hop);
        lines.append(&X_FORWARDED_FOR, &peer.for_list);
        lines.append(&FORWARDED, &chain::element(&peer.node, scheme, host));
        lines.append(&X_FORWARDED_PROTO, &scheme.value());
        if let Some(host) = host {
            lines.append(&X_FORWARDED_HOST, &valid(host));
        }
        Self { scheme, host: host.map(Box::from), lines: Arc::new(lines) }
    }
}

impl Added {
    /// As lines of HTTP/1.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        self.lines.write(text, |_| false);
        if let Some(value) = &self.traceparent {
            write_own_line(&TRACEPARENT, value, text);
        }
    }

    /// Among the fields of a copy with HTTP/2, which has none of these yet.
    pub(crate) fn put_into_map(&self, headers: &mut HeaderMap) {
        headers.extend(HeaderMap::from(&*self.lines));
        if let Some(value) = &self.traceparent {
            headers.insert(&TRACEPARENT, valid(value));
        }
    }

    /// Among the fields of the request itself, which has none of these yet.
    pub(crate) fn put_into(&self, fields: &mut Fields) {
        fields.extend(&self.lines);
        if let Some(value) = &self.traceparent {
            fields.append(&TRACEPARENT, &valid(value));
        }
    }
}

fn valid(value: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(value).expect("what was a field value, or visible ASCII")
}
