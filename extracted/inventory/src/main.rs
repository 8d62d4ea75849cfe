//! `boxoffice-inventory`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_inventory::{Inventory, routes, service};
use boxoffice_kit::service::{Options, run};
use clap::Parser;

/// How many tickets are left, as a service of its own
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(service(), Args::parse().options, |_| Inventory, routes).await
}
