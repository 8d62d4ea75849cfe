//! Files replaced by others, all or none, without losing what somebody else wrote meanwhile.
//!
//! - The lock is on the *folder* of the main file: a lock on the file would be lost with the rename, and a lock
//!   file would be litter that a glob may pick up.
//! - The new text is written beside the file, flushed, given the old mode and owner, and renamed over it.
//! - A symbolic link stays one: what it points at is replaced.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

use super::EditError;

/// Time between two tries for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The right to edit one file set; given back when dropped, also by a crash.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    folder: File,
}

impl Lock {
    /// Waits at most `wait` for whoever holds it.
    pub(super) fn take(main: &Path, wait: Duration) -> Result<Self, EditError> {
        let main = target_of(main)?;
        let path = main.parent().unwrap_or(Path::new("/")).to_owned();
        let folder =
            File::open(&path).map_err(|error| EditError::Io { action: "lock", path: path.clone(), error })?;
        let lock = Self { path, folder };
        lock.take_again(wait)?;
        Ok(lock)
    }

    /// Gives it back for a while.
    pub(super) fn release(&self) -> Result<(), EditError> {
        self.folder.unlock().map_err(|error| self.failed(error))
    }

    /// As [`Lock::take`]; nothing to do where it was not released.
    pub(super) fn take_again(&self, wait: Duration) -> Result<(), EditError> {
        let deadline = Instant::now() + wait;
        loop {
            match self.folder.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) => return Err(self.failed(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(EditError::Locked { folder: self.path.clone(), waited: wait });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
            }
        }
    }

    fn failed(&self, error: io::Error) -> EditError {
        EditError::Io { action: "lock", path: self.path.clone(), error }
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

/// One file before and after; without a text it is not there.
#[derive(Debug, Clone)]
pub(super) struct Step<'t> {
    pub(super) path: PathBuf,
    pub(super) before: Option<&'t str>,
    pub(super) after: Option<&'t str>,
}

/// Takes all the steps, or none: everything that can fail for lack of space or rights comes first, then every
/// file is compared with what it should be, and only then the files change, one right after the other.
///
/// New files get mode and owner of `like`.
pub(super) fn take_steps(steps: &[Step<'_>], like: &Path) -> Result<(), EditError> {
    let ready = steps.iter().map(|step| Ready::prepare(step, like)).collect::<Result<Vec<_>, _>>()?;
    ready.iter().try_for_each(Ready::is_as_before)?;
    let folders: BTreeSet<PathBuf> = ready.iter().map(|ready| folder_of(&ready.target).to_owned()).collect();
    let result = take_effect(ready, like);
    for folder in folders {
        // The renames are done; a folder that cannot be flushed only matters if the machine stops this second.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    result
}

/// Everything that can fail for lack of space or rights, and the comparison; nothing stays of it.
pub(super) fn rehearse(steps: &[Step<'_>], like: &Path) -> Result<(), EditError> {
    let ready = steps.iter().map(|step| Ready::prepare(step, like)).collect::<Result<Vec<_>, _>>()?;
    ready.iter().try_for_each(Ready::is_as_before)
}

fn take_effect(ready: Vec<Ready<'_, '_>>, like: &Path) -> Result<(), EditError> {
    let mut done: Vec<Step<'_>> = Vec::new();
    for one in ready {
        let step = one.step;
        if let Err(error) = one.take_effect() {
            // What cannot be put back was edited by somebody else meanwhile: theirs stays.
            for step in done.iter().rev() {
                let _ = take_steps(std::slice::from_ref(step), like);
            }
            return Err(error);
        }
        done.push(Step { path: step.path.clone(), before: step.after, after: step.before });
    }
    Ok(())
}

/// A step whose new text is on the disk already.
struct Ready<'s, 't> {
    step: &'s Step<'t>,
    target: PathBuf,
    file: Option<NamedTempFile>,
}

impl<'s, 't> Ready<'s, 't> {
    fn prepare(step: &'s Step<'t>, like: &Path) -> Result<Self, EditError> {
        let target = match step.before {
            // What a link points at is replaced; the link itself is removed.
            Some(_) if step.after.is_some() => target_of(&step.path)?,
            Some(_) => target_of(&step.path).map(|_| step.path.clone())?,
            None => new_target(&step.path)?,
        };
        let model = if step.before.is_some() { &target } else { like };
        let write = |text| written_beside(model, folder_of(&target), text);
        let file = step.after.map(write).transpose().map_err(|error| step.failed("write beside", error))?;
        Ok(Self { step, target, file })
    }

    fn is_as_before(&self) -> Result<(), EditError> {
        let now = match fs::read(&self.target) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.step.failed("read", error)),
        };
        if now.as_deref() == self.step.before.map(str::as_bytes) {
            return Ok(());
        }
        Err(EditError::ChangedMeanwhile { path: self.step.path.clone() })
    }

    fn take_effect(self) -> Result<(), EditError> {
        let Self { step, target, file } = self;
        match file {
            Some(file) if step.before.is_some() => {
                file.persist(&target).map(drop).map_err(|error| step.failed("replace", error.error))
            }
            Some(file) => {
                file.persist_noclobber(&target).map(drop).map_err(|error| step.failed("create", error.error))
            }
            None => fs::remove_file(&target).map_err(|error| step.failed("remove", error)),
        }
    }
}

impl Step<'_> {
    fn failed(&self, action: &'static str, error: io::Error) -> EditError {
        EditError::Io { action, path: self.path.clone(), error }
    }
}

/// A file that is not there yet, in a folder that Kubernetes does not keep.
fn new_target(path: &Path) -> Result<PathBuf, EditError> {
    let folder = match folder_of(path) {
        bare if bare.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    target_of(folder).map(|folder| folder.join(path.file_name().unwrap_or_default()))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A finished temporary file with the mode and owner of `model`. Its name never ends in `.toml`.
fn written_beside(model: &Path, folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let old = fs::metadata(model)?;
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

    fn swap(path: &Path, before: &str, after: &str) -> Result<(), EditError> {
        take_steps(&[Step { path: path.to_owned(), before: Some(before), after: Some(after) }], path)
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
