//! Log lines on standard error.

use tracing_subscriber::EnvFilter;

use crate::args::{Command, LogFormat};
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Starts logging: `run` tells what it does, other commands speak only of trouble.
pub(crate) fn start(settings: &Settings, command: &Command) -> Result<(), Failure> {
    let usual = if matches!(command, Command::Run(_)) { "info" } else { "warn" };
    let wanted = settings.log().unwrap_or(usual);
    let filter = EnvFilter::try_new(wanted).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read log filter `{wanted}`: {error}"))
            .hint("BANYAN_LOG=info, or per part: BANYAN_LOG=info,banyan_control=debug")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // It would be told on standard error, with a panic when nobody reads that: `banyan run 2>&1 | head -1`.
    let lines = lines.log_internal_errors(false);
    match settings.log_format() {
        LogFormat::Text => lines.with_ansi(screen::stderr_has_colour()).with_target(false).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).init(),
    }
    Ok(())
}
