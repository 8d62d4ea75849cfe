//! Which items of two arrays belong together.
//!
//! Equal items by a histogram diff; what lies between them by likeness: a table of at most [`CELLS_MAX`] pairs in one
//! comparison, beyond which items go together by position. So one item put in does not make every one after it
//! differ, also when each carries an id of its own, and the cost stays linear beside that table.
//!
//! Rules have no say here, or else an `ignore` could shift an alignment and so add a difference. Arms have none
//! either: the sequence with the smaller hashes goes first, whoever sent it.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use super::{Member, Node, Value};

/// Pairs whose likeness is looked at, in one comparison.
pub(crate) const CELLS_MAX: usize = 65_536;

/// Members or items that likeness looks at.
const LOOK_MAX: usize = 32;

/// A pair of indices, or one that has no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pair {
    Both(usize, usize),
    First(usize),
    Second(usize),
}

impl Pair {
    fn swapped(self) -> Self {
        match self {
            Self::Both(first, second) => Self::Both(second, first),
            Self::First(index) => Self::Second(index),
            Self::Second(index) => Self::First(index),
        }
    }
}

/// Pairs of two ordered arrays, in order.
pub(crate) fn ordered(first: &[Node<'_>], second: &[Node<'_>], cells: &mut usize) -> Vec<Pair> {
    if hashes(first).gt(hashes(second)) {
        return ordered(second, first, cells).into_iter().map(Pair::swapped).collect();
    }
    let mut input = InternedInput::default();
    input.update_before(hashes(first));
    input.update_after(hashes(second));
    let mut pairs = Vec::with_capacity(first.len().max(second.len()));
    let (mut one, mut other) = (0, 0);
    for hunk in Diff::compute(Algorithm::Histogram, &input).hunks() {
        let (before, after) = (range(&hunk.before), range(&hunk.after));
        pairs.extend((one..before.start).zip(other..after.start).map(|(i, j)| Pair::Both(i, j)));
        (one, other) = (before.end, after.end);
        between(first, second, before, after, cells, &mut pairs);
    }
    pairs.extend((one..first.len()).zip(other..second.len()).map(|(i, j)| Pair::Both(i, j)));
    pairs
}

/// Pairs of two arrays whose order means nothing: equal ones, then the likest; what is like nothing stays alone.
pub(crate) fn unordered(first: &[Node<'_>], second: &[Node<'_>], cells: &mut usize) -> Vec<Pair> {
    let (mut one, mut other) = (by_hash(first), by_hash(second));
    let mut pairs = take_equal(&mut one, &mut other);
    if one.is_empty() || other.is_empty() {
        // Nothing left to pair.
    } else if spend(cells, one.len(), other.len()) {
        likest(first, second, &mut one, &mut other, &mut pairs);
    } else {
        pairs.extend(one.iter().zip(&other).map(|((_, i), (_, j))| Pair::Both(*i, *j)));
        let common = one.len().min(other.len());
        one.drain(..common);
        other.drain(..common);
    }
    pairs.extend(one.into_iter().map(|(_, index)| Pair::First(index)));
    pairs.extend(other.into_iter().map(|(_, index)| Pair::Second(index)));
    pairs
}

