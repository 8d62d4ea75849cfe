//! Every flag, and its help. Each flag can also be given as a `BANYAN_*` variable.
//!
//! - `process`: the flags of `run`. `evidence`: those of `mismatches`, `record` and `replay`. `words`: values with a form of their own: times, percents, requests.

// These comments are the help on a terminal, where a variable's name needs no marks.
#![allow(clippy::doc_markdown)]

mod evidence;
mod process;
mod words;

use std::net::IpAddr;
use std::path::PathBuf;

use banyan_routes::Share;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

pub(crate) use evidence::{MismatchesArgs, RecordArgs, ReplayArgs};
pub(crate) use process::{Limits, Process, RunArgs};
pub(crate) use words::{Base, Most, Network, Request, Size, Time};
use words::{parse_header, parse_pause, parse_percent, parse_request};

/// Exit codes and files, at the end of `banyan --help`.
const AFTER_HELP: &str = "\
Exit codes:
  0 ok, 1 failed, 2 usage, 3 configuration invalid, 4 admin unreachable, 5 unhealthy, 6 timed out

Every flag can be a variable (--state-dir is BANYAN_STATE_DIR) or a line of banyan.toml
(state-dir = \"/var/lib/banyan\"). A flag counts before its variable, and that before the file.

Examples:
  banyan run --listen :8080 --legacy http://localhost:3000
  banyan check
  banyan explain 'GET /api/orders/7' -H 'x-user-id: 42'
  banyan shift orders 10 --why 'first clients'
  banyan rollback orders";

/// Moves a monolith's traffic to new services, one route at a time
#[derive(Debug, Parser)]
#[command(name = "banyan", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command. In `banyan.toml` they have the same names.
#[derive(Debug, Default, Args)]
pub(crate) struct Global {
    /// Process settings [default: banyan.toml, if it is there]
    #[arg(
        long,
        global = true,
        env = "BANYAN_CONFIG",
        hide_env = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) shared: Shared,
}

