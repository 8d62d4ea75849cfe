//! Any fields in heads that are otherwise in order: those of one hop end here, both ways, and so does what only Banyan may
//! say. All others arrive as they were sent.
//!
//! The first byte says who asks for what: bit 0 for a peer that is trusted, bit 1 for a path that the candidate has under
//! another one. Then the fields of the request, a line each, NUL, and those of the answer.

use std::collections::BTreeMap;

use super::parsers::Request;
use super::site::Entrance;

/// More lines than this would be refused for their number.
const LINES_MAX: usize = 50;

/// What frames a message or changes its course: other targets try these.
const FRAMING: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "expect", "x-number", "sec-websocket-key"];

/// Fields of a request that end here, or that Banyan changes.
const CHANGED: [&str; 17] = [
    "connection",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "upgrade",
    "via",
    "x-real-ip",
    "date",
];

/// Fields of an answer that may name an upstream, and are made to fit the outside.
const FITTED: [&str; 6] =
    ["location", "content-location", "refresh", "link", "set-cookie", "access-control-allow-origin"];

/// How an answer can name its upstream.
const NAMES: [&str; 2] = ["127.0.0.1", "shop.test"];

/// Values in the order of their lines, by name in lower case.
type Fields = BTreeMap<String, Vec<String>>;

/// Reads the bytes as the fields of one request and of its answer.
pub(crate) fn check(bytes: &[u8]) {
    let Some((switch, lines)) = bytes.split_first() else { return };
    let is_trusted = switch & 1 == 1;
    let is_moved = switch & 2 == 2;
    let mut halves = lines.splitn(2, |&byte| byte == 0);
    let [asked, answered] = [(); 2].map(|()| sendable(halves.next().unwrap_or_default()));
    let target = if is_moved { "/a/x" } else { "/x" };
    let head = format!("GET {target} HTTP/1.1\r\nHost: shop.test\r\n");
    let sent = [head.as_bytes(), &written(&asked), b"\r\n"].concat();
    let entrance = if is_trusted { Entrance::Trusting } else { Entrance::Plain };
    let outcome = super::site().exchange_with(entrance, &sent, written(&answered));
    let reached = super::reached(&outcome, is_trusted);
    let Some(Some(seen)) = reached.first().filter(|_| !outcome.answers.is_empty()) else { return };
    check_request(&by_name(&asked), seen);
    check_answer(&by_name(&answered), &outcome.answers, is_moved);
}

/// The lines that are fields, and frame nothing.
fn sendable(lines: &[u8]) -> Vec<(String, Vec<u8>)> {
    lines.split(|&byte| byte == b'\n').filter_map(field).take(LINES_MAX).collect()
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let (name, value) = (str::from_utf8(&line[..colon]).ok()?, line[colon + 1..].trim_ascii());
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_sound = !name.is_empty() && name.bytes().all(is_token);
    let is_text = value.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t');
    let plain = name.to_ascii_lowercase().replace('_', "-");
    let is_sent = is_sound && is_text && !FRAMING.contains(&plain.as_str());
    is_sent.then(|| (name.to_owned(), value.to_vec()))
}

fn written(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let line = |(name, value): &(String, Vec<u8>)| [name.as_bytes(), b": ", value, b"\r\n"].concat();
    fields.iter().flat_map(line).collect()
}

fn by_name(fields: &[(String, Vec<u8>)]) -> Fields {
    let mut found = Fields::new();
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value).into_owned();
        found.entry(name.to_ascii_lowercase()).or_default().push(value);
    }
    found
}

/// What [`super::fields`] does not: that the rest arrives.
fn check_request(sent: &Fields, seen: &Request) {
    for (name, values) in sent {
        let plain = name.replace('_', "-");
        let is_claim = plain.starts_with("x-forwarded-") || plain.starts_with("banyan-");
        if is_claim || CHANGED.contains(&plain.as_str()) || is_nominated(sent, name) {
            continue;
        }
        assert_eq!(&seen.all(name), values, "{name} of a request");
    }
    for name in sent.keys().filter(|name| is_nominated(sent, name)) {
        let may_be_ours = CHANGED.contains(&name.as_str()) || name.starts_with("x-forwarded-");
        assert!(may_be_ours || name == "banyan-hop" || seen.all(name).is_empty(), "{name} was nominated");
    }
}

fn check_answer(sent: &Fields, answers: &[u8], is_moved: bool) {
    let end = answers.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8_lossy(&answers[..end]).into_owned();
    if !head.starts_with("HTTP/1.1 200 ") {
        return;
    }
    let lines: Vec<_> = head.split("\r\n").skip(1).map(|line| field(line.as_bytes())).collect();
    let got = by_name(&lines.into_iter().flatten().collect::<Vec<_>>());
    for name in ["keep-alive", "proxy-connection", "te", "upgrade"] {
        assert!(!got.contains_key(name), "{name} of an answer: {head:?}");
    }
    assert!(!got.keys().any(|name| name.starts_with("banyan-")), "{head:?}");
    for (name, values) in sent {
        if name.starts_with("banyan-") || CHANGED.contains(&name.as_str()) {
            continue;
        }
        let found = got.get(name).map_or(&[][..], Vec::as_slice);
        if is_nominated(sent, name) {
            assert!(found.is_empty(), "{name} was nominated: {head:?}");
        } else if !FITTED.contains(&name.as_str()) {
            assert_eq!(found, values, "{name} of an answer");
        } else if !is_moved && !values.iter().any(|value| names_an_upstream(value)) {
            assert_eq!(found, values, "{name} of an answer that names no upstream");
        }
    }
}

fn names_an_upstream(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    NAMES.iter().any(|name| value.contains(name))
}

/// RFC 9110 7.6.1.
fn is_nominated(sent: &Fields, name: &str) -> bool {
    let options = sent.get("connection").into_iter().flatten().flat_map(|line| line.split(','));
    options.map(str::trim).any(|option| option.eq_ignore_ascii_case(name))
}
