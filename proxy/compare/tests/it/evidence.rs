//! What comparisons add up to.

use banyan_compare::{EVIDENCE_SIGNATURES_MAX, Evidence, Failure, Observation, Rules, Verdict};

use crate::answers::{answer, json};
use crate::check;

fn record(evidence: &mut Evidence, legacy: &Observation, candidate: &Observation, now_ms: u64) {
    evidence.record(&check(legacy, candidate, &Rules::default()), legacy, candidate, now_ms);
}

#[test]
fn counts_and_times_are_kept_and_merged() {
    let (mut one, mut other) = (Evidence::default(), Evidence::default());
    let (a, b) = (json("{\"a\":1}"), json("{\"a\":2}"));
    record(&mut one, &a, &a, 10);
    record(&mut one, &a, &b, 20);
    record(&mut other, &a, &b, 5);
    record(&mut other, &a, &answer(&["500", "content-type: application/json"], "{\"a\":1}"), 30);
    record(&mut other, &a, &Observation::Failed(Failure::TimedOut), 40);
    other.record_transient(&a, &b, 50);
    one.merge(&other);
    let snapshot = one.snapshot();
    assert_eq!(snapshot.since_ms, Some(5));
    assert_eq!((snapshot.counts.matched, snapshot.counts.mismatch), (1, 3));
    assert_eq!(
        (snapshot.counts.transient, snapshot.counts.incomparable, snapshot.counts.compared()),
        (1, 1, 5)
    );
    let (signature, seen) = &snapshot.signatures[0];
    assert_eq!((signature.as_str(), seen.mismatches, seen.first_ms, seen.last_ms), ("/a value", 2, 5, 20));
    assert_eq!(snapshot.status_pairs, [((200, 200), 4), ((200, 500), 1)]);
    assert_eq!(snapshot.incomparable[0].0.as_str(), "timed-out");
    assert_eq!(snapshot.latency.unwrap().count, 5);
    one.reset();
    assert!(one.snapshot().since_ms.is_none() && one.snapshot().mismatch_ratio.is_none());
}

#[test]
fn signatures_beyond_the_bound_are_counted() {
    let mut evidence = Evidence::default();
    for number in 0..EVIDENCE_SIGNATURES_MAX + 7 {
        let of = |value: u8| json(&format!("{{\"k{number}x\":{value}}}"));
        let verdict = check(&of(1), &of(2), &Rules::default());
        assert!(matches!(verdict, Verdict::Mismatch(_)));
        evidence.record(&verdict, &of(1), &of(2), 1);
    }
    let snapshot = evidence.snapshot();
    assert_eq!((snapshot.signatures.len(), snapshot.overflow.signatures), (EVIDENCE_SIGNATURES_MAX, 7));
}
