//! One file per command. `shares`: what an edit does to shares, told alike by `shift`, `rollback` and `undo`.

mod check;
mod completions;
mod dashboards;
mod diff;
mod explain;
mod history;
mod mismatches;
mod record;
mod replay;
mod rollback;
mod run;
mod schema;
mod shares;
mod shift;
mod status;
mod undo;
mod upgrade;

use crate::args::Command;
use crate::failure::{Exit, Failure};
use crate::settings::Settings;

/// Version of what `--json` prints.
pub(crate) const JSON_VERSION: u32 = 1;

/// Performs one command.
pub(crate) fn perform(command: Command, settings: &Settings) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::perform(*args, settings),
        Command::Check(args) => check::perform(&args, settings),
        Command::Explain(args) => explain::perform(args, settings),
        Command::Diff(args) => diff::perform(&args, settings),
        Command::Status(args) => status::perform(&args, settings),
        Command::Shift(args) => shift::perform(&args, settings),
        Command::Rollback(args) => rollback::perform(&args, settings),
        Command::History(args) => history::perform(&args, settings),
        Command::Undo(args) => undo::perform(&args, settings),
        Command::Upgrade(args) => upgrade::perform(&args, settings),
        Command::Mismatches(args) => mismatches::perform(&args, settings),
        Command::Record(args) => record::perform(&args, settings),
        Command::Replay(args) => replay::perform(&args, settings),
        Command::Dashboards { command } => dashboards::perform(&command),
        Command::Schema => schema::perform(),
        Command::Completions { shell } => completions::perform(shell),
    }
}
