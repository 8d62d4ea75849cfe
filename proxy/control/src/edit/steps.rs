//! From two file sets to what is to be done to each file.

use std::path::PathBuf;

use banyan_routes::{FileSet, SourceFile};

use super::swap::Step;

/// Files to change, then to make, then to remove. `path` is where a file of either set is.
pub(super) fn steps<'f>(
    old: &'f FileSet,
    new: &'f FileSet,
    removed: &'f [SourceFile],
    path: impl Fn(&SourceFile) -> PathBuf,
) -> Vec<Step<'f>> {
    let step = |file: &SourceFile, before: Option<&'f SourceFile>, after: Option<&'f SourceFile>| {
        let text = |file: Option<&'f SourceFile>| file.map(|file| file.text.as_str());
        Step { path: path(file), before: text(before), after: text(after) }
    };
    let changed = changed(old, new).map(|(before, after)| step(before, Some(before), Some(after)));
    let added = added(old, new).map(|file| step(file, None, Some(file)));
    let removed = removed.iter().map(|file| step(file, Some(file), None));
    changed.chain(added).chain(removed).collect()
}

/// Pairs of old and new text that differ.
fn changed<'f>(old: &'f FileSet, new: &'f FileSet) -> impl Iterator<Item = (&'f SourceFile, &'f SourceFile)> {
    let same_name = |file: &'f SourceFile| old.included.iter().find(|old| old.name == file.name);
    let included = new.included.iter().filter_map(move |file| Some((same_name(file)?, file)));
    std::iter::once((&old.main, &new.main)).chain(included).filter(|(old, new)| old.text != new.text)
}

/// Files of `new` that `old` does not have.
pub(super) fn added<'f>(old: &'f FileSet, new: &'f FileSet) -> impl Iterator<Item = &'f SourceFile> {
    new.included.iter().filter(|file| !old.included.iter().any(|known| known.name == file.name))
}
