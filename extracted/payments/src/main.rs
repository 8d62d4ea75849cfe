//! `boxoffice-payments`: arguments in, a listening service out.

use std::process::ExitCode;

use boxoffice_kit::service::{Options, run};
use boxoffice_payments::{Payments, routes, service};
use clap::Parser;

/// The payments of the Box Office as a service of their own
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    options: Options,
    /// What the payment provider signs its calls with
    #[arg(long, env = "WEBHOOK_SECRET", hide_env_values = true, default_value = "demo-secret")]
    webhook_secret: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { options, webhook_secret } = Args::parse();
    run(service(), options, |_| Payments, move |parts| routes(parts, &webhook_secret)).await
}
