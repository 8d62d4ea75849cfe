//! The files at the top of the repository are ones this build takes.

use std::process::Command;

use crate::process::run;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_routes_of_the_demo_have_no_problem() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
    command.current_dir(ROOT);
    command.env_remove("MONOLITH_URL").env_remove("ORDERS_URL");
    let said = run(command.args(["check", "routes.toml", "--deny-warnings"]));
    assert!(said.contains("1 route, 2 upstreams, no problems"), "{said}");
}
