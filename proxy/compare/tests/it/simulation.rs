//! Streams with a known fault, and without one.

use banyan_compare::{Evidence, Learning, Observation, Rules, Verdict, suggest};

use crate::answers::json;
use crate::check;

/// The sample application's quote, with what moves in real answers.
fn quote(chance: &mut fastrand::Rng, seats: u32, fee_cents: u32) -> Observation {
    let mut items: Vec<u32> = (0..3).collect();
    // Legacy's own order wavers in every third answer.
    if chance.u32(0..3) == 0 {
        chance.shuffle(&mut items);
    }
    let items: Vec<String> =
        items.iter().map(|id| format!("{{\"id\":{id},\"left\":{}}}", 100 - id)).collect();
    json(&format!(
        "{{\"request\":\"{:016x}\",\"now\":{},\"queue\":{},\"fee\":{fee_cents},\"total\":{},\"items\":[{}]}}",
        chance.u64(..),
        1_777_629_600_000_u64 + chance.u64(0..1_000_000),
        chance.u32(0..4),
        seats * 2_500 + fee_cents,
        items.join(",")
    ))
}

/// Noise is learned from 2 % of what was compared before; then a fault begins in 3.5 % of the answers.
#[test]
fn a_fault_in_few_answers_is_on_top_within_300_requests() {
    for seed in 0..20 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let (rules, mut learning, mut evidence) =
            (Rules::default(), Learning::default(), Evidence::default());
        for number in 0..1_500 {
            learn(&mut learning, &mut chance, &rules, number, 250);
        }
        let mut planted = 0;
        for number in 1_500_u64..1_800 {
            let faulty = chance.u32(0..1_000) < 35;
            planted += u32::from(faulty);
            let legacy = quote(&mut chance, 2, 250);
            let candidate = quote(&mut chance, 2, if faulty { 251 } else { 250 });
            let verdict = check(&legacy, &candidate, &rules);
            learning.compared(&verdict);
            let verdict = learning.settle(verdict);
            assert_eq!(
                matches!(verdict, Verdict::Mismatch(_)),
                faulty,
                "seed {seed}, request {number}: {verdict:?}"
            );
            evidence.record(&verdict, &legacy, &candidate, number);
        }
        let snapshot = evidence.snapshot();
        assert_eq!(snapshot.counts.mismatch, u64::from(planted));
        let real = snapshot
            .signatures
            .iter()
            .filter(|(one, _)| learning.verdict(one) != banyan_compare::NoiseVerdict::Noise);
        let top: Vec<&str> = real.take(2).map(|(one, _)| one.as_str()).collect();
        assert_eq!(top, ["/fee value", "/total value"], "seed {seed}");
    }
}

fn learn(learning: &mut Learning, chance: &mut fastrand::Rng, rules: &Rules, number: u32, fee: u32) {
    let legacy = quote(chance, 2, fee);
    if number.is_multiple_of(50) {
        learning.asked_twice(&check(&legacy, &quote(chance, 2, fee), rules));
    }
    learning.compared(&check(&legacy, &quote(chance, 2, fee), rules));
}

/// The candidate is legacy: what is left to report stays below 0.1 %, with its upper bound.
#[test]
fn legacy_against_itself_is_quiet_after_learning() {
    for seed in 0..5 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let (rules, mut learning, mut evidence) =
            (Rules::default(), Learning::default(), Evidence::default());
        for number in 0..2_000 {
            learn(&mut learning, &mut chance, &rules, number, 250);
        }
        for number in 0..20_000_u32 {
            let (legacy, candidate) = (quote(&mut chance, 2, 250), quote(&mut chance, 2, 250));
            if number.is_multiple_of(50) {
                learning.asked_twice(&check(&legacy, &quote(&mut chance, 2, 250), &rules));
            }
            let verdict = check(&legacy, &candidate, &rules);
            learning.compared(&verdict);
            evidence.record(&learning.settle(verdict), &legacy, &candidate, u64::from(number));
        }
        let upper = evidence.snapshot().mismatch_ratio.unwrap().upper;
        assert!(upper < 0.001, "seed {seed}: {upper}");
    }
}

#[test]
fn what_was_learned_is_suggested() {
    let mut chance = fastrand::Rng::with_seed(1);
    let (rules, mut learning) = (Rules::default(), Learning::default());
    assert_eq!(suggest(&learning), None);
    for number in 0..1_000 {
        learn(&mut learning, &mut chance, &rules, number, 250);
    }
    let text = suggest(&learning).unwrap();
    assert!(text.starts_with("compare = { ignore = [\n    \"/now value\", # legacy with itself 20 of 20, candidate 1000 of 1000\n"), "{text}");
    for line in ["\"/request value\",", "\"/queue value\",", "\"/items order\","] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("/fee"), "{text}");
}
