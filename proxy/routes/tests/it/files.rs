//! A case is a file: `bad/NAME.toml` beside its report `bad/NAME.txt`, `good/NAME.toml` beside the table it
//! means `good/NAME.txt`. A folder is a file set: `routes.toml` and what it includes.
//!
//! `SNAPSHOTS=overwrite cargo test -p banyan-routes` writes the expectations anew: read them before you
//! commit them.

use std::fs;
use std::path::{Path, PathBuf};

use banyan_routes::{FileSet, RouteTable, SourceFile};
use snapbox::Data;

use crate::seeds::configuration::variables;

/// The folder of the cases.
pub(crate) fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(kind)
}

/// Every case: its name without ending, and its files.
pub(crate) fn cases(kind: &str) -> Vec<(String, FileSet)> {
    let entries = fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().path());
    let inputs = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "toml"));
    let mut cases: Vec<_> = inputs.map(|path| (stem(&path), file_set(&path))).collect();
    cases.sort_by(|one, other| one.0.cmp(&other.0));
    cases
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn file_set(path: &Path) -> FileSet {
    if !path.is_dir() {
        return FileSet { main: source("routes.toml", path), included: Vec::new() };
    }
    let folder = path.join("routes.d");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let included =
        names.iter().map(|name| source(&format!("routes.d/{}", name.display()), &folder.join(name)));
    FileSet { main: source("routes.toml", &path.join("routes.toml")), included: included.collect() }
}

fn source(name: &str, path: &Path) -> SourceFile {
    SourceFile { name: name.to_owned(), text: fs::read_to_string(path).unwrap() }
}

fn check(kind: &str, name: &str, actual: &str) {
    let expected = Data::read_from(&folder(kind).join(format!("{name}.txt")), None);
    snapbox::assert_data_eq!(actual, expected.raw());
}

#[test]
fn bad_files_are_refused_with_a_report() {
    for (name, files) in cases("bad") {
        let (table, report) = RouteTable::parse(&files, &variables());
        assert!(table.is_none() && report.has_errors(), "{name} is accepted:\n{report}");
        check("bad", &name, &report.to_string());
    }
}

#[test]
fn good_files_mean_a_table() {
    for (name, files) in cases("good") {
        let (table, report) = RouteTable::parse(&files, &variables());
        let table = table.unwrap_or_else(|| panic!("{name} is refused:\n{report}"));
        let gap = if report.problems.is_empty() { "" } else { "\n" };
        check("good", &name, &format!("{table}{gap}{report}"));
    }
}
