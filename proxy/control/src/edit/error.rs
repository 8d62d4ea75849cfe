//! Why nothing was edited, and how to go on.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use banyan_routes::Report;

use super::Place;
use crate::files::ReadError;

/// Why nothing was edited.
#[derive(Debug)]
pub enum EditError {
    /// The file set cannot be read.
    Read(ReadError),
    /// The file set is refused as it stands; every problem is in the report.
    Invalid(Report),
    /// The edit would make a file set that is refused.
    WouldBeInvalid(Report),
    /// A file is no TOML.
    Syntax {
        /// Its name.
        file: String,
        /// What the parser said.
        message: String,
    },
    /// The value comes from `${VAR}`.
    Variable {
        /// What was to be edited.
        place: Place,
        /// In which file.
        file: String,
        /// On which line.
        line: usize,
        /// What stands there.
        literal: String,
    },
    /// The value stands in none of the files.
    NotWritten {
        /// What was to be edited.
        place: Place,
    },
    /// The table or the files are not those that were read at first.
    ChangedMeanwhile {
        /// Which file.
        path: PathBuf,
    },
    /// A new file that the main file does not include, or that leads out of its folder.
    Outside {
        /// Its name.
        file: String,
    },
    /// Another edit holds the lock.
    Locked {
        /// The locked folder.
        folder: PathBuf,
        /// How long we waited.
        waited: Duration,
    },
    /// A mounted `ConfigMap` or secret: Kubernetes would undo the edit.
    Kubernetes {
        /// As named.
        path: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// The system does not let us.
    Io {
        /// What was tried: `read`, `lock`, `write beside`, `replace`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl EditError {
    /// True when the file cannot be edited here at all, however often one tries: somebody else keeps it, the
    /// system forbids it, or its content leaves no way. A rollback in memory is what remains.
    pub fn cannot_write(&self) -> bool {
        !matches!(self, Self::ChangedMeanwhile { .. } | Self::Locked { .. })
    }

    /// How to go on.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Variable { .. } => {
                "change the variable where the proxy is started, or write the number into the file".to_owned()
            }
            Self::ChangedMeanwhile { .. } => "run the command again".to_owned(),
            Self::Locked { .. } => "wait for the other `banyan` command, or end it".to_owned(),
            Self::Kubernetes { .. } => {
                "edit the ConfigMap: `kubectl edit configmap NAME`; the proxy follows".to_owned()
            }
            Self::Io { path, error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                format!("run the command as the owner of {}", path.display())
            }
            Self::Io { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                "name another file with `--routes FILE`".to_owned()
            }
            Self::Read(_) => "name another file with `--routes FILE`".to_owned(),
            Self::Invalid(_) | Self::WouldBeInvalid(_) | Self::Syntax { .. } => "banyan check".to_owned(),
            Self::NotWritten { .. } | Self::Outside { .. } | Self::Io { .. } => return None,
        })
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(out, "{error}"),
            Self::Invalid(report) => {
                write!(out, "the configuration is not valid as it stands\n{}", report.to_string().trim_end())
            }
            Self::WouldBeInvalid(report) => {
                write!(
                    out,
                    "the edit would be refused, nothing was written\n{}",
                    report.to_string().trim_end()
                )
            }
            Self::Syntax { file, message } => write!(out, "{file} is not TOML: {message}"),
            Self::Variable { place, file, line, literal } => {
                write!(out, "{place} is `{literal}` at {file}:{line}: its value comes from a variable")
            }
            Self::NotWritten { place } => write!(out, "{place} stands in none of the files"),
            Self::ChangedMeanwhile { path } => {
                write!(out, "somebody else changed {} meanwhile, nothing was written", path.display())
            }
            Self::Outside { file } => {
                write!(out, "{file} is not among the files that the main file includes")
            }
            Self::Locked { folder, waited } => {
                write!(out, "another edit holds the lock on {} for {waited:?}", folder.display())
            }
            Self::Kubernetes { path, target } => {
                write!(out, "{} is a mounted ConfigMap ({})", path.display(), target.display())
            }
            Self::Io { action, path, error } => write!(out, "cannot {action} {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for EditError {}
