//! `boxoffice-expiration`: arguments in, a running clock out.

use std::process::ExitCode;

use boxoffice_expiration::{Timers, routes, service};
use boxoffice_kit::service::{Options, run};
use clap::Parser;

/// Tells when orders of the Box Office have run out of time to be paid
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(service(), Args::parse().options, |_| Timers, routes).await
}
