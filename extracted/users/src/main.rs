//! `boxoffice-users`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_kit::service::{Options, run};
use boxoffice_users::{Replica, Settings, routes, service};
use clap::Parser;

/// The accounts and sessions of the Box Office
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    settings: Settings,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { options, settings } = Args::parse();
    run(service(), options, |_| Replica, |parts| routes(parts, settings)).await
}
