//! Lists of rules: none is empty, too long, or names a thing twice.

use banyan_compare::{RULES_MAX, RulesProblem};

use super::Told;
use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::written::reader::{Field, Located};

/// One entry of a list.
pub(super) struct Entry<M> {
    /// What it means.
    pub(super) value: M,
    /// What it is about, for a message; no two of a list are about the same.
    pub(super) about: String,
    /// All that it says, equal for equal meanings.
    pub(super) text: String,
}

/// The entries of a list, in the order written.
pub(super) struct Entries<M> {
    pub(super) values: Vec<M>,
    pub(super) texts: Vec<String>,
}

/// Makes each entry; one that is none has left a problem behind.
pub(super) fn make<W, M>(
    key: &'static str,
    field: &Field<Vec<Located<W>>>,
    problems: &mut Problems,
    entry: impl Fn(&Located<W>, &mut Problems) -> Option<Entry<M>>,
) -> Result<Entries<M>, Told> {
    let written = match field {
        Field::Absent => return Ok(Entries { values: Vec::new(), texts: Vec::new() }),
        Field::Bad(_) => return Err(Told),
        Field::Good(written) => written,
    };
    if let Some(draft) = bad_length(key, written.value.len(), written.spot) {
        problems.push(draft);
        return Err(Told);
    }
    let (mut entries, mut seen) = (Entries { values: Vec::new(), texts: Vec::new() }, Vec::new());
    for word in &written.value {
        if let Some(Entry { value, about, text }) = entry(word, problems) {
            entries.values.push(value);
            entries.texts.push(text);
            warn_twice(key, about, word.spot, &mut seen, problems);
        }
    }
    if entries.values.len() == written.value.len() { Ok(entries) } else { Err(Told) }
}

fn bad_length(key: &'static str, count: usize, spot: Spot) -> Option<Draft> {
    if count == 0 {
        let message = format!("an empty `{key}` says nothing");
        return Some(Draft::error("empty-list", spot, message).hint("leave it out"));
    }
    let problem = RulesProblem::TooMany { list: key, count, most: RULES_MAX };
    (count > RULES_MAX).then(|| Draft::error("too-many-rules", spot, problem.to_string()))
}

fn warn_twice(key: &str, about: String, spot: Spot, seen: &mut Vec<(String, Spot)>, problems: &mut Problems) {
    match seen.iter().find(|(other, _)| *other == about) {
        Some((_, first)) => {
            let draft = Draft::warning("duplicate-rule", spot, format!("{about} stands in `{key}` already"));
            problems.push(draft.related(*first, "first written here"));
        }
        None => seen.push((about, spot)),
    }
}
