//! No text panics, and no text that is refused gives a table.

use std::sync::LazyLock;

use banyan_routes::{FileSet, SourceFile};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::files::cases;
use crate::seeds::configuration::check_files;

fn main_only(text: String) -> FileSet {
    FileSet { main: SourceFile { name: "routes.toml".to_owned(), text }, included: Vec::new() }
}

/// Every case of this folder, read once.
static ALL: LazyLock<Vec<(String, FileSet)>> = LazyLock::new(|| {
    let mut all = cases("good");
    all.extend(cases("bad"));
    all
});

/// One change to a text: a piece of it is replaced by another piece of TOML.
#[derive(Debug, Clone)]
struct Mutation {
    at: Index,
    length: usize,
    with: String,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let pieces = prop_oneof![
        Just(String::new()),
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        Just("=".to_owned()),
        Just("[".to_owned()),
        Just("]]".to_owned()),
        Just("{".to_owned()),
        Just("${".to_owned()),
        Just("-".to_owned()),
        Just("99999999999".to_owned()),
        Just("\u{feff}é日".to_owned()),
        "\\PC{0,8}",
        "[a-z_]{1,12} = [0-9]{1,4}\n",
    ];
    (any::<Index>(), 0..40usize, pieces).prop_map(|(at, length, with)| Mutation { at, length, with })
}

fn mutate(text: &str, mutation: &Mutation) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let start = mutation.at.index(chars.len() + 1);
    let end = (start + mutation.length).min(chars.len());
    chars.splice(start..end, mutation.with.chars());
    chars.into_iter().collect()
}

proptest! {
    #[test]
    fn arbitrary_text(text in "\\PC{0,200}") {
        check_files(&main_only(text));
    }

    #[test]
    fn arbitrary_lines(lines in proptest::collection::vec("[a-z_.\\[\\]\"= ${}0-9,/:*-]{0,30}", 0..20)) {
        check_files(&main_only(lines.join("\n")));
    }
}

proptest! {
    // Whole files take milliseconds each where nothing is optimised.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn mutated_files(case in any::<Index>(), mutations in proptest::collection::vec(mutation(), 1..6)) {
        let (_, mut files) = case.get(&ALL).clone();
        for mutation in &mutations {
            files.main.text = mutate(&files.main.text, mutation);
        }
        check_files(&files);
    }
}
