//! The inverse of the last change, worked out on texts.
//!
//! What the last swap changed is taken back; what was edited since stays, as long as it does not touch the
//! same lines. Where it does, nothing is undone: the files no longer hold the after-value.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use banyan_routes::FileSet;

use crate::api::{HistoryEntry, HistoryKind, KeptFile, KeptSet};

/// What to write to take the change back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// Files to write or remove, by name as seen from the main file's folder.
    pub files: Vec<FileChange>,
    /// The whole set as it will be.
    pub result: KeptSet,
}

/// One file to write or remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// As seen from the main file's folder.
    pub name: String,
    /// The new text; none removes the file.
    pub text: Option<String>,
}

/// Why a change cannot be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoRefusal {
    /// The entry changed no file: it is a floor held in memory, or its end.
    NoFileChange,
    /// The set before, or the set after, is not the one the entry names.
    WrongSet {
        /// Hash the entry names.
        expected: Option<String>,
        /// Hash of the set given.
        found: String,
    },
    /// The file was changed since, in the same lines.
    ChangedSince {
        /// As seen from the main file's folder.
        file: String,
    },
    /// The change has already been taken back.
    AlreadyUndone,
}

impl fmt::Display for UndoRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFileChange => {
                let hint = "hint: it ends with the next accepted change of the files, or a restart";
                write!(out, "the last change is a rollback held in memory, no file changed\n{hint}")
            }
            Self::WrongSet { expected, found } => {
                let expected = expected.as_deref().unwrap_or("none");
                write!(
                    out,
                    "the kept files do not belong to this change: expected {expected}, found {found}"
                )?;
                write!(out, "\nhint: `banyan history` shows the changes, take this one back by hand")
            }
            Self::ChangedSince { file } => {
                write!(out, "{file} was edited since in the same lines")?;
                write!(out, "\nhint: take the change back by hand, `banyan history` shows it")
            }
            Self::AlreadyUndone => {
                write!(out, "the files already are as before the last change")?;
                write!(out, "\nhint: `banyan history` shows what was in force when")
            }
        }
    }
}

impl std::error::Error for UndoRefusal {}

/// The inverse of `entry`, applied to `current`.
///
/// `before` and `after` are the kept sets whose hashes the entry names.
pub fn undo(
    entry: &HistoryEntry,
    before: &KeptSet,
    after: &KeptSet,
    current: &KeptSet,
) -> Result<Undo, UndoRefusal> {
    if entry.kind == HistoryKind::Rollback || entry.text_hash_before.as_ref() == Some(&entry.text_hash) {
        return Err(UndoRefusal::NoFileChange);
    }
    belongs(entry.text_hash_before.as_deref(), before)?;
    belongs(Some(&entry.text_hash), after)?;
    let (old, new, now) = (texts(before), texts(after), texts(current));
    let mut files = Vec::new();
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let wanted = inverse(name, old.get(name), new.get(name), now.get(name))?;
        if wanted.as_deref() != now.get(name).copied() {
            files.push(FileChange { name: shown_name(name, current), text: wanted });
        }
    }
    if files.is_empty() {
        return Err(UndoRefusal::AlreadyUndone);
    }
    Ok(Undo { result: with_changes(current, &files), files })
}

/// The files as they are named here, with the entry's change taken back. `kept` gives a kept set by its hash.
pub fn undone<E>(
    entry: &HistoryEntry,
    files: &FileSet,
    kept: impl Fn(&str) -> Result<KeptSet, E>,
) -> Result<Result<FileSet, UndoRefusal>, E> {
    let before = kept(entry.text_hash_before.as_deref().unwrap_or_default())?;
    let after = kept(&entry.text_hash)?;
    let current = crate::history::kept_set(files, &crate::files::text_hash(files));
    let undone = undo(entry, &before, &after, &current);
    Ok(undone.map(|undone| named_as(files, crate::history::file_set(&undone.result))))
}

/// Kept files are named from the main file's folder; on this host they are named as they were read.
fn named_as(read: &FileSet, mut kept: FileSet) -> FileSet {
    let folder = Path::new(&read.main.name).parent().unwrap_or(Path::new(""));
    kept.main.name.clone_from(&read.main.name);
    for file in &mut kept.included {
        file.name = folder.join(&file.name).display().to_string();
    }
    kept
}

/// The text this file should have: none when it should not be there.
fn inverse(
    name: &str,
    old: Option<&&str>,
    new: Option<&&str>,
    now: Option<&&str>,
) -> Result<Option<String>, UndoRefusal> {
    let refusal = || UndoRefusal::ChangedSince {
        file: if name.is_empty() { "the main file" } else { name }.to_owned(),
    };
    let owned = |text: Option<&&str>| text.map(|text| (*text).to_owned());
    match (old, new, now) {
        (_, _, now) if old == new || now == old => Ok(owned(now)),
        (_, _, now) if now == new => Ok(owned(old)),
        // Undo is a merge whose common ancestor is the state after the change.
        (Some(old), Some(new), Some(now)) => diffy::merge(new, now, old).map(Some).map_err(|_| refusal()),
        _ => Err(refusal()),
    }
}

fn belongs(expected: Option<&str>, set: &KeptSet) -> Result<(), UndoRefusal> {
    if expected == Some(&set.text_hash) {
        return Ok(());
    }
    Err(UndoRefusal::WrongSet { expected: expected.map(str::to_owned), found: set.text_hash.clone() })
}

