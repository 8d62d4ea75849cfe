//! The corpus against its truth: each case learns from its own pairs, and is judged once.

use banyan_compare::{Learning, NoiseVerdict, Verdict};

use crate::check;
use crate::corpus::{Case, Truth, cases};
use crate::diffy;
use crate::stream::{self, Score};

/// How often each pair is seen before the verdict.
const SEEN: usize = 20;

#[test]
fn corpus_has_its_size() {
    let cases = cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "a name stands twice");
}

#[test]
fn corpus_verdicts_are_true() {
    let wrong: Vec<String> = cases().iter().filter_map(disagreement).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn corpus_mismatches_are_found_and_no_others() {
    let cases = cases();
    let found = |case: &Case| matches!(judge(case).0, Verdict::Mismatch(_));
    let once = Score::of(&cases, found);
    let ours = Score::of(&cases, stream::ours);
    let plain = Score::of(&cases, diffy::plain);
    let with_rules = Score::of(&cases, diffy::with_rules);
    let shown = [
        format!("{} pairs", cases.len()),
        format!("each pair once, learned:               {once}"),
        format!("the same pairs as a stream, Banyan:    {ours}"),
        format!("the stream, Diffy's rule:              {plain}"),
        format!("the stream, Diffy's rule, our rules:   {with_rules}"),
    ];
    println!("{}", shown.join("\n"));
    for score in [once, ours] {
        assert!(score.precision() >= 0.99 && score.recall() >= 0.99, "{score}");
    }
}

fn disagreement(case: &Case) -> Option<String> {
    let (verdict, found) = judge(case);
    let said = match verdict {
        Verdict::Match => Truth::Match,
        Verdict::Ignored(_) => Truth::Ignored,
        Verdict::Noise(_) => Truth::Noise,
        Verdict::Incomparable(_) => Truth::Incomparable,
        Verdict::Mismatch(_) => Truth::Mismatch(found),
    };
    (said != case.truth).then(|| format!("{}: true is {:?}, found {said:?}", case.name, case.truth))
}

/// The verdict, and what is not noise of it.
fn judge(case: &Case) -> (Verdict, Vec<String>) {
    let mut learning = Learning::default();
    for _ in 0..SEEN {
        learning.asked_twice(&check(&case.legacy, &case.again, &case.rules));
        learning.compared(&check(&case.legacy, &case.candidate, &case.rules));
    }
    let verdict = learning.settle(check(&case.legacy, &case.candidate, &case.rules));
    let mut found = Vec::new();
    if let Verdict::Mismatch(differences) = &verdict {
        let real = differences.signatures().filter(|one| learning.verdict(one) != NoiseVerdict::Noise);
        found.extend(real.map(|one| one.as_str().split(" #").next().unwrap().to_owned()));
        found.sort();
        found.dedup();
    }
    (verdict, found)
}
