//! Reads `routes.toml` and the files its `include` names, and hashes them as text.
//!
//! A file that is not there (yet) is told apart from a file with bad content: the first is asked for again,
//! the second is refused.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use banyan_routes::{FileSet, SourceFile, Variables};
use glob::{MatchOptions, Pattern};
use sha2::{Digest, Sha256};

/// Longest file that is read. A table of 10 000 routes is about 2 MiB.
pub(crate) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Wildcards do not cross a `/`. That they do not match a leading dot is seen to by [`is_hidden`]: `glob` 0.3.4
/// panics on a name that is not UTF-8 when asked for that.
const MATCHING: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Why a file set could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// A file that is named without wildcards does not exist.
    Missing {
        /// As the user would type it.
        name: String,
    },
    /// The system does not let us read.
    Unreadable {
        /// File or folder.
        name: String,
        /// What the system said.
        error: io::Error,
    },
    /// A folder, a pipe, a socket or a device.
    NotAFile {
        /// As the user would type it.
        name: String,
    },
    /// The bytes are no text.
    NotUtf8 {
        /// As the user would type it.
        name: String,
        /// Line of the first bad byte, from 1.
        line: usize,
    },
    /// Longer than 16 MiB.
    TooLong {
        /// As the user would type it.
        name: String,
    },
    /// An `include` pattern that cannot be read as one.
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong with it.
        found: String,
    },
}

impl ReadError {
    /// True when the same files will give the same error again: somebody has to edit them.
    pub fn is_content(&self) -> bool {
        matches!(self, Self::NotUtf8 { .. } | Self::TooLong { .. } | Self::Pattern { .. })
    }

    /// Stable word, as in a report.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "file-missing",
            Self::Unreadable { .. } => "file-unreadable",
            Self::NotAFile { .. } => "file-not-regular",
            Self::NotUtf8 { .. } => "file-not-utf8",
            Self::TooLong { .. } => "file-too-long",
            Self::Pattern { .. } => "include-pattern",
        }
    }

    /// The file at fault, where one is.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Missing { name }
            | Self::Unreadable { name, .. }
            | Self::NotAFile { name }
            | Self::NotUtf8 { name, .. }
            | Self::TooLong { name } => Some(name),
            Self::Pattern { .. } => None,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(out, "file not found: {name}"),
            Self::Unreadable { name, error } => write!(out, "cannot read {name}: {error}"),
            Self::NotAFile { name } => write!(out, "not a regular file: {name}"),
            Self::NotUtf8 { name, line } => write!(out, "not UTF-8 in line {line}: {name}"),
            Self::TooLong { name } => {
                write!(out, "longer than {} MiB: {name}", FILE_BYTES_MAX / 1024 / 1024)
            }
            Self::Pattern { pattern, found } => write!(out, "cannot read include `{pattern}`: {found}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the main file and everything its `include` names, now. Patterns may use `variables`.
pub fn read(main: &Path, variables: &Variables) -> Result<FileSet, ReadError> {
    let text = read_text(main)?;
    let main_file = SourceFile { name: shown(main), text };
    let mut paths = Vec::new();
    for pattern in patterns_of(&main_file, variables) {
        paths.extend(expand(folder_of(main), &pattern)?);
    }
    paths.sort();
    paths.dedup();
    paths.retain(|path| path != main);
    let included = paths.iter().map(|path| read_included(path)).filter_map(Result::transpose);
    Ok(FileSet { included: included.collect::<Result<_, _>>()?, main: main_file })
}

/// The environment as it may be used in `${VAR}`: names and values that are text.
pub fn environment() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// SHA-256 of all texts with their names relative to the main file's folder, as 64 hexadecimal characters.
///
/// The same files give the same hash from every working folder: the proxy and a command agree on it.
pub fn text_hash(files: &FileSet) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, "", &files.main.text);
    for file in &files.included {
        feed(&mut hasher, &relative_name(files, file), &file.text);
    }
    hex(&hasher.finalize())
}

