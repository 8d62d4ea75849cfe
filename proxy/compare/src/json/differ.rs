//! Two trees in normal form to differences.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use super::align::{self, CELLS_MAX, Pair};
use super::{Member, Node, Value, number};
use crate::difference::JsonChange;
use crate::findings::Findings;
use crate::path::Step;

/// Adds what differs. Both trees are normal.
pub(crate) fn differ<'n>(legacy: &'n Node<'_>, candidate: &'n Node<'_>, findings: &mut Findings<'_>) {
    Walk { path: Vec::new(), cells: CELLS_MAX, findings }.nodes(legacy, candidate);
}

struct Walk<'n, 'f, 'r> {
    path: Vec<Step<'n>>,
    /// Pairs whose likeness may still be looked at.
    cells: usize,
    findings: &'f mut Findings<'r>,
}

impl<'n> Walk<'n, '_, '_> {
    fn nodes(&mut self, legacy: &'n Node<'_>, candidate: &'n Node<'_>) {
        match (&legacy.value, &candidate.value) {
            (Value::Object(legacy), Value::Object(candidate)) => self.objects(legacy, candidate),
            (Value::Array(legacy), Value::Array(candidate)) => self.arrays(legacy, candidate),
            (Value::Number(legacy), Value::Number(candidate)) => self.numbers(legacy, candidate),
            (legacy, candidate) if legacy == candidate => {}
            // true and false are two values of one type.
            (legacy, candidate) if std::mem::discriminant(legacy) == std::mem::discriminant(candidate) => {
                self.add(JsonChange::Value);
            }
            _ => self.add(JsonChange::Type),
        }
    }

    fn numbers(&mut self, legacy: &str, candidate: &str) {
        if legacy == candidate {
            return;
        }
        let rules = self.findings.rules();
        let near = rules.tolerance_at(&self.path).is_some_and(|tolerance| {
            number::distance(legacy, candidate)
                .is_some_and(|(distance, magnitude)| tolerance.allows(distance, magnitude))
        });
        if near { self.findings.tolerate() } else { self.add(JsonChange::Value) }
    }

    /// Members are sorted; those of one key meet in their order.
    fn objects(&mut self, legacy: &'n [Member<'_>], candidate: &'n [Member<'_>]) {
        let (mut one, mut other) = (legacy.iter().peekable(), candidate.iter().peekable());
        loop {
            let order = match (one.peek(), other.peek()) {
                (Some(one), Some(other)) => one.key.cmp(&other.key),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let left = if order.is_le() { one.next() } else { None };
            let right = if order.is_ge() { other.next() } else { None };
            let Some(key) = left.or(right).map(|member| &member.key) else { return };
            self.step(Step::Key(key), left.map(|member| &member.node), right.map(|member| &member.node));
        }
    }

    fn arrays(&mut self, legacy: &'n [Node<'_>], candidate: &'n [Node<'_>]) {
        let rules = self.findings.rules();
        if let Some(rule) = rules.unordered_at(&self.path) {
            if let Some(key) = rule.key() {
                return self.keyed(legacy, candidate, key);
            }
            let pairs = align::unordered(legacy, candidate, &mut self.cells);
            return self.pairs(legacy, candidate, pairs);
        }
        let in_place = legacy.len() == candidate.len()
            && legacy.iter().zip(candidate).all(|(one, other)| one.hash == other.hash);
        if in_place {
            let pairs = (0..legacy.len()).map(|index| Pair::Both(index, index));
            return self.pairs(legacy, candidate, pairs);
        }
        if is_reordered(legacy, candidate) {
            return self.add(JsonChange::Order);
        }
        let pairs = align::ordered(legacy, candidate, &mut self.cells);
        self.pairs(legacy, candidate, pairs);
    }

    fn pairs(
        &mut self,
        legacy: &'n [Node<'_>],
        candidate: &'n [Node<'_>],
        pairs: impl IntoIterator<Item = Pair>,
    ) {
        for pair in pairs {
            match pair {
                Pair::Both(i, j) => self.step(Step::Index(i), Some(&legacy[i]), Some(&candidate[j])),
                Pair::First(i) => self.step(Step::Index(i), Some(&legacy[i]), None),
                Pair::Second(j) => self.step(Step::Index(j), None, Some(&candidate[j])),
            }
        }
    }

    /// Items with equal members `key` belong together, doubled ones in their order; items without it stay alone
    /// unless they are equal.
    fn keyed(&mut self, legacy: &'n [Node<'_>], candidate: &'n [Node<'_>], key: &str) {
        let mut partners: BTreeMap<u64, VecDeque<usize>> = BTreeMap::new();
        for (index, item) in candidate.iter().enumerate() {
            partners.entry(key_hash(item, key)).or_default().push_back(index);
        }
        for (index, item) in legacy.iter().enumerate() {
            let partner = partners.get_mut(&key_hash(item, key)).and_then(VecDeque::pop_front);
            self.step(Step::Index(index), Some(item), partner.map(|partner| &candidate[partner]));
        }
        for index in partners.into_values().flatten() {
            self.step(Step::Index(index), None, Some(&candidate[index]));
        }
    }

    fn step(&mut self, step: Step<'n>, legacy: Option<&'n Node<'_>>, candidate: Option<&'n Node<'_>>) {
        self.path.push(step);
        match (legacy, candidate) {
            (Some(legacy), Some(candidate)) => self.nodes(legacy, candidate),
            (Some(_), None) => self.add(JsonChange::Missing),
            (None, Some(_)) => self.add(JsonChange::Extra),
            (None, None) => {}
        }
        self.path.pop();
    }

    fn add(&mut self, change: JsonChange) {
        self.findings.add_json(&self.path, change);
    }
}

fn key_hash(item: &Node<'_>, key: &str) -> u64 {
    let Value::Object(members) = &item.value else { return item.hash };
    members.iter().find(|member| member.key == key).map_or(item.hash, |member| member.node.hash)
}

/// The same items in another order.
fn is_reordered(legacy: &[Node<'_>], candidate: &[Node<'_>]) -> bool {
    if legacy.len() != candidate.len() {
        return false;
    }
    let sorted = |nodes: &[Node<'_>]| {
        let mut hashes: Vec<u64> = nodes.iter().map(|node| node.hash).collect();
        hashes.sort_unstable();
        hashes
    };
    sorted(legacy) == sorted(candidate)
}
