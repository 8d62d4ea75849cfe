//! The rule of Diffy (twitter/diffy, README and `DifferenceAnalyzer`), for comparison.
//!
//! Per field, raw differences (candidate against primary) stand beside noise (secondary against primary). A field is
//! reported when `|raw - noise| / (raw + noise)` is above 20 % and `|raw - noise| / total` above 0.03 %.
//! Fields are our signatures: what is tested is the rule, not how differences are found.

use std::collections::BTreeMap;

use banyan_compare::{Observation, Rules, Verdict};

use crate::check;
use crate::corpus::Case;
use crate::stream;

const RELATIVE: f64 = 0.20;
const ABSOLUTE: f64 = 0.0003;

/// As it is: without rules for a route.
pub(crate) fn plain(case: &Case) -> bool {
    reports(case, &Rules::default())
}

/// With the rules of the case.
pub(crate) fn with_rules(case: &Case) -> bool {
    reports(case, &case.rules)
}

fn reports(case: &Case, rules: &Rules) -> bool {
    let mut fields: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut total = 0.0;
    for request in stream::of(case) {
        total += 1.0;
        for field in differing(request.legacy, request.candidate, rules) {
            fields.entry(field).or_default().0 += 1.0;
        }
        for field in differing(request.legacy, request.again, rules) {
            fields.entry(field).or_default().1 += 1.0;
        }
    }
    fields.values().any(|(raw, noise)| {
        let apart = (raw - noise).abs();
        apart / (raw + noise) > RELATIVE && apart / total > ABSOLUTE
    })
}

fn differing(one: &Observation, other: &Observation, rules: &Rules) -> Vec<String> {
    match check(one, other, rules) {
        Verdict::Mismatch(differences) => {
            differences.signatures().map(|one| one.as_str().to_owned()).collect()
        }
        _ => Vec::new(),
    }
}
