//! HTTP/2 as raw frames: what is malformed, and what is too much. docs/http2.md is what this test sees.
//!
//! - `wire`: frames out and in. `cases`: the malformed ones. `floods`: many of them.

mod cases;
mod floods;
pub(crate) mod wire;

use std::fmt::Write as _;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::pages;
use crate::proxy::Proxy;
use crate::upstream::Upstream;
use cases::{Case, GROUPS};
use wire::{END_STREAM, Event, HEADERS, Wire, frame, get};

/// The stream of the request that follows every case.
const NEXT: u32 = 9;

/// What came of a case: on its stream, or on the connection; then whether the next request was served.
async fn outcome(proxy: &Proxy, case: &Case) -> String {
    let mut wire = Wire::open(proxy.address).await;
    wire.send(&case.bytes).await;
    wire.send(&frame(HEADERS, END_STREAM | wire::END_HEADERS, NEXT, &get("/next"))).await;
    let mut seen = Vec::new();
    let (mut is_answered, mut is_next) = (!case.has_answer, false);
    while !(is_answered && is_next) {
        match wire.next().await {
            Event::Answer(NEXT, status) => {
                assert_eq!(status, "200", "{}", case.what);
                is_next = true;
            }
            Event::Answer(_, status) => {
                is_answered = true;
                seen.push(status);
            }
            Event::Reset(stream, code) => {
                assert_ne!(stream, NEXT, "{}", case.what);
                is_answered = true;
                seen.push(format!("stream reset, {code}"));
            }
            Event::GoAway(code) => {
                return [seen, vec![format!("connection ended, {code}")]].concat().join(", ");
            }
            Event::Closed => return "connection ended".to_owned(),
            Event::Other => {}
        }
    }
    seen.push(if case.has_answer { "and on" } else { "passed over" }.to_owned());
    seen.join(", ")
}

async fn page() -> String {
    let upstream = Upstream::http(|seen| Response::new(Full::new(Bytes::from(seen.target.clone())))).await;
    let proxy = Proxy::before(&upstream);
    let mut page = String::from(
        "# HTTP/2 that is refused\n\n\
         RFC 9113 says which faults end a stream and which the connection. This page is made by a test, which sends each case as\n\
         raw frames, and then another request on the same connection.\n\n\
         - A status: the request was answered, by the upstream (200) or by Banyan. `and on`: the next request was served.\n\
         - `passed over`: the frame changed nothing.\n\
         - Nothing of a request whose stream was reset before it was whole reaches an upstream.\n",
    );
    let mut count = 0;
    for (title, cases) in GROUPS {
        writeln!(page, "\n## {title}\n\n| sent | what comes of it |\n|---|---|").unwrap();
        for case in cases() {
            let came = outcome(&proxy, &case).await;
            writeln!(page, "| {} | {came} |", case.what).unwrap();
            count += 1;
        }
    }
    assert!(count >= 60, "{count} cases");
    for seen in upstream.seen() {
        assert!(seen.target.starts_with('/') || seen.target == "*", "{seen:?}");
        assert_eq!(seen.headers.get_all("host").iter().count(), 1, "{seen:?}");
        let odd =
            seen.headers.values().any(|value| value.as_bytes().iter().any(|&byte| byte < 32 && byte != 9));
        assert!(!odd, "{seen:?}");
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_end_what_they_must_and_no_more() {
    pages::check("http2.md", "frames", &page().await);
}
