//! `boxoffice-monolith`: arguments in, a listening shop out.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use boxoffice_monolith::{Database, Settings, app, seed, serve, stop_on_signal};
use clap::Parser;
use tokio::net::TcpListener;

/// The Box Office, all of it in one process.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one. The bound address is printed on stderr
    #[arg(long, env = "BOXOFFICE_LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The database file; made when missing
    #[arg(long, env = "BOXOFFICE_DATABASE", default_value = "boxoffice.sqlite")]
    database: PathBuf,
    /// Fill an empty database with 200 tickets and 500 users `user-N@example.com`
    #[arg(long, env = "BOXOFFICE_SEED")]
    seed: bool,
    /// Give the seeded users the fixed session tokens `seed-session-N`. For load and tests only:
    /// whoever reaches the port can be anybody
    #[arg(long, requires = "seed", env = "BOXOFFICE_DEMO_SESSIONS")]
    demo_sessions: bool,
    /// The own address written into redirects, as `http://shop.example`; the request's Host when absent
    #[arg(long, env = "BOXOFFICE_PUBLIC_URL")]
    public_url: Option<String>,
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
    let database = Database::open(&args.database).await?;
    if args.seed {
        seed::fill(&database, args.demo_sessions).await?;
    }
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let settings = Settings { public_url: args.public_url, stop: stop.clone() };
    serve(listener, app(&database, settings), stop).await?;
    database.close().await;
    Ok(())
}
