//! One file replaced by another, without losing what somebody else wrote meanwhile.
//!
//! - The lock is on the *folder* of the main file: a lock on the file would be lost with the rename, and a lock
//!   file would be litter that a glob may pick up.
//! - The new text is written beside the file, flushed, given the old mode and owner, and renamed over it.
//! - A symbolic link stays one: what it points at is replaced.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::EditError;

/// Time between two tries for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The right to edit one file set; given back when dropped, also by a crash.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: File,
}

impl Lock {
    /// Waits at most `wait` for whoever holds it.
    pub(super) fn take(main: &Path, wait: Duration) -> Result<Self, EditError> {
        let main = target_of(main)?;
        let folder = main.parent().unwrap_or(Path::new("/")).to_owned();
        let failed = |error: io::Error| EditError::Io { action: "lock", path: folder.clone(), error };
        let file = File::open(&folder).map_err(failed)?;
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _folder: file }),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(EditError::Locked { folder, waited: wait });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
            }
        }
    }
}

/// The file itself behind any symbolic links; refuses one that Kubernetes keeps.
pub(super) fn target_of(path: &Path) -> Result<PathBuf, EditError> {
    let failed = |error| EditError::Io { action: "read", path: path.to_owned(), error };
    let target = fs::canonicalize(path).map_err(failed)?;
    let kept = |part: Component<'_>| matches!(part, Component::Normal(name) if is_kept_folder(name));
    if target.components().any(kept) {
        return Err(EditError::Kubernetes { path: path.to_owned(), target });
    }
    Ok(target)
}

/// `..data` and `..2026_05_01_10_00_00.123`: folders of a mounted `ConfigMap`, replaced whole by the kubelet.
fn is_kept_folder(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() > 2 && name.starts_with(b"..")
}

/// Replaces the file's text if it is still `expected`.
pub(super) fn swap(path: &Path, expected: &str, text: &str) -> Result<(), EditError> {
    let target = target_of(path)?;
    let failed = |action, error| EditError::Io { action, path: path.to_owned(), error };
    let folder = target.parent().unwrap_or(Path::new("/"));
    let ready = written_beside(&target, folder, text).map_err(|error| failed("write beside", error))?;
    let now = fs::read(&target).map_err(|error| failed("read", error))?;
    if now != expected.as_bytes() {
        return Err(EditError::ChangedMeanwhile { path: path.to_owned() });
    }
    ready.persist(&target).map_err(|error| failed("replace", error.error))?;
    // The rename is done; a folder that cannot be flushed only matters if the machine stops this second.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// A file that must not be there yet.
pub(super) fn create(path: &Path, text: &str) -> Result<(), EditError> {
    let failed = |error| EditError::Io { action: "create", path: path.to_owned(), error };
    let mut file = File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
}

/// Removes a file if its text still is `expected`.
pub(super) fn remove(path: &Path, expected: &str) -> Result<(), EditError> {
    let failed = |action, error| EditError::Io { action, path: path.to_owned(), error };
    if fs::read(path).map_err(|error| failed("read", error))? != expected.as_bytes() {
        return Err(EditError::ChangedMeanwhile { path: path.to_owned() });
    }
    fs::remove_file(path).map_err(|error| failed("remove", error))
}

/// A finished temporary file with the mode and owner of `target`. Its name never ends in `.toml`.
fn written_beside(target: &Path, folder: &Path, text: &str) -> io::Result<tempfile::NamedTempFile> {
    let old = fs::metadata(target)?;
    if old.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is marked read-only"));
    }
    let mut file = tempfile::Builder::new().prefix(".banyan-edit-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    let new = file.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid())).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot keep owner {}:{}: {error}", old.uid(), old.gid()))
        })?;
    }
    file.as_file().set_permissions(old.permissions())?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn mode_stays_and_nothing_is_left_behind() {
        let folder = folder();
        let path = folder.path().join("routes.toml");
        fs::write(&path, "a").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        swap(&path, "a", "b").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "b");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_text_is_never_overwritten() {
        let folder = folder();
        let path = folder.path().join("routes.toml");
        fs::write(&path, "by hand").unwrap();
        let error = swap(&path, "a", "b").unwrap_err();
        assert!(matches!(error, EditError::ChangedMeanwhile { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "by hand");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = folder();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("routes.toml"));
        fs::write(&real, "a").unwrap();
        symlink("real.toml", &link).unwrap();
        swap(&link, "a", "b").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "b");
    }

    #[test]
    fn a_mounted_config_map_is_refused() {
        let folder = folder();
        fs::create_dir(folder.path().join("..2026_05_01")).unwrap();
        fs::write(folder.path().join("..2026_05_01/routes.toml"), "a").unwrap();
        symlink("..2026_05_01", folder.path().join("..data")).unwrap();
        symlink("..data/routes.toml", folder.path().join("routes.toml")).unwrap();
        let error = swap(&folder.path().join("routes.toml"), "a", "b").unwrap_err();
        assert!(matches!(error, EditError::Kubernetes { .. }), "{error:?}");
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let folder = folder();
        let path = folder.path().join("routes.toml");
        fs::write(&path, "a").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
        let error = swap(&path, "a", "b").unwrap_err();
        assert!(error.cannot_write(), "{error:?}");
    }

    #[test]
    fn the_lock_is_one_at_a_time_and_its_wait_is_bounded() {
        let folder = folder();
        let path = folder.path().join("routes.toml");
        fs::write(&path, "a").unwrap();
        let held = Lock::take(&path, Duration::ZERO).unwrap();
        let error = Lock::take(&path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, EditError::Locked { .. }), "{error:?}");
        drop(held);
        Lock::take(&path, Duration::ZERO).unwrap();
    }
}
