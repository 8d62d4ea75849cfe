//! The `banyan` command: arguments in, exit code out.
//!
//! - `args`: every flag and its help. `settings`: `banyan.toml`, and which of flag, variable and file counts.
//! - `commands`: one file per command. `editing`: what `shift`, `rollback` and `undo` share.
//! - `dashboards`: what Grafana shows, made from the list of metrics.
//! - `admin`: the client of the admin API. `failure`: errors and exit codes. `screen`: what people and programs see.
//! - `names`: "did you mean". `log`: log lines to stderr.

mod admin;
mod args;
mod commands;
mod dashboards;
mod editing;
mod failure;
mod log;
mod names;
mod screen;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::failure::{Exit, Failure};
use crate::settings::Settings;

/// The allocator of the whole process: fewer cycles per request than the system's, measured in scripts/bench.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match perform(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell(),
    }
}

fn perform(cli: Cli) -> Result<Exit, Failure> {
    let settings = Settings::load(cli.global)?;
    log::start(&settings, &cli.command)?;
    commands::perform(cli.command, &settings)
}
