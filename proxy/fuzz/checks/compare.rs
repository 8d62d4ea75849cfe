//! Two bodies under rules: a verdict, always, and a bounded one.
//!
//! The first byte is a set of rules, the next two say as what each body is sent, and two NULs stand between them.

use std::sync::LazyLock;
use std::time::Duration;

use banyan_compare::{
    Answer, Body, HtmlSpace, NumberForms, Observation, Pattern, PointerPattern, Redactor, RuleSet, Rules,
    SIGNATURE_BYTES_MAX, SIGNATURES_MAX, Tolerance, Unordered, Verdict, compare,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::civil::{Date, date};

const TODAY: Date = date(2026, 1, 1);

/// Bytes of a redacted body.
const SHOWN_MAX: usize = 512;

const TYPES: [&str; 8] = [
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "text/html",
    "text/plain; charset=utf-16",
    "text/plain; charset=shift_jis",
    "image/png",
    "",
];

const CODINGS: [&str; 8] = ["", "", "gzip", "deflate", "br", "zstd", "gzip, br", "zstd, zstd, zstd"];

static RULES: LazyLock<Vec<Rules>> = LazyLock::new(|| (0..=u8::MAX).map(rules).collect());

/// Compares what the bytes say in every way that must agree.
pub(crate) fn check(bytes: &[u8]) {
    let [set, one_kind, other_kind, bodies @ ..] = bytes else { return };
    let split = bodies.windows(2).position(|pair| pair == b"\0\0").unwrap_or(bodies.len());
    let one = answered(*one_kind, &bodies[..split]);
    let other = answered(*other_kind, bodies.get(split + 2..).unwrap_or_default());
    let rules = &RULES[usize::from(*set)];
    let there = compare(&one, &other, rules, TODAY);
    check_bounds(&there);
    assert_eq!(compare(&one, &one, rules, TODAY), Verdict::Match, "an answer matches itself");
    let back = compare(&other, &one, rules, TODAY);
    assert_eq!(std::mem::discriminant(&there), std::mem::discriminant(&back), "who sent which says nothing");
    assert_eq!(total(&there), total(&back), "who sent which says nothing");
    let fewer = compare(&one, &other, &RULES[usize::from(*set | IGNORING)], TODAY);
    assert!(total(&fewer) <= total(&there), "an ignore adds nothing");
    check_redaction(&one);
}

/// The bit of rules that only ignore.
const IGNORING: u8 = 1;

fn rules(bits: u8) -> Rules {
    let has = |bit: u8| bits & bit != 0;
    let pointer = |text| PointerPattern::parse(text).expect("a pointer");
    let ignore = ["/a", "/*/b", "/**/c", "text changed #769f4c7a"]
        .map(|text| Pattern::parse(text).expect("a pattern"));
    let tolerance = Tolerance::parse(None, Some(0.5), Some(0.01)).expect("a tolerance");
    let key = has(32).then_some("id");
    Rules::new(RuleSet {
        ignore: if has(IGNORING) { ignore.to_vec() } else { Vec::new() },
        numbers: if has(2) { NumberForms::Value } else { NumberForms::Written },
        dates: if has(4) { vec![pointer("/**")] } else { Vec::new() },
        html: if has(8) { HtmlSpace::Collapsed } else { HtmlSpace::Kept },
        unordered: if has(16) { vec![Unordered::parse("/**", key).expect("an array")] } else { Vec::new() },
        tolerances: if has(64) { vec![tolerance] } else { Vec::new() },
        ..RuleSet::default()
    })
    .expect("few rules")
}

fn answered(kind: u8, body: &[u8]) -> Observation {
    let mut headers = HeaderMap::new();
    let (media, coding) = (TYPES[usize::from(kind & 7)], CODINGS[usize::from(kind >> 3 & 7)]);
    headers.insert("content-type", HeaderValue::from_static(media));
    headers.insert("content-encoding", HeaderValue::from_static(coding));
    // A cookie of which the fuzzer writes the value.
    if let Some(value) = body.get(..body.len().min(64)).and_then(|start| HeaderValue::from_bytes(start).ok())
    {
        headers.insert("set-cookie", value);
    }
    let body = Body::Complete(Bytes::copy_from_slice(body));
    Observation::Answered(Answer { status: StatusCode::OK, headers, body, elapsed: Duration::ZERO })
}

fn check_bounds(verdict: &Verdict) {
    if let Verdict::Mismatch(differences) = verdict {
        assert!(differences.kept.len() <= SIGNATURES_MAX);
        for signature in differences.signatures() {
            let text = signature.as_str();
            assert!(text.len() <= SIGNATURE_BYTES_MAX && !text.contains(char::is_control), "{text:?}");
            assert_eq!(banyan_compare::Signature::stored(text), *signature, "a stored signature is itself");
        }
    }
}

fn check_redaction(observation: &Observation) {
    let Observation::Answered(answer) = observation else { return };
    let Body::Complete(body) = &answer.body else { return };
    assert!(Redactor::new(Vec::new(), SHOWN_MAX).body(&answer.headers, body).len() <= SHOWN_MAX);
}

fn total(verdict: &Verdict) -> u64 {
    match verdict {
        Verdict::Mismatch(differences) => differences.total(),
        _ => 0,
    }
}
