//! JSON as a tree that loses nothing: numbers keep their digits, objects their doubled keys.
//!
//! - `parse`: text to tree. `number`: exact decimals. `normal`: what rules make equal is made equal.
//! - `differ`: two trees to differences. `align`: which items of two arrays belong together.
//!
//! Why not `serde_json::Value`: without features that would change it for every crate of the build, it rounds
//! numbers to 64 bits and drops doubled keys.
//!
//! Bounds: [`NODES_MAX`] values and [`DEPTH_MAX`] levels; a tree takes at most some 20 MiB beside the text.

mod align;
mod differ;
mod normal;
mod number;
mod parse;

use std::borrow::Cow;

pub(crate) use differ::differ;
pub(crate) use normal::normalise;
pub(crate) use parse::{JsonProblem, parse, parse_lines, parse_pairs};

/// Values of the largest document that is compared.
pub const NODES_MAX: usize = 262_144;

/// Levels of the deepest.
pub const DEPTH_MAX: usize = 128;

/// A value, with a hash of what it says: equal values have equal hashes once they are normal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node<'a> {
    pub(crate) value: Value<'a>,
    pub(crate) hash: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// As written, or in canonical form.
    Number(Cow<'a, str>),
    /// Unescaped. A lone surrogate is U+FFFD and its four digits, so that two of them stay apart.
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// By key once normal; members of one key stay in their order.
    Object(Vec<Member<'a>>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, str>,
    pub(crate) node: Node<'a>,
}

impl<'a> Node<'a> {
    fn new(value: Value<'a>) -> Self {
        Self { value, hash: 0 }
    }
}
