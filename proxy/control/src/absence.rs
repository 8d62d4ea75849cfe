//! Included files that were there and are not: on their way back, or removed?
//!
//! Editors and configuration tools take a file away for a moment to put another in its place. So a file that
//! a wildcard no longer finds keeps its last content until it has been absent for two polls.

use std::collections::BTreeMap;

use banyan_routes::{FileSet, SourceFile, Variables};

use crate::files::is_included;

/// Polls after which an absent file counts as removed.
const POLLS: u8 = 2;

/// How many polls each absent file has been missed in, by name.
#[derive(Debug, Default)]
pub(crate) struct Absence {
    missed: BTreeMap<String, u8>,
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
        let mut kept = Vec::new();
        for file in absent {
            if *self.missed.entry(file.name.clone()).or_insert(0) < POLLS {
                kept.push(file.clone());
            }
        }
        read.included.extend(kept);
        read.included.sort_by(|one, two| one.name.cmp(&two.name));
        read
    }
}
