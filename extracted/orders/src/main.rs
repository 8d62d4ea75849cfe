//! `boxoffice-orders`: arguments in, a listening service out.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use boxoffice_orders::{Database, Sessions, app, serve, stop_on_signal};
use clap::Parser;
use tokio::net::TcpListener;

/// The orders of the Box Office as a service of their own
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one. The bound address is printed on stderr
    #[arg(long, env = "ORDERS_LISTEN", default_value = "127.0.0.1:4001")]
    listen: SocketAddr,
    /// The monolith's database file. The monolith makes it: start that first
    #[arg(long, env = "ORDERS_DATABASE", default_value = "boxoffice.sqlite")]
    database: PathBuf,
    /// The monolith, asked whose session a cookie is
    #[arg(long, env = "ORDERS_MONOLITH", default_value = "http://127.0.0.1:3000")]
    monolith: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let stop = stop_on_signal()?;
    let sessions = Sessions::ask(&args.monolith)?;
    let database = Database::open(&args.database).await?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    serve(listener, app(&database, sessions, stop.clone())?, stop).await?;
    database.close().await;
    Ok(())
}
