//! `boxoffice-monolith`: arguments in, a listening shop out.

use std::{net::SocketAddr, process::ExitCode};

use boxoffice_kit::{
    server::{serve, stop_on_signal},
    service::{Failure, bind, exit_code},
};
use boxoffice_monolith::{Settings, app, open, seed};
use clap::Parser;

/// The Box Office, all of it in one process.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where to listen; port 0 takes a free one. The bound address is printed on stderr
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// A `SQLite` file, made when missing, or `postgres://...`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, default_value = "boxoffice.sqlite")]
    database: String,
    /// Fill an empty database with 200 tickets and 500 users `user-N@example.com`
    #[arg(long, env = "BOXOFFICE_SEED")]
    seed: bool,
    /// Give the seeded users the fixed session tokens `seed-session-N`. For load and tests only:
    /// whoever reaches the port can be anybody
    #[arg(long, requires = "seed", env = "BOXOFFICE_DEMO_SESSIONS")]
    demo_sessions: bool,
    /// Also write so many orders, complete or cancelled
    #[arg(long, requires = "seed", env = "BOXOFFICE_SEED_ORDERS", default_value_t = 0)]
    seed_orders: i64,
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
    let database = open(&args.database).await?;
    if args.seed {
        seed::fill(&database, args.demo_sessions, args.seed_orders)
            .await
            .map_err(|error| format!("cannot write the seed: {error}"))?;
    }
    let listener = bind(args.listen).await?;
    let (app, _) = app(&database, Settings { stop: stop.clone(), ..args.settings }).await?;
    serve(listener, app, stop).await?;
    database.close().await;
    Ok(())
}
