//! `boxoffice-load`: arguments in, load out, exit code 1 when anything failed.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use boxoffice_load::{Plan, Report, audit, run};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Load for the Box Office with a ledger of every acknowledged write
///
/// Needs a shop started with `--seed --demo-sessions`. SIGINT and SIGTERM end the load early; the books
/// are checked all the same. Exit code 1 when a request failed or the books are wrong.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The shop, or the proxy in front of it
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// Virtual users; each has its own session
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=500))]
    users: u32,
    /// Connections, each used by one virtual user at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// How long, as `20s` or `1m 30s`; `0s` only checks the database
    #[arg(long, default_value = "20s", value_parser = duration)]
    duration: Duration,
    /// Requests per second over all connections; as fast as answers come when absent
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// The same seed makes the same choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also look into the shop's database file: gapless numbers, no ticket oversold, right sums
    #[arg(long)]
    database: Option<PathBuf>,
    /// A line per second on stderr
    #[arg(long)]
    progress: bool,
    /// The report as JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure(Args::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell when stderr is gone.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(args: Args) -> Result<bool, Box<dyn std::error::Error>> {
    let plan = Plan {
        url: args.url,
        users: args.users,
        connections: args.connections,
        duration: args.duration,
        rate: args.rate,
        seed: args.seed,
        progress: args.progress,
    };
    let mut report = match plan.duration {
        Duration::ZERO => Report::default(),
        _ => run(plan, stop_on_signal()?).await?,
    };
    if let Some(file) = args.database {
        report.add_audit(audit::audit(&file).await?);
    }
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(io::stdout(), "{text}")?;
    Ok(report.is_clean())
}

fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        cancelled.cancel();
    });
    Ok(stop)
}

fn duration(text: &str) -> Result<Duration, String> {
    let hint = || format!("found `{text}`, expected a duration such as `20s`");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| hint())?;
    Duration::try_from(parsed).map_err(|_| hint())
}