/// SHA-256 of something that is no file set, for example the URL of `--legacy`.
pub(crate) fn hash_of(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// SHA-256 of bytes.
pub(crate) fn bytes_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Name of an included file as seen from the main file's folder.
pub fn relative_name(files: &FileSet, file: &SourceFile) -> String {
    let path = Path::new(&file.name);
    shown(path.strip_prefix(folder_of(Path::new(&files.main.name))).unwrap_or(path))
}

/// Folder of the main file; empty for a bare name.
pub(crate) fn folder_of(main: &Path) -> &Path {
    main.parent().unwrap_or(Path::new(""))
}

/// Whether the main file's `include` still names this file.
pub(crate) fn is_included(files: &FileSet, file: &SourceFile, variables: &Variables) -> bool {
    let name = relative_name(files, file);
    patterns_of(&files.main, variables).iter().any(|pattern| {
        Pattern::new(pattern.trim_start_matches("./")).is_ok_and(|pattern| {
            // An absolute pattern names the file as it was read.
            pattern.matches_with(&name, MATCHING) || pattern.matches_with(&file.name, MATCHING)
        })
    })
}

/// The `include` patterns of a main file; none while nobody can say which they are. Parsing says why.
pub(crate) fn patterns_of(main: &SourceFile, variables: &Variables) -> Vec<String> {
    FileSet::include_patterns(main, variables).unwrap_or_default()
}

fn read_included(path: &Path) -> Result<Option<SourceFile>, ReadError> {
    match read_text(path) {
        Ok(text) => Ok(Some(SourceFile { name: shown(path), text })),
        // Gone between the look into the folder and the reading: as if it had not been listed.
        Err(ReadError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, ReadError> {
    let refused = |found: String| ReadError::Pattern { pattern: pattern.to_owned(), found };
    let Some(folder_text) = folder.to_str() else {
        return Err(refused("the folder of the main file is not UTF-8".to_owned()));
    };
    let plain = pattern.trim_start_matches("./");
    let whole = match folder_text {
        "" => plain.to_owned(),
        _ if Path::new(plain).is_absolute() => plain.to_owned(),
        _ => format!("{}/{plain}", Pattern::escape(folder_text)),
    };
    if !pattern.contains(['*', '?', '[']) {
        return named(&folder.join(plain));
    }
    let found = glob::glob_with(&whole, MATCHING).map_err(|error| refused(error.to_string()))?;
    let mut paths = Vec::new();
    for path in found {
        let path = path.map_err(unreadable_folder)?;
        let relative = seen_from(folder, &path);
        // A dangling link counts as listed: reading it says whether it is there.
        if !is_hidden(relative, plain) && !path.is_dir() {
            paths.push(folder.join(relative));
        }
    }
    Ok(paths)
}

/// What `glob` found, as seen from the folder asked about: of `./` it gives back nothing.
fn seen_from<'p>(folder: &Path, found: &'p Path) -> &'p Path {
    let bare = folder.strip_prefix(".").unwrap_or(folder);
    found.strip_prefix(folder).or_else(|_| found.strip_prefix(bare)).unwrap_or(found)
}

/// Editors' and Kubernetes' hidden files and folders are no part of the configuration, unless the pattern itself
/// writes the dot.
fn is_hidden(relative: &Path, pattern: &str) -> bool {
    let writes = |name: &str| {
        pattern
            .split('/')
            .filter(|part| part.starts_with('.'))
            .any(|part| Pattern::new(part).is_ok_and(|part| part.matches(name)))
    };
    relative.components().any(|part| match part {
        Component::Normal(name) => {
            let name = name.to_string_lossy();
            name.starts_with('.') && !writes(&name)
        }
        _ => false,
    })
}

fn named(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    match path.try_exists() {
        Ok(true) => Ok(vec![path.to_owned()]),
        Ok(false) => Err(ReadError::Missing { name: shown(path) }),
        Err(error) => Err(ReadError::Unreadable { name: shown(path), error }),
    }
}

fn unreadable_folder(error: glob::GlobError) -> ReadError {
    ReadError::Unreadable { name: shown(error.path()), error: error.into() }
}

fn read_text(path: &Path) -> Result<String, ReadError> {
    let name = || shown(path);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { name: name() },
        _ => ReadError::Unreadable { name: name(), error },
    };
    // Asked before opening: opening a pipe would wait for its writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(ReadError::NotAFile { name: name() });
    }
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ReadError::TooLong { name: name() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        ReadError::NotUtf8 { name: name(), line }
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Lengths go in first, so that no two sets of files run together to the same bytes.
fn feed(hasher: &mut Sha256, name: &str, text: &str) {
    for part in [name, text] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use std::fs;

    use super::*;

    fn set(folder: &Path) -> FileSet {
        read(&folder.join("routes.toml"), &Variables::new()).unwrap()
    }

    #[test]
    fn includes_are_sorted_and_hidden_files_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("routes.d")).unwrap();
        fs::write(folder.path().join("routes.toml"), "include = [\"./routes.d/*.toml\"]").unwrap();
        for name in ["b.toml", "a.toml", ".#a.toml", "a.toml~"] {
            fs::write(folder.path().join("routes.d").join(name), name).unwrap();
        }
        let files = set(folder.path());
        let names: Vec<_> = files.included.iter().map(|file| relative_name(&files, file)).collect();
        assert_eq!(names, ["routes.d/a.toml", "routes.d/b.toml"]);
        assert!(is_included(&files, &files.included[0], &Variables::new()));
    }

    /// Such a name in the folder once ended the reload thread.
    #[test]
    fn a_name_that_is_no_text_is_passed_over() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), "include = [\"*.inc\", \"*/x.inc\"]").unwrap();
        for name in [&b"\xff.inc"[..], b"a.inc", b".a.inc"] {
            fs::write(folder.path().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
        }
        for name in ["seen", "..data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("x.inc"), "").unwrap();
        }
        let files = set(folder.path());
        let names: Vec<_> = files.included.iter().map(|file| relative_name(&files, file)).collect();
        assert_eq!(names, ["a.inc", "seen/x.inc"]);
    }

    #[test]
    fn a_dot_that_the_pattern_writes_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), "include = [\".parts/*.inc\"]").unwrap();
        fs::create_dir(folder.path().join(".parts")).unwrap();
        fs::write(folder.path().join(".parts/a.inc"), "").unwrap();
        assert_eq!(set(folder.path()).included.len(), 1);
    }

    #[test]
    fn an_absolute_pattern_is_not_sought_under_the_folder() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let main = format!("include = [\"{}/*.inc\"]", elsewhere.path().display());
        fs::write(folder.path().join("routes.toml"), main).unwrap();
        fs::write(elsewhere.path().join("a.inc"), "").unwrap();
        let files = read(&folder.path().join("routes.toml"), &Variables::new()).unwrap();
        assert_eq!(files.included.len(), 1);
        assert!(is_included(&files, &files.included[0], &Variables::new()));
    }

    #[test]
    fn what_glob_found_is_named_like_the_main_file() {
        for (folder, found) in [(".", "a.toml"), (".", "./a.toml"), ("./c", "c/a.toml"), ("c", "c/a.toml")] {
            assert_eq!(
                seen_from(Path::new(folder), Path::new(found)),
                Path::new("a.toml"),
                "{folder} {found}"
            );
        }
    }

    #[test]
    fn the_hash_does_not_depend_on_where_the_folder_is() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&one, &two] {
            fs::write(folder.path().join("routes.toml"), "include = [\"*.inc\"]").unwrap();
            fs::write(folder.path().join("x.inc"), "x").unwrap();
        }
        assert_eq!(text_hash(&set(one.path())), text_hash(&set(two.path())));
        fs::write(two.path().join("x.inc"), "y").unwrap();
        assert_ne!(text_hash(&set(one.path())), text_hash(&set(two.path())));
    }

    #[test]
    fn a_missing_file_is_not_bad_content() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(&folder.path().join("routes.toml"), &Variables::new()).unwrap_err();
        assert!(matches!(missing, ReadError::Missing { .. }) && !missing.is_content());
        fs::write(folder.path().join("routes.toml"), b"a\nb\xff").unwrap();
        let garbage = read(&folder.path().join("routes.toml"), &Variables::new()).unwrap_err();
        assert!(matches!(garbage, ReadError::NotUtf8 { line: 2, .. }) && garbage.is_content());
        let folder_itself = read(folder.path(), &Variables::new()).unwrap_err();
        assert!(matches!(folder_itself, ReadError::NotAFile { .. }));
    }
}
