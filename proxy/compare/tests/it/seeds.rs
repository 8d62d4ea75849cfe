//! The seeds of the fuzzer, through the check that it makes of its own inputs: both stay alive.

use std::path::Path;

#[path = "../../../fuzz/checks/compare.rs"]
mod compare;

#[test]
fn seeds_keep_what_is_promised() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/compare");
    let seeds = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for seed in seeds {
        // Said only when it fails.
        println!("{}", seed.display());
        compare::check(&std::fs::read(&seed).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} seeds");
}
