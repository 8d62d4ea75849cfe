//! Whatever bytes a client sends, each request that reaches an upstream is one to everybody, and says nothing forged.
//!
//! The first byte chooses the gateway: an odd one (`1`) trusts what the client says of its own way here. The rest goes to
//! it as it is, and for HTTP/1 `GET /end` behind it.
//!
//! - `site`: the gateway between a client and upstreams that record what they get. `parsers`: two ways to read that.
//! - `header_fields`: heads that are in order, with any fields, both ways. `proxy_headers`: what a load balancer says before. `answers`: what the client gets. `fields`: what no client may have said. `readers`: what servers make of a path.

mod answers;
mod fields;
pub(crate) mod header_fields;
pub(crate) mod parsers;
pub(crate) mod proxy_headers;
mod readers;
mod site;

use std::sync::{LazyLock, Mutex, MutexGuard};

use answers::Answer;
use parsers::{Parsed, Request, sloppy, strict};
use site::{Entrance, Outcome, Site};

const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;

static SITE: LazyLock<Mutex<Site>> = LazyLock::new(|| Mutex::new(Site::start()));

fn site() -> MutexGuard<'static, Site> {
    SITE.lock().expect("a check that failed has ended the process, or its test")
}

/// Reads the bytes as what one client sends.
pub(crate) fn check(bytes: &[u8]) {
    let Some((switch, sent)) = bytes.split_first() else { return };
    let is_trusted = switch & 1 == 1;
    let entrance = if is_trusted { Entrance::Trusting } else { Entrance::Plain };
    let site = site();
    let is_http2 = sent.starts_with(HTTP2_PREFACE);
    let outcome = site.exchange(entrance, sent, !is_http2);
    let reached = reached(&outcome, is_trusted);
    if is_http2 {
        assert!(reached.iter().flatten().count() <= heads(sent), "more requests than heads");
        assert!(!site.has_panicked());
    } else {
        check_http1(sent, &outcome, &reached);
    }
}

/// The requests that reached an upstream whole, at the place of their number.
fn reached(outcome: &Outcome, is_trusted: bool) -> Vec<Option<Request>> {
    let read = |seen: &site::Seen| {
        let request = read_twice(&seen.bytes)?;
        fields::check(&request, is_trusted);
        check_path(&request.target, seen.is_candidate);
        Some(request)
    };
    outcome.record.iter().map(read).collect()
}

/// Both parsers must agree on one request.
fn read_twice(bytes: &[u8]) -> Option<Request> {
    let shown = String::from_utf8_lossy(bytes);
    match strict(bytes) {
        Parsed::Whole(request) => {
            assert_eq!(sloppy(bytes), [(request.target.clone(), request.body.clone())], "{shown:?}");
            Some(request)
        }
        // Its body broke off at Banyan.
        Parsed::Unfinished => None,
        Parsed::Malformed(why) => panic!("{why}: {shown:?}"),
    }
}

/// Nobody but the candidate is asked for what has moved there.
fn check_path(target: &str, is_candidate: bool) {
    let path = target.split('?').next().unwrap_or_default();
    if path == "*" {
        return;
    }
    for reading in readers::readings(path) {
        let reading = reading.unwrap_or_else(|| panic!("{target} may lead above the root"));
        let has_moved = ["/a", "/b"].iter().any(|prefix| is_below(prefix, &reading));
        let is_moved = ["/v", "/b"].iter().any(|prefix| is_below(prefix, &reading));
        assert!(if is_candidate { is_moved } else { !has_moved }, "{target} may be read as {reading}");
    }
}

fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Every request has its answer, in order, and no answer is another's.
fn check_http1(sent: &[u8], outcome: &Outcome, reached: &[Option<Request>]) {
    let is_head = |number: usize| reached[number].as_ref().is_some_and(|request| request.method == "HEAD");
    let answers = answers::read(&outcome.answers, is_head);
    let numbers: Vec<usize> = answers.iter().filter_map(|answer| answer.number).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "answers {numbers:?}");
    let whole: Vec<usize> = (0..reached.len()).filter(|&number| reached[number].is_some()).collect();
    // A client that goes away may leave one request without its answer.
    let unanswered = whole.len() - numbers.len();
    assert!(
        unanswered == 0 || (unanswered == 1 && outcome.is_cut),
        "{whole:?} reached, {numbers:?} answered"
    );
    assert!(whole.starts_with(&numbers), "{whole:?} reached, {numbers:?} answered");
    check_plain(sent, &answers, reached, outcome.is_cut);
}

/// What nobody can misread is answered, and reaches the upstream as it was sent.
fn check_plain(mut sent: &[u8], answers: &[Answer], reached: &[Option<Request>], is_cut: bool) {
    assert!(is_cut || !answers.is_empty() || !matches!(strict(sent), Parsed::Whole(_)), "no answer");
    for answer in answers {
        let Parsed::Whole(request) = strict(sent) else { return };
        sent = &sent[request.length..];
        let Some(number) = answer.number else {
            assert!(answer.status >= 400 && answer.status != 500, "{answer:?} to {request}");
            continue;
        };
        let seen = reached[number].as_ref().expect("what is answered has arrived");
        assert_eq!((&seen.method, &seen.body), (&request.method, &request.body));
        let is_moved = seen.target != request.target && seen.target.starts_with("/v");
        let without_fragment = request.target.split('#').next().unwrap_or_default();
        assert!(is_moved || seen.target == without_fragment, "{seen} for {request}");
        assert_eq!(seen.all("host"), request.all("host"));
        fields::check_nominated(&request, seen);
    }
}

/// Most requests that these frames can be.
fn heads(sent: &[u8]) -> usize {
    let mut frames = &sent[HTTP2_PREFACE.len()..];
    let mut count = 0;
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        count += usize::from(*kind == HEADERS);
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        frames = rest.get(length as usize..).unwrap_or_default();
    }
    count
}
