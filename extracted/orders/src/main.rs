//! `boxoffice-orders`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_kit::{
    server::{serve, stop_on_signal},
    service::{Failure, Options, bind, exit_code},
};
use boxoffice_orders::{Settings, open};
use clap::Parser;

/// The orders of the Box Office as a service of their own
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
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    exit_code(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<(), Failure> {
    let stop = stop_on_signal()?;
    let listener = bind(args.options.listen).await?;
    let (app, kit) = open(args.options, args.settings, stop.clone()).await?;
    serve(listener, app, stop).await?;
    kit.database.close().await;
    Ok(())
}
