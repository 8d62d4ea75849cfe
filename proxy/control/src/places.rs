//! Where a file set can change: the folders to watch.
//!
//! A watch on a file follows the file, not its name: after an editor renames a new file over it, nothing is
//! seen any more. So the *folder* of every file is watched, and of every symbolic link on the way to it: in
//! Kubernetes the link that moves is `..data`, never `routes.toml`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use banyan_routes::{FileSet, Variables};

use crate::files;

/// Most symbolic links followed for one path, as Linux does.
const LINKS_MAX: usize = 40;

/// Folders to watch, and the files in them that matter, both without symbolic links.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// Existing folders.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Files of the set.
    pub(crate) files: BTreeSet<PathBuf>,
}

/// Everything that can change what `main` means, where the files are or were last `known`.
pub(crate) fn places<'f>(
    main: &Path,
    known: impl IntoIterator<Item = &'f FileSet>,
    variables: &Variables,
) -> Places {
    let mut places = Places::default();
    places.add(main);
    for files in known {
        for file in &files.included {
            places.add(Path::new(&file.name));
        }
        for pattern in files::patterns_of(&files.main, variables) {
            places.add(&files::folder_of(main).join(looked_up_in(&pattern)));
        }
    }
    places
}

/// The file that a pattern without wildcards names, or some file in the folder where the wildcards begin.
fn looked_up_in(pattern: &str) -> PathBuf {
    let pattern = Path::new(pattern);
    let fixed: PathBuf = pattern.components().take_while(|part| !has_wildcard(*part)).collect();
    if fixed == pattern { fixed } else { fixed.join("*") }
}

fn has_wildcard(part: Component<'_>) -> bool {
    part.as_os_str().to_string_lossy().contains(['*', '?', '['])
}

impl Places {
    /// Walks the path as the system does and notes the folder of every link, and of the file in the end.
    fn add(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        let mut rest = parts(&path);
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = rest.pop() {
            let next = here.join(&part);
            match std::fs::symlink_metadata(&next) {
                Ok(found) if found.is_symlink() && links < LINKS_MAX => {
                    links += 1;
                    self.folders.insert(here.clone());
                    let Ok(target) = std::fs::read_link(&next) else { return };
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    rest.extend(parts(&target));
                }
                Ok(_) if part == ".." => {
                    here.pop();
                }
                Ok(_) => here = next,
                // What is not there yet appears in the last folder that is.
                Err(_) => {
                    self.folders.insert(here);
                    return;
                }
            }
        }
        if let Some(folder) = here.parent() {
            self.folders.insert(folder.to_owned());
            self.files.insert(here);
        }
    }
}

/// Names of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_has_its_folder_watched() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        fs::create_dir(root.join("..v1")).unwrap();
        fs::write(root.join("..v1/routes.toml"), "").unwrap();
        symlink("..v1", root.join("..data")).unwrap();
        symlink("..data/routes.toml", root.join("routes.toml")).unwrap();
        let found = places(&root.join("routes.toml"), None, &Variables::new());
        assert_eq!(found.folders, BTreeSet::from([root.clone(), root.join("..v1")]));
        assert_eq!(found.files, BTreeSet::from([root.join("..v1/routes.toml")]));
    }

    #[test]
    fn what_is_not_there_is_awaited_in_the_nearest_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        let found = places(&root.join("not/yet/routes.toml"), None, &Variables::new());
        assert_eq!(found.folders, BTreeSet::from([root]));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert!(places(&root.join("a"), None, &Variables::new()).folders.contains(&root));
    }
}
