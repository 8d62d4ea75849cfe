//! What one look at the names of a head tells. Most heads have next to nothing that needs work, and looking names up one by
//! one costs more than all the work that is left.

use crate::message::{Fields, is_name};

/// Which names of interest a head holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u16);

impl Seen {
    pub(crate) const CONNECTION: Self = Self(1);
    pub(crate) const CODING: Self = Self(1 << 1);
    pub(crate) const LENGTH: Self = Self(1 << 2);
    pub(crate) const TE: Self = Self(1 << 3);
    pub(crate) const HOP: Self = Self(1 << 4);
    pub(crate) const TRACEPARENT: Self = Self(1 << 6);
    pub(crate) const TRACESTATE: Self = Self(1 << 7);
    /// Something that ends here besides `Connection` and what it names.
    pub(super) const ENDING: Self = Self(1 << 8);
    /// Something that tells where the request came from, which only some may say.
    pub(super) const CLAIM: Self = Self(1 << 9);
    /// The same with an underscore, which nobody may say.
    pub(super) const TWIN: Self = Self(1 << 10);
    /// An address or a cookie of an answer.
    pub(crate) const PLACE: Self = Self(1 << 11);
    /// More than one length.
    pub(super) const LENGTHS: Self = Self(1 << 12);

    pub(crate) fn in_request(fields: &Fields) -> Self {
        Self::with(fields, of_request)
    }

    pub(crate) fn in_answer(fields: &Fields) -> Self {
        Self::with(fields, of_answer)
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is worth looking for names that must go.
    pub(super) const fn needs_removal(self) -> bool {
        self.has(Self::ENDING.and(Self::CLAIM).and(Self::TWIN))
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const NONE: Self = Self(0);

    fn with(fields: &Fields, of: impl Fn(&[u8]) -> Self) -> Self {
        fields.names().fold(Self::NONE, |seen, name| match of(name) {
            Self::LENGTH if seen.has(Self::LENGTH) => seen.and(Self::LENGTHS),
            found => seen.and(found),
        })
    }
}

/// Takes out of a request what must go besides `Connection` and what it names.
pub(super) fn remove_from_request(fields: &mut Fields, trusted: bool) {
    let unwanted = if trusted { Seen::ENDING } else { Seen::ENDING.and(Seen::CLAIM) }.and(Seen::TWIN);
    fields.retain(|name| !of_request(name).has(unwanted));
}

/// The same of an answer.
pub(super) fn remove_from_answer(fields: &mut Fields) {
    fields.retain(|name| !of_answer(name).has(Seen::ENDING));
}

/// Names in any case.
fn of_request(name: &[u8]) -> Seen {
    let is = |wanted: &str| is_name(name, wanted.as_bytes());
    // Most names end here.
    match first(name) {
        b'b' if begins(name, "banyan-") => {
            if is("banyan-hop") {
                Seen::HOP.and(Seen::ENDING)
            } else {
                Seen::ENDING
            }
        }
        b'c' if is("connection") => Seen::CONNECTION,
        b'c' if is("content-length") => Seen::LENGTH,
        // Spelled with an underscore, which CGI and its children read as the field that frames a message.
        b'c' if is_twin(name, "content-length") => Seen::ENDING,
        b'f' if is("forwarded") => Seen::CLAIM,
        // What only goes with `Upgrade: h2c`.
        b'h' if is("http2-settings") => Seen::ENDING,
        // A client must not say it: CGI takes it for a setting of its own (CVE-2016-5385).
        b'p' if is("proxy") => Seen::ENDING,
        b't' if is("traceparent") => Seen::TRACEPARENT,
        b't' if is("tracestate") => Seen::TRACESTATE,
        b't' if !is("transfer-encoding") && is_twin(name, "transfer-encoding") => Seen::ENDING,
        b'x' if begins(name, "x-forwarded-") || is_twin(name, "x-real-ip") => {
            // A trusted proxy appends to `X-Forwarded-For` and may pass a client's `X_Forwarded_For` through, which CGI and
            // WSGI read as the same name.
            if name.contains(&b'_') { Seen::CLAIM.and(Seen::TWIN) } else { Seen::CLAIM }
        }
        b'k' | b'p' | b't' | b'u' => of_hop(name),
        _ => Seen::NONE,
    }
}

fn of_answer(name: &[u8]) -> Seen {
    let is = |wanted: &str| is_name(name, wanted.as_bytes());
    match first(name) {
        b'a' if is("access-control-allow-origin") => Seen::PLACE,
        b'b' if name.len() >= 7 && name[..7].eq_ignore_ascii_case(b"banyan-") => Seen::ENDING,
        b'c' if is("connection") => Seen::CONNECTION,
        b'c' if is("content-length") => Seen::LENGTH,
        b'c' if is("content-location") => Seen::PLACE,
        b'l' if is("location") || is("link") => Seen::PLACE,
        b'r' if is("refresh") => Seen::PLACE,
        b's' if is("set-cookie") => Seen::PLACE,
        b'k' | b'p' | b't' | b'u' => of_hop(name),
        _ => Seen::NONE,
    }
}

fn first(name: &[u8]) -> u8 {
    name.first().map_or(0, u8::to_ascii_lowercase)
}

/// Fields of one hop (RFC 9110 7.6.1), and `Proxy-*`, which belong to a proxy the client has chosen. `Connection`, `TE` and
/// `Transfer-Encoding` are of it, too, and told apart.
const ENDING: [&str; 6] = [
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "upgrade",
];

fn of_hop(name: &[u8]) -> Seen {
    let is = |wanted: &str| is_name(name, wanted.as_bytes());
    if is("te") {
        Seen::TE.and(Seen::ENDING)
    } else if is("transfer-encoding") {
        Seen::CODING.and(Seen::ENDING)
    } else if ENDING.into_iter().any(is) {
        Seen::ENDING
    } else {
        Seen::NONE
    }
}

/// Begins with `start`, where an underscore counts as a hyphen.
fn begins(name: &[u8], start: &str) -> bool {
    name.len() >= start.len() && is_twin(&name[..start.len()], start)
}

fn is_twin(name: &[u8], of: &str) -> bool {
    let is_like = |byte: u8, of: u8| byte.eq_ignore_ascii_case(&of) || (byte == b'_' && of == b'-');
    name.len() == of.len() && name.iter().zip(of.as_bytes()).all(|(&byte, &of)| is_like(byte, of))
}
