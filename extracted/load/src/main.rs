//! `boxoffice-load`: arguments in, load out, exit code 1 when anything failed.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use boxoffice_load::{Plan, audit, compare, run, rush};
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
    #[command(flatten)]
    plan: Plan,
    /// Also look into this database of the shop, a SQLite file or a `postgres://` URL: gapless numbers, nothing
    /// oversold, right sums, one payment per order. May be given several times
    #[arg(long)]
    database: Vec<String>,
    /// The report as JSON
    #[arg(long)]
    json: bool,
    /// Instead of a load: a new ticket of this capacity, ordered by all users at once
    #[arg(long, value_name = "CAPACITY", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rush: Option<u32>,
    /// Instead of a load: ask this address, too, for everything the API has, and say where the answers differ
    #[arg(long, value_name = "URL", conflicts_with = "rush")]
    compare: Option<String>,
    /// A header field in which compared answers may differ, besides `date` and those of the connection
    #[arg(long, value_name = "NAME", requires = "compare", value_delimiter = ',')]
    ignore_header: Vec<String>,
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
    let plan = args.plan;
    if let Some(other) = args.compare {
        let ends = [&*plan.url, &*other];
        let (asked, differences) = compare::compare(ends, &plan.webhook_secret, &args.ignore_header).await?;
        return told(&differences, format_args!("{asked} requests, the same answers"));
    }
    if let Some(capacity) = args.rush {
        let problems = rush::rush(&plan, usize::try_from(capacity)?).await?;
        return told(&problems, format_args!("{capacity} went to {} buyers, and came back", plan.users));
    }
    let soon = plan.soon;
    let mut report = run(plan, stop_on_signal()?).await?;
    for database in &args.database {
        report.add_audit(audit::audit(database, soon).await.map_err(|error| format!("database: {error}"))?);
    }
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    writeln!(io::stdout(), "{text}")?;
    Ok(report.is_clean())
}

fn told(problems: &[String], well: impl Display) -> Result<bool, Box<dyn std::error::Error>> {
    let text = if problems.is_empty() { well.to_string() } else { problems.join("\n") };
    writeln!(io::stdout(), "{text}")?;
    Ok(problems.is_empty())
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
