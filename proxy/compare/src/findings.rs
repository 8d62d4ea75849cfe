//! Where differences are collected while two answers are compared, and rules take theirs out.

use jiff::civil::Date;

use crate::difference::{Difference, JsonChange};
use crate::path::{self, Step};
use crate::pattern::Pattern;
use crate::rules::Rules;
use crate::signature::Signature;
use crate::verdict::{Differences, Found, Ignored, SIGNATURES_MAX, Verdict};

/// Differences found so far.
pub(crate) struct Findings<'r> {
    rules: &'r Rules,
    accepted: Vec<&'r Pattern>,
    differences: Differences,
}

impl<'r> Findings<'r> {
    pub(crate) fn new(rules: &'r Rules, today: Date) -> Self {
        let accepted = rules.parts().accepted.iter().filter_map(|rule| rule.pattern_on(today)).collect();
        Self { rules, accepted, differences: Differences::default() }
    }

    pub(crate) fn rules(&self) -> &'r Rules {
        self.rules
    }

    /// One that is not of JSON.
    pub(crate) fn add(&mut self, difference: Difference) {
        self.add_at(difference, &[]);
    }

    /// One of JSON. Missing and type are told of legacy's path, extra of the candidate's.
    pub(crate) fn add_json(&mut self, path: &[Step<'_>], change: JsonChange) {
        let (pointer, folded) = (path::pointer(path), path::folded(path));
        self.add_at(Difference::Json { pointer, folded, change }, path);
    }

    pub(crate) fn tolerate(&mut self) {
        self.ignored().by_tolerance += 1;
    }

    /// Whether anything counts so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.differences.kept.is_empty()
    }

    pub(crate) fn into_verdict(self) -> Verdict {
        let differences = self.differences;
        match (differences.kept.is_empty(), differences.ignored) {
            (true, ignored) if ignored == Ignored::default() => Verdict::Match,
            (true, ignored) => Verdict::Ignored(ignored),
            (false, _) => Verdict::Mismatch(differences),
        }
    }

    fn add_at(&mut self, difference: Difference, path: &[Step<'_>]) {
        if self.rules.parts().ignore.iter().any(|pattern| pattern.covers(&difference, path)) {
            self.ignored().by_pattern += 1;
        } else if self.accepted.iter().any(|pattern| pattern.covers(&difference, path)) {
            self.ignored().by_acceptance += 1;
        } else {
            self.keep(difference);
        }
    }

    fn keep(&mut self, difference: Difference) {
        let signature = Signature::of(&difference);
        let kept = &mut self.differences.kept;
        if let Some(found) = kept.iter_mut().rev().find(|found| found.signature == signature) {
            found.count += 1;
        } else if kept.len() < SIGNATURES_MAX {
            kept.push(Found { signature, first: difference, count: 1 });
        } else {
            self.differences.more += 1;
        }
    }

    fn ignored(&mut self) -> &mut Ignored {
        &mut self.differences.ignored
    }
}
