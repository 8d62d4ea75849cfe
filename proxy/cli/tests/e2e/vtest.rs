//! Cases for `varnishtest`, the tool by which Varnish and HAProxy are tested: a client and an upstream that know nothing
//! of ours. Each file of `tests/vtest` is one case, with a proxy of its own.

use std::net::SocketAddr;
use std::path::Path;

use crate::banyan::Banyan;
use crate::process::{free_address, program, run};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vtest");

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds() {
    let mut cases: Vec<_> = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 8, "{cases:?}");
    for case in cases {
        let upstream = free_address();
        let banyan = Banyan::before(upstream).await;
        holds(&case, banyan.address, upstream, banyan.folder());
    }
}

/// Its log is told when it fails.
fn holds(case: &Path, banyan: SocketAddr, upstream: SocketAddr, folder: &Path) {
    let mut command = program("varnishtest");
    command.args(["-D", &format!("banyan={banyan}"), "-D", &format!("upstream={upstream}"), "-t", "60"]);
    run(command.arg(case).env("TMPDIR", folder));
}
