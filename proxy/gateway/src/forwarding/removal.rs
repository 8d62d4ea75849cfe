//! Fields that end here: those of one hop, what `Connection` names, and what a client must not say.

use http::header::{CONNECTION, Entry, HeaderMap, HeaderName, HeaderValue};

pub(super) fn has_option(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get_all(CONNECTION).iter().flat_map(options_of).any(|option| option.eq_ignore_ascii_case(wanted))
}

/// Options of one `Connection` line; one that is no text names no field, and hides no other.
fn options_of(line: &HeaderValue) -> impl Iterator<Item = &str> {
    let options = line.as_bytes().split(|&byte| byte == b',');
    options.filter_map(|option| str::from_utf8(option.trim_ascii()).ok())
}

/// Removes `Connection` and every field it names, but for those that the message itself needs.
pub(super) fn remove_nominated(headers: &mut HeaderMap) {
    let lines = match headers.entry(CONNECTION) {
        Entry::Occupied(entry) => entry.remove_entry_mult().1.collect::<SmallLines>(),
        Entry::Vacant(_) => return,
    };
    for option in lines.0.iter().chain(&lines.1).flat_map(options_of) {
        // The usual options name no field worth a look-up, or fields that go anyway.
        let is_usual =
            ["close", "keep-alive", "upgrade", "te"].iter().any(|usual| option.eq_ignore_ascii_case(usual));
        let is_needed = ["host", "content-length"].iter().any(|needed| option.eq_ignore_ascii_case(needed));
        if !is_usual && !is_needed && !option.is_empty() {
            headers.remove(option);
        }
    }
}

/// One line without allocating, more with.
#[derive(Default)]
struct SmallLines(Option<HeaderValue>, Vec<HeaderValue>);

impl FromIterator<HeaderValue> for SmallLines {
    fn from_iter<I: IntoIterator<Item = HeaderValue>>(lines: I) -> Self {
        let mut lines = lines.into_iter();
        Self(lines.next(), lines.collect())
    }
}

/// RFC 9110 7.6.1, and `Proxy-*`, which belong to a proxy the client has chosen.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Never a client's to send: `Proxy`, which CGI takes for its own setting, what only goes with `Upgrade: h2c`, and
/// Banyan's own words.
fn is_of_requests_only(name: &str) -> bool {
    matches!(name, "proxy" | "http2-settings") || begins(name, "banyan-") || is_twin_of_framing(name)
}

/// Spelled with an underscore, which CGI and its children read as the field that frames a message.
fn is_twin_of_framing(name: &str) -> bool {
    name.contains('_') && (is_twin(name, "content-length") || is_twin(name, "transfer-encoding"))
}

/// What a proxy says of where a request came from.
fn is_claim_of_origin(name: &str) -> bool {
    name == "forwarded" || begins(name, "x-forwarded-") || is_twin(name, "x-real-ip")
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

/// What one look at all names of a message tells: most messages have nothing to remove, and looking every name up
/// costs more.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "four names, seen or not")]
pub(super) struct Seen {
    pub(super) connection: bool,
    pub(super) coding: bool,
    pub(super) te: bool,
    pub(super) hop: bool,
    /// What must go besides `Connection` and what it names. Allocates only when there is any.
    pub(super) condemned: Vec<HeaderName>,
}

impl Seen {
    pub(super) fn in_request(headers: &HeaderMap, trusted: bool) -> Self {
        Self::with(headers, |name| {
            // A trusted proxy appends to `X-Forwarded-For` and may pass a client's `X_Forwarded_For` through, which
            // CGI and WSGI read as the same name.
            is_of_requests_only(name) || ((!trusted || name.contains('_')) && is_claim_of_origin(name))
        })
    }

    pub(super) fn in_answer(headers: &HeaderMap) -> Self {
        Self::with(headers, |name| name.starts_with("banyan-"))
    }

    fn with(headers: &HeaderMap, is_condemned: impl Fn(&str) -> bool) -> Self {
        let mut seen = Self::default();
        for name in headers.keys() {
            let text = name.as_str();
            // No other name is of interest below, and most names end here.
            if !matches!(text.as_bytes()[0], b'b' | b'c' | b'f' | b'h' | b'k' | b'p' | b't' | b'u' | b'x') {
                continue;
            }
            match text {
                "connection" => seen.connection = true,
                "transfer-encoding" => seen.coding = true,
                "te" => seen.te = true,
                "banyan-hop" => seen.hop = true,
                _ => {}
            }
            if (text != "connection" && is_hop_by_hop(text)) || is_condemned(text) {
                seen.condemned.push(name.clone());
            }
        }
        seen
    }
}
