//! What is too much is said to be, and costs no more than what is documented.

use std::time::Duration;

use banyan_compare::{
    Answer, Arm, Body, DECODED_BYTES_MAX, Failure, Incomparable, IncomparableReason, Observation, Rules,
    SIGNATURES_MAX, Verdict,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::answers::{answer, encode, json};
use crate::check;

fn coded(codings: &[&str], body: &[u8]) -> Observation {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/octet-stream"));
    headers.insert("content-encoding", HeaderValue::from_str(&codings.join(", ")).unwrap());
    let body = codings.iter().fold(body.to_vec(), |body, coding| encode(coding, &body));
    let (status, elapsed) = (StatusCode::OK, Duration::ZERO);
    Observation::Answered(Answer { status, headers, body: Body::Complete(Bytes::from(body)), elapsed })
}

#[track_caller]
fn incomparable(verdict: &Verdict, arm: Arm, reason: IncomparableReason) {
    assert_eq!(*verdict, Verdict::Incomparable(Incomparable { arm, reason }));
}

#[test]
fn bombs_end_at_the_bound() {
    let bomb = vec![0; DECODED_BYTES_MAX + 1];
    let rules = Rules::default();
    for codings in [&["gzip"][..], &["deflate"], &["br"], &["zstd"], &["gzip", "gzip"], &["zstd", "br"]] {
        let verdict = check(&coded(codings, b"x"), &coded(codings, &bomb), &rules);
        incomparable(&verdict, Arm::Candidate, IncomparableReason::TooLarge);
        let full = check(&coded(codings, &bomb[1..]), &coded(&["gzip"], &bomb[1..]), &rules);
        assert_eq!(full, Verdict::Match, "{codings:?}");
    }
    let five = coded(&["gzip"; 5], b"x");
    incomparable(&check(&five, &json("1"), &rules), Arm::Legacy, IncomparableReason::DecodeFailed);
}

#[test]
fn what_breaks_off_is_not_taken_for_whole() {
    let rules = Rules::default();
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let mut cut = coded(&[coding], &[b"abc".as_slice(); 50].concat());
        let Observation::Answered(answer) = &mut cut else { panic!("no answer") };
        let Body::Complete(body) = &mut answer.body else { panic!("no body") };
        body.truncate(body.len() / 2);
        let verdict = check(&cut, &coded(&[coding], b"abc"), &rules);
        incomparable(&verdict, Arm::Legacy, IncomparableReason::DecodeFailed);
    }
}

#[test]
fn documents_beyond_the_bounds_are_incomparable() {
    let rules = Rules::default();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    incomparable(&check(&json("[]"), &json(&deep), &rules), Arm::Candidate, IncomparableReason::TooComplex);
    let many = format!("[{}0]", "0,".repeat(300_000));
    incomparable(&check(&json(&many), &json("[]"), &rules), Arm::Legacy, IncomparableReason::TooComplex);
    // The same bytes are the same, however deep.
    assert_eq!(check(&json(&deep), &json(&deep), &rules), Verdict::Match);
}

#[test]
fn differences_are_kept_by_signature_and_counted_beyond() {
    let of = |value: u8| {
        let members: Vec<String> = (0..500).map(|n| format!("\"k{n}x\":{value}")).collect();
        json(&format!("{{{},\"l\":[{value},{value},{value}]}}", members.join(",")))
    };
    let Verdict::Mismatch(differences) = check(&of(1), &of(2), &Rules::default()) else {
        panic!("no mismatch")
    };
    assert_eq!(differences.kept.len(), SIGNATURES_MAX);
    assert_eq!((differences.more, differences.total()), (503 - 64, 503));
}

#[test]
fn arms_without_an_answer_are_incomparable() {
    let rules = Rules::default();
    let failed = |failure| Observation::Failed(failure);
    let reason = IncomparableReason::Failed;
    let verdict = check(&json("1"), &failed(Failure::TimedOut), &rules);
    incomparable(&verdict, Arm::Candidate, reason(Failure::TimedOut));
    let both = check(&failed(Failure::Dropped), &failed(Failure::TimedOut), &rules);
    incomparable(&both, Arm::Legacy, reason(Failure::Dropped));
}

#[test]
fn bodies_that_were_not_captured_are_incomparable_unless_the_status_tells() {
    let rules = Rules::default();
    let with = |status: &str, body| {
        let mut observation = answer(&[status], "");
        let Observation::Answered(answer) = &mut observation else { panic!("no answer") };
        answer.body = body;
        observation
    };
    for (body, reason) in [
        (Body::TooLarge, IncomparableReason::TooLarge),
        (Body::Streaming, IncomparableReason::Streaming),
        (Body::Broken, IncomparableReason::Broken),
    ] {
        let verdict = check(&with("200", Body::Complete(Bytes::new())), &with("200", body.clone()), &rules);
        incomparable(&verdict, Arm::Candidate, reason);
        let verdict = check(&with("200", Body::HeadOnly), &with("500", body), &rules);
        assert!(matches!(verdict, Verdict::Mismatch(_)));
    }
    assert_eq!(check(&with("200", Body::HeadOnly), &with("200", Body::HeadOnly), &rules), Verdict::Match);
}

/// Nothing is quadratic: of two lists of 100 000 items with nothing in common, and of one key 100 000 times.
#[test]
fn long_lists_take_bounded_time() {
    let began = std::time::Instant::now();
    let list = |from: u32| json(&format!("{:?}", (from..from + 100_000).collect::<Vec<_>>()));
    let keys = |value: u8| json(&format!("{{{}\"b\":0}}", format!("\"a\":{value},").repeat(100_000)));
    let lines = |word: &str| answer(&["content-type: text/plain"], &format!("{word}\n").repeat(100_000));
    for (one, other) in [(list(0), list(500_000)), (keys(1), keys(2)), (lines("a"), lines("b"))] {
        assert!(matches!(check(&one, &other, &Rules::default()), Verdict::Mismatch(_)));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
