//! A mismatch, looked at again.

use banyan_compare::{Differences, Observation, Rechecked, Rules, Verdict, recheck};

use crate::answers::json;
use crate::check;

fn quote(number: u32, fee: u32) -> Observation {
    json(&format!("{{\"number\":{number},\"fee\":{fee}}}"))
}

fn verdict(one: &Observation, other: &Observation) -> Verdict {
    check(one, other, &Rules::default())
}

fn mismatch(one: &Observation, other: &Observation) -> Differences {
    match verdict(one, other) {
        Verdict::Mismatch(differences) => differences,
        other => panic!("{other:?}"),
    }
}

/// Legacy and the candidate, asked twice, in the order of asking: the numbers are given out by whoever is asked.
fn rechecked([legacy, candidate, legacy_again, candidate_again]: [Observation; 4]) -> Rechecked {
    let again = verdict(&legacy_again, &candidate_again);
    recheck(mismatch(&legacy, &candidate), &again, &verdict(&legacy, &legacy_again))
}

fn signatures(rechecked: &Rechecked) -> Vec<&str> {
    let Rechecked::Stays(differences) = rechecked else { panic!("{rechecked:?}") };
    differences.signatures().map(banyan_compare::Signature::as_str).collect()
}

#[test]
fn what_legacy_does_not_agree_on_with_itself_is_noise_from_the_first_request_on() {
    let seen = rechecked([quote(1, 5), quote(2, 5), quote(3, 5), quote(4, 5)]);
    assert!(matches!(seen, Rechecked::Noise(_)), "{seen:?}");
}

#[test]
fn a_fault_beside_noise_stays_alone() {
    let seen = rechecked([quote(1, 5), quote(2, 6), quote(3, 5), quote(4, 6)]);
    assert_eq!(signatures(&seen), ["/fee value"]);
}

#[test]
fn what_does_not_come_again_was_transient() {
    let seen = rechecked([quote(1, 5), quote(1, 6), quote(1, 6), quote(1, 6)]);
    assert!(matches!(seen, Rechecked::Noise(_)), "legacy has moved meanwhile: {seen:?}");
    let seen = rechecked([quote(1, 5), quote(1, 6), quote(1, 5), quote(1, 5)]);
    assert_eq!(seen, Rechecked::Transient);
}

/// `status 200 -> 500`, then `200 -> 502`.
#[test]
fn what_is_wrong_in_a_new_way_each_time_stays() {
    let (bad, worse) = (json("{\"number\":1,\"error\":1}"), json("{\"number\":1,\"fee\":5,\"fault\":1}"));
    let seen = rechecked([quote(1, 5), bad, quote(1, 5), worse]);
    assert_eq!(signatures(&seen), ["/error extra", "/fee missing"]);
}

/// A number that only the candidate makes up is a fault, though no two of its answers agree.
#[test]
fn what_only_the_candidate_wavers_on_stays() {
    let seen = rechecked([quote(1, 5), quote(2, 5), quote(1, 5), quote(3, 5)]);
    assert_eq!(signatures(&seen), ["/number value"]);
}

#[test]
fn without_a_second_answer_it_stays() {
    let (legacy, candidate) = (quote(1, 5), quote(1, 6));
    let none = Observation::Failed(banyan_compare::Failure::TimedOut);
    let nothing = verdict(&none, &none);
    let seen = recheck(mismatch(&legacy, &candidate), &nothing, &nothing);
    assert_eq!(signatures(&seen), ["/fee value"]);
}

/// Above the bound on signatures it is not known whether they are noise.
#[test]
fn more_than_is_kept_stays() {
    let many = |value: u32| {
        let members: Vec<String> = (0..100).map(|at| format!("\"m{at}\":{value}")).collect();
        json(&format!("{{{}}}", members.join(",")))
    };
    let (legacy, candidate) = (many(1), many(2));
    let again = verdict(&legacy, &candidate);
    let seen = recheck(mismatch(&legacy, &candidate), &again, &verdict(&legacy, &many(3)));
    assert!(matches!(seen, Rechecked::Stays(_)), "{seen:?}");
    assert_eq!(
        recheck(mismatch(&legacy, &candidate), &Verdict::Match, &Verdict::Match),
        Rechecked::Transient
    );
}
