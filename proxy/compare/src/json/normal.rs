//! What rules make equal is made equal: key order, number forms, dates. Hashes are made on the way.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::{Node, Value, number};
use crate::instant;
use crate::path::Step;
use crate::rules::{NumberForms, Rules};

/// The tree in normal form. Doing it again changes nothing.
pub(crate) fn normalise(root: &mut Node<'_>, rules: &Rules) {
    let by_place = !rules.parts().dates.is_empty() || !rules.parts().unordered.is_empty();
    node(root, &Trail { up: None, step: None }, &Normal { rules, by_place });
}

struct Normal<'r> {
    rules: &'r Rules,
    /// Whether any rule needs the path.
    by_place: bool,
}

/// The way from the root, last step first: it lives as long as the call that looks at its end.
struct Trail<'t> {
    up: Option<&'t Trail<'t>>,
    step: Option<Step<'t>>,
}

impl Trail<'_> {
    fn path(&self) -> Vec<Step<'_>> {
        let mut path = Vec::new();
        let mut at = Some(self);
        while let Some(trail) = at {
            path.extend(trail.step);
            at = trail.up;
        }
        path.reverse();
        path
    }
}

fn node(at: &mut Node<'_>, trail: &Trail<'_>, normal: &Normal<'_>) {
    leaf(&mut at.value, trail, normal);
    let mut hash = FxHasher::default();
    match &mut at.value {
        Value::Null => hash.write_u8(0),
        Value::Bool(value) => hash.write_u8(1 + u8::from(*value)),
        Value::Number(text) => (3_u8, &*text).hash(&mut hash),
        Value::String(text) => (4_u8, &*text).hash(&mut hash),
        Value::Array(items) => {
            hash.write_u8(5);
            for (index, item) in items.iter_mut().enumerate() {
                node(item, &Trail { up: Some(trail), step: Some(Step::Index(index)) }, normal);
            }
            let unordered = normal.by_place && normal.rules.unordered_at(&trail.path()).is_some();
            array_hash(items, unordered, &mut hash);
        }
        Value::Object(members) => {
            hash.write_u8(6);
            if !members.is_sorted_by(|one, other| one.key <= other.key) {
                members.sort_by(|one, other| one.key.cmp(&other.key));
            }
            for member in members {
                node(
                    &mut member.node,
                    &Trail { up: Some(trail), step: Some(Step::Key(&member.key)) },
                    normal,
                );
                (&member.key, member.node.hash).hash(&mut hash);
            }
        }
    }
    at.hash = hash.finish();
}

fn leaf(value: &mut Value<'_>, trail: &Trail<'_>, normal: &Normal<'_>) {
    let is_date = || normal.by_place && normal.rules.is_date(&trail.path());
    let instant = match value {
        Value::String(text) if is_date() => instant::of_text(text),
        Value::Number(text) if is_date() => instant::of_number(text),
        _ => None,
    };
    if let Some(instant) = instant {
        *value = Value::String(instant.into());
    }
    if let Value::Number(text) = value
        && normal.rules.parts().numbers == NumberForms::Value
        && let Some(canonical) = number::canonical(text)
    {
        *text = Cow::Owned(canonical);
    }
}

fn array_hash(items: &[Node<'_>], unordered: bool, hash: &mut FxHasher) {
    if unordered {
        let sum = items.iter().fold(0_u64, |sum, item| sum.wrapping_add(item.hash));
        (items.len(), sum).hash(hash);
    } else {
        for item in items {
            hash.write_u64(item.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::normalise;
    use crate::{NumberForms, PointerPattern, RuleSet, Rules, Unordered};

    proptest! {
        #[test]
        fn again_changes_nothing(
            leaves in proptest::collection::vec("(1|1\\.0|10e-1|-0|\"2026-05-01 10:00:00Z\"|1777629600|null|\\{\"b\":1,\"a\":2,\"b\":0\\})", 0..8)
        ) {
            let text = format!("[{}]", leaves.join(","));
            let rules = Rules::new(RuleSet {
                numbers: NumberForms::Value,
                dates: vec![PointerPattern::parse("/**").unwrap()],
                unordered: vec![Unordered::parse("/**", None).unwrap()],
                ..RuleSet::default()
            }).unwrap();
            let mut tree = parse(&text).unwrap();
            normalise(&mut tree, &rules);
            let once = tree.clone();
            normalise(&mut tree, &rules);
            prop_assert_eq!(once, tree);
        }
    }
}
