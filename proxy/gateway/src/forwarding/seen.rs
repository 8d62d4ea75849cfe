//! What one look at the names of a head tells. Most heads have next to nothing that needs work, and looking names up one by
//! one costs more than all the work that is left.

use http::header::{HeaderMap, HeaderName};

/// Which names of interest a head holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen(u16);

impl Seen {
    pub(crate) const CONNECTION: Self = Self(1);
    pub(crate) const CODING: Self = Self(1 << 1);
    pub(crate) const LENGTH: Self = Self(1 << 2);
    pub(crate) const TE: Self = Self(1 << 3);
    pub(crate) const HOP: Self = Self(1 << 4);
    pub(crate) const ORIGIN: Self = Self(1 << 5);
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

    pub(crate) fn in_request(headers: &HeaderMap) -> Self {
        Self::with(headers, of_request)
    }

    pub(crate) fn in_answer(headers: &HeaderMap) -> Self {
        Self::with(headers, of_answer)
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

    fn with(headers: &HeaderMap, of: impl Fn(&str) -> Self) -> Self {
        headers.keys().fold(Self::NONE, |seen, name| seen.and(of(name.as_str())))
    }
}

/// What must go from a request besides `Connection` and what it names. Allocates, and is called only where there is any.
pub(super) fn condemned_of_request(headers: &HeaderMap, trusted: bool) -> Vec<HeaderName> {
    let unwanted = if trusted { Seen::ENDING } else { Seen::ENDING.and(Seen::CLAIM) }.and(Seen::TWIN);
    headers.keys().filter(|name| of_request(name.as_str()).has(unwanted)).cloned().collect()
}

/// The same for an answer.
pub(super) fn condemned_of_answer(headers: &HeaderMap) -> Vec<HeaderName> {
    headers.keys().filter(|name| of_answer(name.as_str()).has(Seen::ENDING)).cloned().collect()
}

fn of_request(name: &str) -> Seen {
    // Most names end here.
    match name.as_bytes()[0] {
        b'b' if begins(name, "banyan-") => {
            if name == "banyan-hop" {
                Seen::HOP.and(Seen::ENDING)
            } else {
                Seen::ENDING
            }
        }
        b'c' => match name {
            "connection" => Seen::CONNECTION,
            "content-length" => Seen::LENGTH,
            // Spelled with an underscore, which CGI and its children read as the field that frames a message.
            _ if is_twin(name, "content-length") => Seen::ENDING,
            _ => Seen::NONE,
        },
        b'f' if name == "forwarded" => Seen::CLAIM,
        // What only goes with `Upgrade: h2c`.
        b'h' if name == "http2-settings" => Seen::ENDING,
        b'o' if name == "origin" => Seen::ORIGIN,
        // A client must not say it: CGI takes it for a setting of its own (CVE-2016-5385).
        b'p' if name == "proxy" => Seen::ENDING,
        b't' => match name {
            "traceparent" => Seen::TRACEPARENT,
            "tracestate" => Seen::TRACESTATE,
            _ if name != "transfer-encoding" && is_twin(name, "transfer-encoding") => Seen::ENDING,
            _ => of_hop(name),
        },
        b'x' if begins(name, "x-forwarded-") || is_twin(name, "x-real-ip") => {
            // A trusted proxy appends to `X-Forwarded-For` and may pass a client's `X_Forwarded_For` through, which CGI and
            // WSGI read as the same name.
            if name.contains('_') { Seen::CLAIM.and(Seen::TWIN) } else { Seen::CLAIM }
        }
        b'k' | b'p' | b'u' => of_hop(name),
        _ => Seen::NONE,
    }
}

fn of_answer(name: &str) -> Seen {
    match name.as_bytes()[0] {
        b'a' if name == "access-control-allow-origin" => Seen::PLACE,
        b'b' if name.starts_with("banyan-") => Seen::ENDING,
        b'c' => match name {
            "connection" => Seen::CONNECTION,
            "content-length" => Seen::LENGTH,
            "content-location" => Seen::PLACE,
            _ => Seen::NONE,
        },
        b'l' if matches!(name, "location" | "link") => Seen::PLACE,
        b'r' if name == "refresh" => Seen::PLACE,
        b's' if name == "set-cookie" => Seen::PLACE,
        b'k' | b'p' | b't' | b'u' => of_hop(name),
        _ => Seen::NONE,
    }
}

/// Fields of one hop (RFC 9110 7.6.1), and `Proxy-*`, which belong to a proxy the client has chosen. `Connection` is told
/// apart before.
fn of_hop(name: &str) -> Seen {
    match name {
        "te" => Seen::TE.and(Seen::ENDING),
        "transfer-encoding" => Seen::CODING.and(Seen::ENDING),
        "keep-alive"
        | "proxy-authenticate"
        | "proxy-authentication-info"
        | "proxy-authorization"
        | "proxy-connection"
        | "upgrade" => Seen::ENDING,
        _ => Seen::NONE,
    }
}

/// Begins with `start`, where an underscore counts as a hyphen.
fn begins(name: &str, start: &str) -> bool {
    name.len() >= start.len() && is_twin_bytes(&name.as_bytes()[..start.len()], start.as_bytes())
}

fn is_twin(name: &str, of: &str) -> bool {
    is_twin_bytes(name.as_bytes(), of.as_bytes())
}

fn is_twin_bytes(name: &[u8], of: &[u8]) -> bool {
    name.len() == of.len()
        && name.iter().zip(of).all(|(&byte, &of)| byte == of || (byte == b'_' && of == b'-'))
}
