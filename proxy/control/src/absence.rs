//! Included files that were there and are not: on their way back, or removed?
//!
//! Editors and configuration tools take a file away for a moment to put another in its place. So a file that
//! a wildcard no longer finds keeps its last content until it has been absent for two polls. While its whole
//! folder is gone (an unmounted volume, a checkout under way) it keeps it for as long.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use banyan_routes::{FileSet, SourceFile, Variables};

use crate::files::is_included;

/// Polls after which an absent file counts as removed.
const POLLS: u8 = 2;

/// How many polls each absent file has been missed in, by name.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    missed: BTreeMap<String, u8>,
    /// Folders that are gone, said once.
    folders_gone: BTreeSet<PathBuf>,
}

impl Absence {
    /// A poll has come round.
    pub(crate) fn tick(&mut self) {
        self.missed.values_mut().for_each(|polls| *polls = polls.saturating_add(1));
    }

    /// Adds the last content of files that are absent but not yet removed.
    pub(crate) fn fill(
        &mut self,
        mut read: FileSet,
        accepted: Option<&FileSet>,
        variables: &Variables,
    ) -> FileSet {
        let absent: Vec<&SourceFile> = accepted
            .into_iter()
            .flat_map(|files| &files.included)
            .filter(|file| !read.included.iter().any(|found| found.name == file.name))
            // A file that the main file no longer names is not absent, it is out.
            .filter(|file| is_included(&read, file, variables))
            .collect();
        self.missed.retain(|name, _| absent.iter().any(|file| file.name == *name));
        let gone = absent.iter().filter_map(|file| missing_folder(file)).collect();
        self.say(gone);
        let mut kept = Vec::new();
        for file in absent {
            let missed = self.missed.entry(file.name.clone()).or_insert(0);
            if missing_folder(file).is_some() {
                *missed = 0;
            }
            if *missed < POLLS {
                kept.push(file.clone());
            }
        }
        read.included.extend(kept);
        // As they are sorted when read: another order would be another text.
        read.included.sort_by(|one, two| Path::new(&one.name).cmp(Path::new(&two.name)));
        read
    }

    fn say(&mut self, gone: BTreeSet<PathBuf>) {
        for folder in gone.difference(&self.folders_gone) {
            let folder = folder.display();
            tracing::warn!("folder of included files is gone, their last content stays in force: {folder}");
        }
        self.folders_gone = gone;
    }
}

/// The folder of a file, when it is not there.
fn missing_folder(file: &SourceFile) -> Option<PathBuf> {
    let folder = Path::new(&file.name).parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| folder.to_owned())
}