/// Settings that every command reads.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Shared {
    /// Routing configuration [default: routes.toml, if it is there]
    #[arg(long, global = true, env = "BANYAN_ROUTES", hide_env = true, value_name = "FILE")]
    pub(crate) routes: Option<PathBuf>,
    /// Admin address, of `run` to listen on, of other commands to ask; with TLS `https://HOST:9900`
    /// [default: 127.0.0.1:9900]
    #[arg(long, global = true, env = "BANYAN_ADMIN", hide_env = true, value_name = "ADDR")]
    pub(crate) admin: Option<String>,
    /// Authorities (PEM) that the admin address's certificate is verified by [default: those of the system]
    #[arg(long, global = true, env = "BANYAN_ADMIN_CA", hide_env = true, value_name = "FILE")]
    pub(crate) admin_ca: Option<PathBuf>,
    /// File that holds the admin token; without it BANYAN_ADMIN_TOKEN holds it directly
    #[arg(long, global = true, env = "BANYAN_ADMIN_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// What is logged, for example `info` or `warn,banyan_control=debug`
    #[arg(long, global = true, env = "BANYAN_LOG", hide_env = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look, for people or one object per line [default: text]
    #[arg(long, global = true, env = "BANYAN_LOG_FORMAT", hide_env = true, value_enum)]
    pub(crate) log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    // No help text here: it would spread every flag over three lines.
    #[default]
    Text,
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy
    Run(Box<RunArgs>),
    /// Say what is wrong with routes.toml
    Check(CheckArgs),
    /// Say where a request goes, and why
    Explain(ExplainArgs),
    /// Say what changes between two configurations, and which share of clients moves
    Diff(DiffArgs),
    /// Show routes, shares, answers and targets of the running proxy
    Status(StatusArgs),
    /// Change the share of a route, in the file, and wait until it is in force
    Shift(ShiftArgs),
    /// Put the share of a route, or of every route, to 0; pinned clients stay where they are
    Rollback(RollbackArgs),
    /// List what was in force when, and who changed it
    History(HistoryArgs),
    /// Take the last change of the configuration back
    Undo(UndoArgs),
    /// Put the program file as it is now in place of the running proxy, without losing a connection
    Upgrade(UpgradeArgs),
    /// Show how the candidate's answers differ from legacy's
    Mismatches(MismatchesArgs),
    /// Write down requests that are shadowed, as they come
    Record(RecordArgs),
    /// Ask legacy and a candidate the same, and say how their answers differ
    Replay(Box<ReplayArgs>),
    /// Write dashboards for Grafana
    Dashboards {
        #[command(subcommand)]
        command: DashboardsCommand,
    },
    /// Print the JSON schema of routes.toml
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = "Example: banyan completions bash > /etc/bash_completion.d/banyan")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `check`
#[derive(Debug, Args)]
#[command(after_help = "Exit code 3 when the configuration is refused.")]
pub(crate) struct CheckArgs {
    /// File [default: --routes]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Warnings refuse it too
    #[arg(long)]
    pub(crate) deny_warnings: bool,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `explain`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  banyan explain 'GET /api/orders/7' -H 'x-user-id: 42'
  banyan explain /tickets/1 --client 203.0.113.9 --live")]
pub(crate) struct ExplainArgs {
    /// Method and path, or the path alone for GET
    #[arg(value_name = "REQUEST", value_parser = parse_request)]
    pub(crate) request: Request,
    /// Header of the request; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    pub(crate) headers: Vec<(String, String)>,
    /// Host of the request
    #[arg(long, default_value = "", hide_default_value = true, value_name = "HOST")]
    pub(crate) host: String,
    /// Client address [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    pub(crate) client: Option<IpAddr>,
    /// Ask the running proxy instead of the file
    #[arg(long)]
    pub(crate) live: bool,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `diff`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  banyan diff routes.toml                  against what is in force
  banyan diff routes.old.toml routes.toml  between two files")]
pub(crate) struct DiffArgs {
    /// The old file; the only file is the new one, against what is in force
    #[arg(value_name = "OLD")]
    pub(crate) first: PathBuf,
    /// The new file
    #[arg(value_name = "NEW")]
    pub(crate) second: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `status`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 5 when a target is unhealthy, the last reload was refused, or a rollback is held in memory;
with --ready, when the proxy is starting or draining."
)]
pub(crate) struct StatusArgs {
    /// Only say whether traffic may come: for health checks of containers
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    pub(crate) ready: bool,
    /// Show it anew until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Time between two looks
    #[arg(long, default_value = "2s", value_name = "TIME", requires = "watch", value_parser = parse_pause)]
    pub(crate) every: Time,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// What every command that edits the file can be told.
#[derive(Debug, Clone, Args)]
pub(crate) struct EditArgs {
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: Option<String>,
    /// Longest wait for the running proxy to confirm
    #[arg(long, default_value = "10s", value_name = "TIME")]
    pub(crate) timeout: Time,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `shift`
#[derive(Debug, Args)]
#[command(after_help = "A route in a cohort moves with its cohort: all its routes shift together.

Examples:
  banyan shift orders 10 --why 'first clients'
  banyan shift orders 12.5 --offline")]
pub(crate) struct ShiftArgs {
    /// Route or cohort
    pub(crate) route: String,
    /// New share in percent, at most three decimals
    #[arg(value_parser = parse_percent)]
    pub(crate) percent: Share,
    /// Ask nothing, also when a cohort's other routes move along
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Edit the file without asking a running proxy
    #[arg(long)]
    pub(crate) offline: bool,
    /// Also when that ends a rollback held in memory
    #[arg(long)]
    pub(crate) lift_floor: bool,
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// `rollback`
#[derive(Debug, Args)]
#[command(
    after_help = "When the file cannot be written or has no effect, the running proxy holds the share, or every share, at 0
in memory: until the next accepted file, `banyan undo`, or a restart.

Examples:
  banyan rollback orders --why 'errors since 21:40'
  banyan rollback --all"
)]
pub(crate) struct RollbackArgs {
    /// Route or cohort
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) route: Option<String>,
    /// Every route
    #[arg(long)]
    pub(crate) all: bool,
    /// Also where the candidate writes a separate store: what it wrote is not in legacy
    #[arg(long)]
    pub(crate) force: bool,
    /// Edit the file without asking a running proxy
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// `history`
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Most entries shown
    #[arg(long, short = 'n', default_value_t = 20, value_name = "N")]
    pub(crate) limit: usize,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `undo`
#[derive(Debug, Args)]
#[command(
    after_help = "What was edited elsewhere in the files since then stays. Undoing twice restores the change.
A rollback held in memory is ended: what the files say is in force again."
)]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// `upgrade`
#[derive(Debug, Args)]
#[command(
    after_help = "The running proxy starts its program file again with its own arguments and lends it the listening sockets.
When the new process serves, the old one drains and ends; otherwise nothing changes. SIGUSR2 does the same."
)]
pub(crate) struct UpgradeArgs {
    /// Longest wait for the new process
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub(crate) timeout: Time,
    /// For programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `dashboards`
#[derive(Debug, Subcommand)]
pub(crate) enum DashboardsCommand {
    /// Write the dashboards as files for Grafana: banyan-migration.json, banyan-route.json, banyan-proxy.json
    Export(ExportArgs),
}

/// `dashboards export`
#[derive(Debug, Args)]
#[command(after_help = "They ask plain metrics, no recording rules: a scrape of the admin address is enough.

Example: banyan dashboards export --out /var/lib/grafana/dashboards")]
pub(crate) struct ExportArgs {
    /// Folder for the files; without it one JSON object is printed, with the names of the files as keys
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
