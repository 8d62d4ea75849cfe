//! `banyan upgrade`

use std::time::{Duration, Instant};

use banyan_control::api::Config;
use serde::Serialize;

use super::JSON_VERSION;
use crate::admin::{Admin, AdminError};
use crate::args::UpgradeArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Serialize)]
struct Upgraded {
    version: u32,
    /// Process that drains now.
    before: u32,
    /// Process that serves.
    after: u32,
    generation: u64,
}

/// Asks the running proxy to hand over to a new process, and waits until that one answers.
pub(super) fn perform(args: &UpgradeArgs, settings: &Settings) -> Result<Exit, Failure> {
    let admin = settings.admin()?;
    let before = admin.upgrade()?.process;
    let limit = Instant::now() + args.timeout.0;
    let config = wait(&admin, before, limit)?;
    let told =
        Upgraded { version: JSON_VERSION, before, after: config.process, generation: config.generation };
    if args.json {
        screen::print_json(&told)?;
    } else {
        let Upgraded { before, after, generation, .. } = told;
        screen::print_text(&format!(
            "process {after} serves, generation {generation}; process {before} drains and ends\n"
        ))?;
    }
    Ok(Exit::Ok)
}

fn wait(admin: &Admin, before: u32, limit: Instant) -> Result<Config, Failure> {
    while Instant::now() < limit {
        match admin.config() {
            Ok(config) if config.process != before => return Ok(config),
            Ok(Config { upgrade_problem: Some(problem), .. }) => {
                let message = format!("the proxy goes on as it was: {problem}");
                return Err(Failure::new(Exit::Failed, message).hint("banyan status"));
            }
            // Between two processes an answer may be cut off.
            Ok(_) | Err(AdminError::Unreachable { .. } | AdminError::Silent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(PAUSE);
    }
    let message = "the new process does not answer in time; the old one may still hand over".to_owned();
    Err(Failure::new(Exit::TimedOut, message).hint("banyan status"))
}
