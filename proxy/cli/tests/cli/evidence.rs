//! `mismatches` and `record`, of a proxy that says what it is told to.

use std::collections::BTreeMap;

use banyan_control::api::{
    Kept, Latencies, LatencyPair, LearnedNoise, LearnedSignature, Mismatches, Overflow, Ratio, Recorded,
    RecordedRequest, Refusal, Reset, RouteEvidence, RouteMismatches, Sample, SampleAnswer, SampleDifference,
    SampleRequest, SeenSignature, StatusPair, VerdictCounts,
};
use serde::Serialize;

use crate::scripted::Scripted;
use crate::{banyan, transcripts};

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn at(second: u32) -> String {
    format!("2026-05-01T10:00:{second:02}.000Z")
}

fn kept() -> Kept {
    Kept {
        place: "disk".to_owned(),
        samples: 9,
        dropped: BTreeMap::from([("full".to_owned(), 0), ("missed".to_owned(), 3)]),
        problem: None,
    }
}

fn counts() -> VerdictCounts {
    VerdictCounts {
        compared: 1200,
        matched: 1098,
        ignored: 0,
        noise: 60,
        mismatch: 42,
        transient: 0,
        incomparable: 3,
    }
}

const RATIO: Option<Ratio> = Some(Ratio { ratio: 0.035, lower: 0.026, upper: 0.0469 });

fn seen(signature: &str, mismatches: u64, noise: u64, samples: &[u64]) -> SeenSignature {
    SeenSignature {
        signature: signature.to_owned(),
        mismatches,
        noise,
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        share: Some(mismatches as f64 / 1200.0),
        first_seen: at(1),
        last_seen: at(59),
        samples: samples.to_vec(),
    }
}

fn evidence() -> RouteEvidence {
    let pair =
        |legacy_seconds, candidate_seconds, ratio| LatencyPair { legacy_seconds, candidate_seconds, ratio };
    RouteEvidence {
        version: 1,
        route: "orders".to_owned(),
        shadows: true,
        since: Some(at(0)),
        counts: counts(),
        mismatch_ratio: RATIO,
        incomparable: BTreeMap::from([("timed-out".to_owned(), 3)]),
        signatures: vec![
            seen("/items/*/price value", 40, 0, &[11, 12, 17, 18]),
            seen("/items/*/id type", 3, 0, &[17]),
            seen("/total value", 40, 0, &[11, 12, 17, 18]),
            seen("header:cache-control value", 2, 0, &[]),
            seen("status 200 -> 500", 1, 0, &[19]),
            seen("/served_at value", 0, 60, &[13]),
            seen("text changed #0123abcd", 1, 0, &[20]),
            seen("(root) type", 1, 0, &[]),
        ],
        learned: LearnedNoise {
            asked_twice: 24,
            compared: 1200,
            signatures: vec![LearnedSignature {
                signature: "/served_at value".to_owned(),
                with_itself: 24,
                with_candidate: 1200,
                verdict: "noise".to_owned(),
            }],
        },
        status_pairs: vec![
            StatusPair { legacy: 200, candidate: 200, count: 1199 },
            StatusPair { legacy: 200, candidate: 500, count: 1 },
        ],
        latency: Some(Latencies {
            count: 1200,
            p50: pair(0.012, 0.015, 1.25),
            p95: pair(0.04, 0.03, 0.75),
            p99: pair(0.1, 0.2, 2.0),
        }),
        suggestion: Some(
            "compare = { ignore = [\n    \"/served_at value\", # legacy with itself 24 of 24\n] }\n"
                .to_owned(),
        ),
        overflow: Overflow::default(),
        kept: kept(),
    }
}

fn sample() -> Sample {
    let answer = |status, cache: &str, body: &str| SampleAnswer {
        status: Some(status),
        problem: None,
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("cache-control".to_owned(), cache.to_owned()),
            ("set-cookie".to_owned(), "sid=[redacted]; Path=/".to_owned()),
        ],
        body: Some(body.to_owned()),
        seconds: Some(0.012),
    };
    let differs = |signature: &str, pointer: Option<&str>| SampleDifference {
        signature: signature.to_owned(),
        pointer: pointer.map(str::to_owned),
        count: 1,
    };
    Sample {
        version: 1,
        id: 17,
        route: "orders".to_owned(),
        at: at(30),
        verdict: "mismatch".to_owned(),
        shown: "legacy".to_owned(),
        differences: vec![
            differs("/items/*/price value", Some("/items/0/price")),
            differs("/note extra", Some("/note")),
        ],
        request: SampleRequest {
            method: "GET".to_owned(),
            target: "/api/orders/7?token=[redacted]".to_owned(),
            headers: vec![("accept".to_owned(), "*/*".to_owned())],
            body: None,
            whole: false,
            safe: true,
        },
        legacy: answer(200, "no-store", r#"{"items":[{"price":10.0,"id":1}],"name":"Ann"}"#),
        candidate: answer(
            200,
            "private",
            r#"{"items":[{"price":10.5,"id":1}],"name":"Ann","note":"a line that is far longer than one side of the terminal has columns"}"#,
        ),
    }
}

