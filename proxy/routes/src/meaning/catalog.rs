//! Names of one kind, and who uses them.

use std::collections::BTreeMap;

use crate::problem::{Draft, Problems};
use crate::written::reader::Located;
use crate::written::table::nearest;

/// Upstreams, stores or cohorts in order of their names.
pub(super) struct Catalog<'w, T> {
    kind: &'static str,
    entries: Vec<Entry<'w, T>>,
    index: BTreeMap<&'w str, usize>,
    complete: bool,
}

struct Entry<'w, T> {
    name: &'w Located<String>,
    table: Option<&'w T>,
    used: bool,
}

impl<'w, T> Catalog<'w, T> {
    /// `complete` is false when a file could not be read: a name not found may then only be not seen.
    pub(super) fn new(
        kind: &'static str,
        named: &'w [(Located<String>, Option<T>)],
        complete: bool,
        problems: &mut Problems,
    ) -> Self {
        let mut first: BTreeMap<&str, Entry<'w, T>> = BTreeMap::new();
        for (name, table) in named {
            check_name(kind, name, problems);
            if let Some(other) = first.get(name.value.as_str()) {
                problems.push(duplicate(kind, name, other.name));
            } else {
                first.insert(&name.value, Entry { name, table: table.as_ref(), used: false });
            }
        }
        let index = first.keys().enumerate().map(|(place, name)| (*name, place)).collect();
        Self { kind, entries: first.into_values().collect(), index, complete }
    }

    /// Place of a name that is used; an unknown one is a problem.
    pub(super) fn find(&mut self, name: &Located<String>, problems: &mut Problems) -> Option<u32> {
        let Some(place) = self.index.get(name.value.as_str()).copied() else {
            if self.complete {
                problems.push(self.unknown(name));
            }
            return None;
        };
        self.entries[place].used = true;
        u32::try_from(place).ok()
    }

    fn unknown(&self, name: &Located<String>) -> Draft {
        let kind = self.kind;
        let hint = match nearest(&name.value, self.index.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add `[{kind}s.{}]`", name.value),
        };
        let code = match kind {
            "upstream" => "unknown-upstream",
            "store" => "unknown-store",
            _ => "unknown-cohort",
        };
        Draft::error(code, name.spot, format!("no {kind} is named `{}`", name.value)).hint(hint)
    }

    /// Makes the meaning of each entry, in order of the names.
    pub(super) fn make<M>(
        &self,
        problems: &mut Problems,
        mut make: impl FnMut(&Located<String>, &T, &mut Problems) -> Option<M>,
    ) -> Vec<Option<M>> {
        self.entries.iter().map(|entry| make(entry.name, entry.table?, problems)).collect()
    }

    /// Warnings for names that nobody uses.
    pub(super) fn unused(&self) -> Vec<Draft> {
        let code = match self.kind {
            "upstream" => "unused-upstream",
            "store" => "unused-store",
            _ => "unused-cohort",
        };
        let unused = self.entries.iter().filter(|entry| !entry.used && self.complete);
        let warn = |entry: &Entry<'_, T>| {
            let message = format!("{} `{}` is used by no route", self.kind, entry.name.value);
            Draft::warning(code, entry.name.spot, message)
        };
        unused.map(warn).collect()
    }
}

/// A name was given twice.
pub(super) fn duplicate(kind: &str, second: &Located<String>, first: &Located<String>) -> Draft {
    let message = format!("{kind} `{}` is defined twice", second.value);
    Draft::error("duplicate-name", second.spot, message).related(first.spot, "first defined here")
}

/// Names are metric labels and parts of URLs.
pub(super) fn check_name(kind: &str, name: &Located<String>, problems: &mut Problems) {
    const LONGEST: usize = 64;
    let text = &name.value;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(good) {
        let message = format!("`{text}` is a bad {kind} name");
        let hint = format!("1 to {LONGEST} letters, digits, `-`, `_` and `.`");
        problems.push(Draft::error("bad-name", name.spot, message).hint(hint));
    }
}
