//! Pages of docs/ that tests make.

/// The page as this test sees it must be the one in docs/; `UPDATE_DOCS=1` writes it anew. `test` is what to run for that.
#[track_caller]
pub(crate) fn check(name: &str, test: &str, expected: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let mut heading = "";
    let differing = expected.lines().zip(found.lines()).find(|(expected, found)| {
        if expected.starts_with('#') {
            heading = expected;
        }
        expected != found
    });
    assert!(
        expected == found,
        "docs/{name} is out of date: run `UPDATE_DOCS=1 cargo test -p banyan-gateway --test it {test}`\n\
         {heading}\n{differing:?}"
    );
}