fn scripted() -> Scripted {
    let in_short = |route: &str, counts, mismatch_ratio| RouteMismatches {
        route: route.to_owned(),
        shadows: true,
        since: Some(at(0)).filter(|_| counts != VerdictCounts::default()),
        counts,
        mismatch_ratio,
    };
    let routes = vec![in_short("cart", VerdictCounts::default(), None), in_short("orders", counts(), RATIO)];
    let reset = Reset { version: 1, route: "orders".to_owned(), had_counts: true, samples: 9 };
    let unknown = Refusal {
        version: 1,
        code: "no-such-route".to_owned(),
        message: "no route has the name `order`".to_owned(),
    };
    Scripted::start(vec![
        ("/api/v1/mismatches", 200, json(&Mismatches { version: 1, routes, kept: kept() })),
        ("/mismatches/orders", 200, json(&evidence())),
        ("/mismatches/order", 404, json(&unknown)),
        ("/mismatches/orders/samples/17", 200, json(&sample())),
        ("/mismatches/orders/reset", 200, json(&reset)),
    ])
}

#[test]
fn what_comparisons_found() {
    transcripts(&scripted().admin()).case("tests/cli/evidence/mismatches.md");
}

#[test]
fn a_reset_that_forgot_nothing_is_a_failure() {
    let message = "nothing of route `orders` is forgotten: no room left".to_owned();
    let refused = Refusal { version: 1, code: "internal".to_owned(), message };
    let scripted = Scripted::start(vec![("/mismatches/orders/reset", 500, json(&refused))]);
    let arguments = ["mismatches", "orders", "--reset", "--admin", &scripted.admin()];
    let ended = banyan().args(arguments).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0), "{said}");
    assert!(said.contains("nothing of route `orders` is forgotten: no room left"), "{said}");
}

#[test]
fn names_of_routes_travel_in_paths() {
    let scripted = scripted();
    let asked = banyan().args(["mismatches", "a/b c", "--admin", &scripted.admin()]).output().unwrap();
    assert_eq!(asked.status.code(), Some(1));
    assert!(scripted.heads()[0].starts_with("GET /api/v1/mismatches/a%2Fb%20c HTTP/1.1"));
}

fn recorded(targets: &[&str], next: u64, lost: u64) -> String {
    let request = |target: &&str| RecordedRequest {
        route: "orders".to_owned(),
        at: at(1),
        request: SampleRequest {
            method: "GET".to_owned(),
            target: (*target).to_owned(),
            headers: Vec::new(),
            body: None,
            whole: true,
            safe: true,
        },
    };
    json(&Recorded { version: 1, requests: targets.iter().map(request).collect(), next, lost, missed: 2 })
}

#[test]
fn requests_are_written_down_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.jsonl");
    let scripted = Scripted::start(vec![
        ("/record?count=0&route=orders", 200, recorded(&[], 5, 0)),
        ("/record?count=3&route=orders&after=5", 200, recorded(&["/1", "/2"], 9, 4)),
        ("/record?count=1&route=orders&after=9", 200, recorded(&["/3"], 10, 0)),
    ]);
    let out = file.to_str().unwrap();
    let arguments = ["record", "orders", "--out", out, "--count", "3", "--admin", &scripted.admin()];
    let ended = banyan().args(arguments).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("3 requests written to") && said.contains("4 came too fast"), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    let targets: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<RecordedRequest>(line).unwrap().request.target)
        .collect();
    assert_eq!(targets, ["/1", "/2", "/3"]);
}

/// An old file of the same name may be readable by others.
#[test]
fn a_recording_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let scripted = Scripted::start(vec![
        ("/record?count=0", 200, recorded(&[], 5, 0)),
        ("/record?count=1&after=5", 200, recorded(&["/1"], 6, 0)),
    ]);
    for (name, mode) in [("new", None), ("old", Some(0o644))] {
        let file = folder.path().join(name);
        if let Some(mode) = mode {
            std::fs::write(&file, "what was there before, and is longer than what comes now".repeat(9))
                .unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        }
        let out = file.to_str().unwrap();
        let arguments = ["record", "--out", out, "--count", "1", "--admin", &scripted.admin()];
        let ended = banyan().args(arguments).output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    }
}

/// U+009B begins a command of a terminal, and JSON allows it as it is.
#[test]
fn a_sample_for_programs_does_not_steer_the_terminal() {
    let mut steering = sample();
    steering.candidate.body = Some("\u{9b}2J\u{202e}\u{7f}".to_owned());
    let scripted = Scripted::start(vec![("/mismatches/orders/samples/17", 200, json(&steering))]);
    let arguments = ["mismatches", "orders", "--sample", "17", "--json", "--admin", &scripted.admin()];
    let ended = banyan().args(arguments).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(text.contains(r#""\u009b2J\u202e\u007f""#), "{text:?}");
    assert_eq!(serde_json::from_str::<Sample>(&text).unwrap(), steering);
}

#[test]
fn what_is_recorded_does_not_steer_the_terminal() {
    let scripted = Scripted::start(vec![
        ("/record?count=0", 200, recorded(&[], 5, 0)),
        ("/record?count=1&after=5", 200, recorded(&["/\u{9b}2J"], 6, 0)),
    ]);
    let ended = banyan().args(["record", "--count", "1", "--admin", &scripted.admin()]).output().unwrap();
    let line = String::from_utf8(ended.stdout).unwrap();
    assert!(line.contains("/\\u009b2J") && !line.contains('\u{9b}'), "{line:?}");
    assert_eq!(serde_json::from_str::<RecordedRequest>(&line).unwrap().request.target, "/\u{9b}2J");
}

#[test]
fn nothing_in_time_is_a_failure() {
    let scripted = Scripted::start(vec![
        ("/record?count=0", 200, recorded(&[], 5, 0)),
        ("&after=5", 200, recorded(&[], 5, 0)),
    ]);
    let ended = banyan().args(["record", "--for", "50ms", "--admin", &scripted.admin()]).output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(6), 0));
}
