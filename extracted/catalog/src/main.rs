//! `boxoffice-catalog`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_catalog::{Catalog, routes, service};
use boxoffice_kit::service::{Options, run};
use clap::Parser;

/// The catalog of the Box Office as a service of its own
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(service(), Args::parse().options, |_| Catalog, routes).await
}
