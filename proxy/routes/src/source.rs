//! The texts of a configuration as the caller read them, and where a place in them is.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::problem::Report;
use crate::table::Origin;
use crate::written;

/// One file of the configuration: the name shown to people, and its bytes decoded as UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As the user would type it, for example `routes.toml` or `routes.d/orders.toml`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// The main file and everything its `include` patterns named, sorted by name.
///
/// The caller reads the files, because this crate touches no disk: ask [`FileSet::include_patterns`] of
/// the main file, expand them relative to the main file's folder, and read what they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// `routes.toml` itself.
    pub main: SourceFile,
    /// Included files in order of their names.
    pub included: Vec<SourceFile>,
}

impl FileSet {
    /// The `include` patterns of a main file, in the order written; none when it has no `include`.
    ///
    /// An error means that nobody can say which files belong to the set: the text is no TOML, or
    /// `include` itself is wrong. Everything else is left to [`crate::RouteTable::parse`].
    pub fn include_patterns(main: &SourceFile, variables: &Variables) -> Result<Vec<String>, Report> {
        written::include_patterns(main, variables)
    }
}

/// Values for `${VAR}`: the environment as the caller chose to pass it in.
pub type Variables = BTreeMap<String, String>;

/// Some bytes of one file of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    /// Position in [`Sources`]: 0 is the main file.
    pub(crate) file: usize,
    /// First byte.
    pub(crate) start: usize,
    /// Byte after the last.
    pub(crate) end: usize,
}

/// The files of a set, with their lines.
#[derive(Debug)]
pub(crate) struct Sources<'f> {
    files: Vec<Lines<'f>>,
}

#[derive(Debug)]
struct Lines<'f> {
    name: Arc<str>,
    text: &'f str,
    starts: Vec<usize>,
}

impl<'f> Sources<'f> {
    pub(crate) fn new(files: impl IntoIterator<Item = &'f SourceFile>) -> Self {
        Self { files: files.into_iter().map(Lines::new).collect() }
    }

    /// Name of the file of a spot.
    pub(crate) fn name(&self, spot: Spot) -> &Arc<str> {
        &self.files[spot.file].name
    }

    /// Line of a spot, from 1.
    pub(crate) fn line(&self, spot: Spot) -> usize {
        self.files[spot.file].line(spot.start)
    }

    /// Column of a spot in characters, from 1.
    pub(crate) fn column(&self, spot: Spot) -> usize {
        let file = &self.files[spot.file];
        let line_start = file.starts[file.line(spot.start) - 1];
        file.text.get(line_start..spot.start).map_or(1, |before| before.chars().count() + 1)
    }

    /// File and line of a spot.
    pub(crate) fn origin(&self, spot: Spot) -> Origin {
        Origin { file: Arc::clone(self.name(spot)), line: self.line(spot) }
    }

    /// The line a spot begins in, without its end, and the spot's bytes within it (cut at the end of the line).
    pub(crate) fn excerpt(&self, spot: Spot) -> (&'f str, std::ops::Range<usize>) {
        let file = &self.files[spot.file];
        let line = file.line(spot.start);
        let start = file.starts[line - 1];
        let end = file.starts.get(line).copied().unwrap_or(file.text.len());
        let text = file.text[start..end].trim_end_matches(['\n', '\r']);
        let from = (spot.start - start).min(text.len());
        (text, from..(spot.end - start).clamp(from, text.len()))
    }
}

impl<'f> Lines<'f> {
    fn new(file: &'f SourceFile) -> Self {
        let ends = file.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { name: file.name.as_str().into(), text: &file.text, starts }
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }
}
