//! The seeds of the fuzzer, through the checks that it makes of its own inputs: both stay alive.

use std::path::Path;

#[path = "../../../fuzz/checks/requests.rs"]
pub(crate) mod requests;

#[test]
fn connections() {
    run("requests", requests::check);
}

#[test]
fn header_fields() {
    run("header_fields", requests::header_fields::check);
}

#[test]
fn proxy_headers() {
    run("proxy_headers", requests::proxy_headers::check);
}

fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut count = 0;
    for seed in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        // Said only when it fails.
        eprintln!("{}", seed.display());
        check(&std::fs::read(&seed).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} seeds");
}
