//! The seeds of the fuzzer, through the checks that it makes of its own inputs: both stay alive.

use std::path::Path;

#[path = "../../../fuzz/checks/configuration.rs"]
pub(crate) mod configuration;
#[path = "../../../fuzz/checks/paths.rs"]
mod paths;

/// Runs a check on each seed of its target.
fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let seeds = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for seed in seeds {
        // Said only when it fails.
        eprintln!("{}", seed.display());
        check(&std::fs::read(&seed).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} seeds of {target}");
}

#[test]
fn configurations() {
    replay("configuration", configuration::check);
}

#[test]
fn targets() {
    replay("paths", paths::check);
}
