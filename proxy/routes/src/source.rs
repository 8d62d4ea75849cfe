//! The texts of a configuration as the caller read them.

use std::collections::BTreeMap;

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
/// the main text, expand them relative to the main file's folder, and read what they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// `routes.toml` itself.
    pub main: SourceFile,
    /// Included files in order of their names.
    pub included: Vec<SourceFile>,
}

/// Values for `${VAR}`: the environment as the caller chose to pass it in.
pub type Variables = BTreeMap<String, String>;
