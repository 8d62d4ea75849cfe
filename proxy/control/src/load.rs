//! From files, or from the URL of `--legacy`, to a table.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use banyan_gateway::{UnusableUpstream, unusable_upstreams};
use banyan_routes::{FileSet, Problem, Report, RouteTable, Severity, Variables};

use crate::files::{self, ReadError};

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `--routes FILE`
    File(PathBuf),
    /// `--legacy URL`: no routes, everything to one upstream.
    Legacy(String),
}

/// A configuration that may be used.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub table: RouteTable,
    /// The files; none with `--legacy`.
    pub files: Option<FileSet>,
    /// Hash of the text.
    pub text_hash: String,
    /// Warnings.
    pub report: Report,
}

/// Why there is no configuration to use.
#[derive(Debug)]
pub enum LoadError {
    /// A file cannot be read.
    Read(ReadError),
    /// The content is refused.
    Refused(Report),
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(out, "{error}"),
            Self::Refused(report) => write!(out, "{report}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads the configuration once, as it is now.
pub fn load(source: &Source, variables: &Variables) -> Result<Loaded, LoadError> {
    let (files, text_hash, (table, report)) = match source {
        Source::File(path) => {
            let files = files::read(path, variables).map_err(LoadError::Read)?;
            let (hash, parsed) = (files::text_hash(&files), parse(&files, variables));
            (Some(files), hash, parsed)
        }
        Source::Legacy(url) => (None, files::hash_of(url), RouteTable::legacy_only(url)),
    };
    match table {
        Some(table) => Ok(Loaded { table, files, text_hash, report }),
        None => Err(LoadError::Refused(report)),
    }
}

/// Loads what is about to serve requests: the files that its upstreams name must be of use, too. Commands that only look
/// at a table need not be able to read keys.
pub fn load_to_serve(source: &Source, variables: &Variables) -> Result<Loaded, LoadError> {
    let mut loaded = load(source, variables)?;
    add_unusable(&loaded.table, &mut loaded.report);
    if loaded.report.has_errors() { Err(LoadError::Refused(loaded.report)) } else { Ok(loaded) }
}

/// An error for each upstream whose TLS files cannot be used.
pub(crate) fn add_unusable(table: &RouteTable, report: &mut Report) {
    report.problems.extend(unusable_upstreams(table).iter().map(unusable));
}

fn unusable(upstream: &UnusableUpstream) -> Problem {
    let (code, message) = ("unusable-tls", upstream.to_string());
    let (file, line) = (upstream.origin.file.to_string(), upstream.origin.line);
    let hint = "a file that is mended leaves no trace here: save routes.toml again, or send SIGHUP";
    let rendered = format!("error[{code}]: {message}\n --> {file}:{line}\nhint: {hint}");
    let (severity, hint) = (Severity::Error, Some(hint.to_owned()));
    Problem { code, severity, message, file, line, column: 1, hint, rendered }
}

/// Parses; a panic in the parser is a refusal of this text, not the end of reloading.
pub(crate) fn parse(files: &FileSet, variables: &Variables) -> (Option<RouteTable>, Report) {
    // The parser owns nothing that outlives the call, so there is no state it could leave broken.
    catch_unwind(AssertUnwindSafe(|| RouteTable::parse(files, variables))).unwrap_or_else(|_| {
        let message = "the parser failed on this text; this is a bug of banyan".to_owned();
        (None, whole_file("parser-failed", &files.main.name, message, None))
    })
}

/// A report of one error about a file as a whole.
pub(crate) fn whole_file(code: &'static str, file: &str, message: String, hint: Option<&str>) -> Report {
    let hinted = hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let rendered = format!("error[{code}]: {message}\n --> {file}{hinted}\n");
    let (file, hint) = (file.to_owned(), hint.map(str::to_owned));
    let severity = Severity::Error;
    Report { problems: vec![Problem { code, severity, message, file, line: 1, column: 1, hint, rendered }] }
}
