//! `boxoffice-load`: arguments in, load out, exit code 1 when anything failed.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use boxoffice_kit::server::stop_on_signal;
use boxoffice_load::{Plan, compare, run, rush};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let (told, well) = match measure(Plan::parse()).await {
        Ok((text, well)) => (writeln!(io::stdout(), "{text}"), well),
        Err(error) => (writeln!(io::stderr(), "error: {error}"), false),
    };
    if well && told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What there is to tell, and whether all is well.
async fn measure(plan: Plan) -> Result<(String, bool), Box<dyn std::error::Error>> {
    let (problems, well) = if let Some(other) = &plan.compare {
        let (asked, differences) = compare(&plan, other).await?;
        (differences, format!("{asked} requests, the same answers"))
    } else if let Some(capacity) = plan.rush {
        (rush(&plan, capacity as usize).await?, format!("all of {capacity} were sold, and came back"))
    } else {
        let report = run(plan, stop_on_signal()?).await?;
        return Ok((report.to_string(), report.is_clean()));
    };
    Ok((if problems.is_empty() { well } else { problems.join("\n") }, problems.is_empty()))
}
