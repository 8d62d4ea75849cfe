//! `boxoffice-notifications`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_kit::service::{Options, run};
use boxoffice_notifications::{Listener, Settings, routes, service};
use clap::Parser;

/// Tells users of the Box Office what became of their orders and payments
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
    run(service(), options, |_| Listener, |parts| routes(parts, settings)).await
}
