//! What is known of a route survives being stored, and nothing that was stored can do harm.

use banyan_compare::{
    EVIDENCE_SIGNATURES_MAX, Evidence, Learning, Observation, Rules, StoredProblem, restore, store,
};
use proptest::prelude::*;

use crate::answers::json;
use crate::check;
use crate::properties::observation;

/// What a gateway does with each pair: the first two answers are legacy's.
fn gathered(asked: &[(Observation, Observation, Observation, u32)]) -> (Evidence, Learning) {
    let (mut evidence, mut learning) = (Evidence::default(), Learning::default());
    for (legacy, again, candidate, at) in asked {
        learning.asked_twice(&check(legacy, again, &Rules::default()));
        let verdict = check(legacy, candidate, &Rules::default());
        learning.compared(&verdict);
        evidence.record(&learning.settle(verdict), legacy, candidate, u64::from(*at));
    }
    evidence.record_transient(&json("1"), &json("2"), 7);
    (evidence, learning)
}

fn asked() -> impl Strategy<Value = Vec<(Observation, Observation, Observation, u32)>> {
    proptest::collection::vec((observation(), observation(), observation(), any::<u32>()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_is_lost(asked in asked()) {
        let (evidence, learning) = gathered(&asked);
        let (read, learned) = restore(&store(&evidence, &learning)).unwrap();
        prop_assert_eq!(format!("{:?}", read.snapshot()), format!("{:?}", evidence.snapshot()));
        prop_assert_eq!(&learned, &learning);
        prop_assert_eq!(store(&read, &learned), store(&evidence, &learning));
    }

    /// Cut, or with other digits: a problem, or numbers that everything can be asked of.
    #[test]
    fn what_was_damaged_does_no_harm(
        asked in asked(),
        cut in any::<prop::sample::Index>(),
        digits in proptest::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 0..40),
    ) {
        let (evidence, learning) = gathered(&asked);
        let mut text = store(&evidence, &learning).into_bytes();
        prop_assert!(restore(str::from_utf8(&text[..cut.index(text.len())]).unwrap_or("")).is_err());
        for (at, digit) in digits {
            let at = at.index(text.len());
            if text[at].is_ascii_digit() {
                text[at] = digit;
            }
        }
        if let Ok((mut evidence, learning)) = restore(&String::from_utf8(text).unwrap()) {
            let (one, other) = (json("{\"a\":1}"), json("{\"a\":2}"));
            evidence.record(&learning.settle(check(&one, &other, &Rules::default())), &one, &other, 1);
            let _ = (evidence.snapshot(), learning.learned().count());
        }
    }
}

#[test]
fn problems_say_what_was_expected() {
    let text = store(&Evidence::default(), &Learning::default());
    let said = |text: &str| restore(text).map(drop).unwrap_err().to_string();
    assert!(said("{").starts_with("not what was stored: EOF"), "{}", said("{"));
    assert_eq!(said("{\"version\":2}"), "expected version 1, found 2");
    assert_eq!(
        said(&text.replace("\"mismatch\":0", "\"mismatch\":18446744073709551615")),
        "`mismatch`: expected at most 1125899906842624, found 18446744073709551615"
    );
    let more = text.replace(
        "\"signatures\":[]}}",
        "\"signatures\":[{\"signature\":\"a\",\"with_itself\":1,\"with_candidate\":0}]}}",
    );
    assert_eq!(said(&more), "`with_itself`: expected at most 0, found 1");
    let reason = text.replace("\"incomparable\":{}", "\"incomparable\":{\"tired\":1}");
    assert_eq!(restore(&reason).map(drop), Err(StoredProblem::Reason { found: "tired".to_owned() }));
}

#[test]
fn bounds_hold_for_what_was_stored() {
    let seen = |number: usize| {
        format!(
            "{{\"signature\":\"/k{number}x value\",\"mismatches\":1,\"noise\":0,\"first_ms\":1,\"last_ms\":1}}"
        )
    };
    let many: Vec<String> = (0..EVIDENCE_SIGNATURES_MAX + 3).map(seen).collect();
    let text = store(&Evidence::default(), &Learning::default());
    let text = text.replacen("\"signatures\":[]", &format!("\"signatures\":[{}]", many.join(",")), 1);
    let snapshot = restore(&text).unwrap().0.snapshot();
    assert_eq!((snapshot.signatures.len(), snapshot.overflow.signatures), (EVIDENCE_SIGNATURES_MAX, 3));
}

#[test]
fn what_was_written_before_there_was_a_subject_is_about_nothing_known() {
    let mut evidence = Evidence::default();
    evidence.subject.compared = Some("0123456789abcdef".to_owned());
    evidence.subject.build = Some("4f68ab5".to_owned());
    let text = store(&evidence, &Learning::default());
    assert_eq!(restore(&text).unwrap().0.subject, evidence.subject);
    let at = text.find("\"subject\":").unwrap();
    let end = at + text[at..].find("},").unwrap() + 2;
    let before = format!("{}{}", &text[..at], &text[end..]);
    assert_eq!(restore(&before).unwrap().0.subject.compared, None);
}
