//! Transcripts of the command, also read as its documentation.
//!
//! `cmd/` runs without a proxy. Each transcript of `live/` runs against a proxy of its own, started here as
//! `banyan run` starts it, on free ports and with the file beside the transcript.
//!
//! `TRYCMD=overwrite cargo test -p banyan --test cli` writes the transcripts anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod admin_tls;
mod deployed;
mod evidence;
mod process;
mod readme;
mod replay;
mod running;
mod scripted;
mod trouble;

use std::process::Command;

use running::Running;

/// Nobody can listen there: who asks for port 0 is given another. Any other port may be somebody's for a while.
const NOBODY: &str = "127.0.0.1:0";

fn transcripts(admin: &str) -> trycmd::TestCases {
    let cases = trycmd::TestCases::new();
    cases
        .env("BANYAN_ADMIN", admin)
        .env("USER", "ann")
        .env("SUDO_USER", "")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1");
    cases
}

#[test]
fn without_a_proxy() {
    transcripts(NOBODY).case("tests/cli/cmd/*.md");
}

/// The command as a program that is run once.
pub(crate) fn banyan() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
    for variable in ["BANYAN_ADMIN", "BANYAN_ADMIN_TOKEN", "BANYAN_ROUTES", "SUDO_USER"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1").env("USER", "ann");
    command
}

/// Runs one transcript against a proxy that reads `live/routes.toml`.
fn live(name: &str, running: &Running) {
    transcripts(&running.admin()).case(format!("tests/cli/live/{name}.md"));
}

#[test]
fn a_migration() {
    let running = Running::start();
    live("migration", &running);
}

#[test]
fn status_counts_what_was_answered() {
    let running = Running::start();
    for user in 0..40 {
        running.get("/api/orders/7", user);
    }
    live("status", &running);
}

#[test]
fn a_refused_file_is_seen() {
    let running = Running::start();
    let good = std::fs::read_to_string(running.routes()).unwrap();
    std::fs::write(running.routes(), good.replace("percent = 10 ", "percent = 1000 ")).unwrap();
    running.wait_until_refused();
    live("refused", &running);
}

#[test]
fn a_file_that_cannot_be_written() {
    let running = Running::start();
    running.set_readonly(true);
    live("read-only", &running);
    running.set_readonly(false);
    live("floor", &running);
}

#[test]
fn a_rollback_in_memory_names_pins() {
    let pin = "pin     = [{ header = \"x-beta\", equals = \"yes\", to = \"candidate\" }]\n";
    let running = Running::with(&(include_str!("live/routes.toml").to_owned() + pin));
    running.set_readonly(true);
    live("pins", &running);
}