/// Texts by name; the main file goes by the empty name, because it may be called differently since.
fn texts(set: &KeptSet) -> BTreeMap<&str, &str> {
    let included = set.included.iter().map(|file| (file.name.as_str(), file.text.as_str()));
    included.chain([("", set.main.text.as_str())]).collect()
}

fn shown_name(name: &str, current: &KeptSet) -> String {
    if name.is_empty() { current.main.name.clone() } else { name.to_owned() }
}

fn with_changes(current: &KeptSet, changes: &[FileChange]) -> KeptSet {
    let mut included: BTreeMap<String, String> =
        current.included.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    let mut main = current.main.clone();
    for change in changes {
        match &change.text {
            Some(text) if change.name == main.name => main.text.clone_from(text),
            Some(text) => {
                included.insert(change.name.clone(), text.clone());
            }
            None => {
                included.remove(&change.name);
            }
        }
    }
    let mut included: Vec<KeptFile> =
        included.into_iter().map(|(name, text)| KeptFile { name, text }).collect();
    // As they are sorted when read: another order would be another hash.
    included.sort_by(|one, two| Path::new(&one.name).cmp(Path::new(&two.name)));
    let mut result = KeptSet { main, included, ..current.clone() };
    result.text_hash = crate::files::text_hash(&crate::history::file_set(&result));
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use super::*;

    fn set(main: &str, included: &[(&str, &str)]) -> KeptSet {
        let file =
            |(name, text): &(&str, &str)| KeptFile { name: (*name).to_owned(), text: (*text).to_owned() };
        let included = included.iter().map(file).collect();
        let main = KeptFile { name: "routes.toml".to_owned(), text: main.to_owned() };
        let mut set = KeptSet { version: 1, text_hash: String::new(), main, included };
        set.text_hash = crate::files::text_hash(&crate::history::file_set(&set));
        set
    }

    fn change(before: &KeptSet, after: &KeptSet) -> HistoryEntry {
        HistoryEntry {
            at: String::new(),
            generation: 2,
            before: None,
            after: String::new(),
            text_hash: after.text_hash.clone(),
            text_hash_before: Some(before.text_hash.clone()),
            kind: HistoryKind::Reload,
            who: "file".to_owned(),
            why: None,
            changes: Vec::new(),
            routes: Vec::new(),
        }
    }

    fn undone(before: &KeptSet, after: &KeptSet, current: &KeptSet) -> Result<KeptSet, UndoRefusal> {
        undo(&change(before, after), before, after, current).map(|undo| undo.result)
    }

    const BEFORE: &str = "a = 1\n\n\npercent = 10 # share\n\n\nz = 1\n";
    const AFTER: &str = "a = 1\n\n\npercent = 50 # share\n\n\nz = 1\n";

    #[test]
    fn takes_the_change_back() {
        let (before, after) = (set(BEFORE, &[]), set(AFTER, &[]));
        assert_eq!(undone(&before, &after, &after), Ok(before));
    }

    #[test]
    fn keeps_what_was_edited_elsewhere_since() {
        let (before, after) = (set(BEFORE, &[]), set(AFTER, &[]));
        let current = set(&AFTER.replace("a = 1", "a = 2 # since"), &[]);
        let wanted = set(&BEFORE.replace("a = 1", "a = 2 # since"), &[]);
        assert_eq!(undone(&before, &after, &current), Ok(wanted));
    }

    #[test]
    fn refuses_when_the_value_was_changed_since() {
        let (before, after) = (set(BEFORE, &[]), set(AFTER, &[]));
        let current = set(&AFTER.replace("50", "60"), &[]);
        let file = "the main file".to_owned();
        assert_eq!(undone(&before, &after, &current), Err(UndoRefusal::ChangedSince { file }));
    }

    #[test]
    fn twice_is_told() {
        let (before, after) = (set(BEFORE, &[]), set(AFTER, &[]));
        assert_eq!(undone(&before, &after, &before), Err(UndoRefusal::AlreadyUndone));
    }

    #[test]
    fn files_come_back_and_go() {
        let before = set("m", &[("a.toml", "a")]);
        let after = set("m", &[("b.toml", "b")]);
        let undo = undo(&change(&before, &after), &before, &after, &after).unwrap();
        let expected = [
            FileChange { name: "a.toml".to_owned(), text: Some("a".to_owned()) },
            FileChange { name: "b.toml".to_owned(), text: None },
        ];
        assert_eq!((undo.files.as_slice(), undo.result), (&expected[..], before));
    }

    /// By whole names of folders, as files are read; as strings `routes-extra/` would come first.
    #[test]
    fn files_stay_in_the_order_in_which_they_are_read() {
        let before = set("m", &[("routes/a.toml", "a"), ("routes-extra/b.toml", "b")]);
        let after = set("m", &[("routes/a.toml", "a"), ("routes-extra/b.toml", "c")]);
        assert_eq!(undone(&before, &after, &after), Ok(before));
    }

    #[test]
    fn a_floor_changed_no_file() {
        let after = set(AFTER, &[]);
        let floor = HistoryEntry { kind: HistoryKind::Rollback, ..change(&after, &after) };
        assert_eq!(undo(&floor, &after, &after, &after), Err(UndoRefusal::NoFileChange));
    }

    #[test]
    fn sets_of_another_change_are_refused() {
        let (before, after) = (set(BEFORE, &[]), set(AFTER, &[]));
        let entry = change(&before, &after);
        assert!(matches!(undo(&entry, &after, &after, &after), Err(UndoRefusal::WrongSet { .. })));
    }
}