fn hashes<'n>(nodes: &'n [Node<'_>]) -> impl Iterator<Item = u64> + 'n {
    nodes.iter().map(|node| node.hash)
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn spend(cells: &mut usize, rows: usize, columns: usize) -> bool {
    let wanted = rows.saturating_mul(columns);
    let affordable = wanted <= *cells;
    *cells -= if affordable { wanted } else { 0 };
    affordable
}

type ByHash = Vec<(u64, usize)>;

fn by_hash(nodes: &[Node<'_>]) -> ByHash {
    let mut sorted: ByHash = hashes(nodes).zip(0..).collect();
    sorted.sort_unstable();
    sorted
}

/// Pairs equal ones, and leaves the rest.
fn take_equal(one: &mut ByHash, other: &mut ByHash) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut second = other.drain(..).peekable();
    for (hash, index) in one.drain(..) {
        while let Some(smaller) = second.next_if(|(found, _)| *found < hash) {
            right.push(smaller);
        }
        match second.next_if(|(found, _)| *found == hash) {
            Some((_, partner)) => pairs.push(Pair::Both(index, partner)),
            None => left.push((hash, index)),
        }
    }
    right.extend(second);
    (*one, *other) = (left, right);
    pairs
}

fn likest(
    first: &[Node<'_>],
    second: &[Node<'_>],
    one: &mut ByHash,
    other: &mut ByHash,
    pairs: &mut Vec<Pair>,
) {
    let mut ranked = Vec::new();
    for (a, i) in one.iter() {
        for (b, j) in other.iter() {
            let score = likeness(&first[*i], &second[*j]);
            // The hashes make an order in which neither arm comes first.
            ranked.extend((score > 1).then_some((score, *a.min(b), *a.max(b), *i, *j)));
        }
    }
    ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2).cmp(&(b.1, b.2))));
    for (_, _, _, i, j) in ranked {
        let free = |rest: &ByHash, index| rest.iter().position(|(_, found)| *found == index);
        if let (Some(a), Some(b)) = (free(one, i), free(other, j)) {
            one.remove(a);
            other.remove(b);
            pairs.push(Pair::Both(i, j));
        }
    }
}

/// Pairs what lies between equal items, in order.
fn between(
    first: &[Node<'_>],
    second: &[Node<'_>],
    rows: Range<usize>,
    columns: Range<usize>,
    cells: &mut usize,
    pairs: &mut Vec<Pair>,
) {
    let one_by_one = rows.len() <= 1 && columns.len() <= 1;
    if rows.is_empty() || columns.is_empty() || one_by_one || !spend(cells, rows.len(), columns.len()) {
        let common = rows.len().min(columns.len());
        pairs.extend(rows.clone().zip(columns.clone()).map(|(i, j)| Pair::Both(i, j)));
        pairs.extend(rows.skip(common).map(Pair::First));
        pairs.extend(columns.skip(common).map(Pair::Second));
        return;
    }
    by_likeness(&first[rows.clone()], &second[columns.clone()], |pair| {
        pairs.push(match pair {
            Pair::Both(i, j) => Pair::Both(rows.start + i, columns.start + j),
            Pair::First(i) => Pair::First(rows.start + i),
            Pair::Second(j) => Pair::Second(columns.start + j),
        });
    });
}

/// The alignment with the greatest sum of likeness (Needleman and Wunsch, 1970).
fn by_likeness(first: &[Node<'_>], second: &[Node<'_>], mut take: impl FnMut(Pair)) {
    let width = second.len() + 1;
    let at = |i: usize, j: usize| i * width + j;
    // Best sum from (i, j) to the end, and the likeness of that pair.
    let mut best = vec![0_u32; (first.len() + 1) * width];
    let mut like = vec![0_u32; best.len()];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            like[at(i, j)] = likeness(&first[i], &second[j]);
            let together = like[at(i, j)] + best[at(i + 1, j + 1)];
            best[at(i, j)] = together.max(best[at(i + 1, j)]).max(best[at(i, j + 1)]);
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < first.len() || j < second.len() {
        if i < first.len() && j < second.len() && best[at(i, j)] == like[at(i, j)] + best[at(i + 1, j + 1)] {
            take(Pair::Both(i, j));
            (i, j) = (i + 1, j + 1);
        } else if i < first.len() && (j == second.len() || best[at(i, j)] == best[at(i + 1, j)]) {
            take(Pair::First(i));
            i += 1;
        } else {
            take(Pair::Second(j));
            j += 1;
        }
    }
}

/// 0 for different types, 1 for the same type, up to 101 for equal values.
fn likeness(one: &Node<'_>, other: &Node<'_>) -> u32 {
    let (equal, of) = match (&one.value, &other.value) {
        (Value::Object(one), Value::Object(other)) => {
            (equal_members(one, other), one.len().max(other.len()).min(LOOK_MAX))
        }
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one.iter().zip(other).take(LOOK_MAX);
            (pairs.filter(|(a, b)| a.hash == b.hash).count(), one.len().max(other.len()).min(LOOK_MAX))
        }
        (one, other) if std::mem::discriminant(one) != std::mem::discriminant(other) => return 0,
        (one, other) => (usize::from(one == other), 1),
    };
    1 + u32::try_from(equal * 100 / of.max(1)).unwrap_or(100)
}

/// Members are sorted; those of one key meet in their order.
fn equal_members(one: &[Member<'_>], other: &[Member<'_>]) -> usize {
    let (mut i, mut j, mut equal) = (0, 0, 0);
    for _ in 0..2 * LOOK_MAX {
        let (Some(a), Some(b)) = (one.get(i), other.get(j)) else { break };
        let order = a.key.cmp(&b.key);
        equal += usize::from(order.is_eq() && a.node.hash == b.node.hash);
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    equal
}
