//! `banyan completions`

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::failure::{Exit, Failure};
use crate::screen;

/// Prints the script.
pub(super) fn perform(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "banyan", &mut script);
    screen::print_text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
