//! What `shift`, `rollback` and `undo` share: edit the file, and wait until the running proxy has it in force.
//!
//! The order is what keeps it safe: ask the proxy, lock, read, work the edit out and validate it, announce, write
//! if nobody else has written, wait. A text that the proxy refuses all the same is taken back.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::api::{Announcement, Config, Reload, ReloadResult};
use banyan_control::edit::{EditError, EditSession, Plan};

use crate::admin::{Admin, AdminError};
use crate::args::EditArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{self, Settings};

/// Time between two looks at what is in force.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After this the proxy is asked to look at the files: it may have missed the change.
const NUDGE_AFTER: Duration = Duration::from_secs(3);

/// Why an edit stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file cannot be edited.
    Edit(EditError),
    /// Anything else.
    Failure(Failure),
}

impl From<EditError> for Stop {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failure(failure) => failure,
            Stop::Edit(error) => {
                let exit = match error {
                    EditError::Invalid(_) | EditError::WouldBeInvalid(_) | EditError::Syntax { .. } => {
                        Exit::Invalid
                    }
                    EditError::Locked { .. } => Exit::TimedOut,
                    _ => Exit::Failed,
                };
                Self::new(exit, error.to_string()).maybe_hint(error.hint())
            }
        }
    }
}

/// A file held for editing, and the proxy that reads it.
pub(crate) struct Editing<'a> {
    args: &'a EditArgs,
    proxy: Option<Running>,
    main: PathBuf,
    /// The file set.
    pub(crate) session: EditSession,
}

/// A proxy that answers.
pub(crate) struct Running {
    /// Its admin API.
    pub(crate) admin: Admin,
    /// What was in force before.
    pub(crate) config: Config,
}

/// What became of an edit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Generation in force; none when no proxy was asked.
    pub(crate) generation: Option<u64>,
    /// Hash of the table in force.
    pub(crate) hash: Option<String>,
}

/// Asks the proxy, unless the edit is offline; an unreachable one stops the edit before anything is touched.
pub(crate) fn ask_unless(offline: bool, settings: &Settings) -> Result<Option<Running>, Failure> {
    if offline {
        return Ok(None);
    }
    let admin = settings.admin()?;
    match admin.config() {
        Ok(config) => Ok(Some(Running { admin, config })),
        Err(error @ AdminError::Unreachable { .. }) => {
            Err(Failure::new(Exit::Unreachable, format!("{error}\nnothing was written"))
                .hint("`--offline` edits the file without a proxy, `--admin ADDR` names another"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks the proxy that the edit cannot do without.
pub(crate) fn ask(settings: &Settings) -> Result<Running, Failure> {
    let admin = settings.admin()?;
    let config = admin.config()?;
    Ok(Running { admin, config })
}

impl<'a> Editing<'a> {
    /// Locks and reads the file that the proxy reads, or the one named.
    pub(crate) fn open(
        settings: &Settings,
        args: &'a EditArgs,
        proxy: Option<Running>,
    ) -> Result<Self, Stop> {
        let main = main_file(settings, proxy.as_ref())?;
        let session = EditSession::open(&main, settings::variables(), args.timeout.0)?;
        Ok(Self { args, proxy, main, session })
    }

    /// The proxy that was asked.
    pub(crate) fn proxy(&self) -> Option<&Running> {
        self.proxy.as_ref()
    }

    /// The file as it is named to people.
    pub(crate) fn file(&self) -> String {
        self.main.display().to_string()
    }

    /// Announces, writes and waits.
    pub(crate) fn write(&self, plan: &Plan) -> Result<Outcome, Stop> {
        for warning in &plan.new_warnings {
            screen::say(&warning.rendered);
        }
        if let Some(running) = &self.proxy {
            self.announce(running, plan);
        }
        self.session.commit(plan)?;
        match &self.proxy {
            None => Ok(Outcome::default()),
            Some(running) => Ok(self.confirmed(running, plan)?),
        }
    }

    /// Without it the history says `file` instead of a name: no reason to leave the edit undone.
    fn announce(&self, running: &Running, plan: &Plan) {
        let (why, after_hash) = (self.args.why.clone(), plan.after_hash.clone());
        let announcement = Announcement { who: who(), why, after_hash };
        if let Err(error) = running.admin.announce(&announcement) {
            screen::say_warning(&format!("the history will not say who and why: {error}"));
        }
    }

    fn confirmed(&self, running: &Running, plan: &Plan) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + self.args.timeout.0;
        let mut nudge = Some(Instant::now() + NUDGE_AFTER);
        let mut trouble = None;
        while Instant::now() < deadline {
            let due = nudge.is_some_and(|at| Instant::now() >= at);
            let answer = if due {
                nudge = None;
                running.admin.reload()
            } else {
                running.admin.config().map(|config| config.last_reload)
            };
            match answer {
                Ok(reload) if reload.text_hash == plan.after_hash => return self.judged(reload, plan),
                Ok(_) => trouble = None,
                Err(error) => trouble = Some(error.to_string()),
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(self.unconfirmed(trouble))
    }

    fn judged(&self, reload: Reload, plan: &Plan) -> Result<Outcome, Failure> {
        if reload.result != ReloadResult::Refused {
            return Ok(Outcome { generation: Some(reload.generation), hash: Some(reload.hash) });
        }
        let after = match self.session.take_back(plan) {
            Ok(()) => format!("{} is as it was", self.file()),
            Err(error) => format!("{} could not be put back: {error}", self.file()),
        };
        let report = reload.report.trim_end();
        Err(Failure::new(Exit::Invalid, format!("the proxy refuses the edit, {after}\n{report}"))
            .hint("banyan status"))
    }

    fn unconfirmed(&self, trouble: Option<String>) -> Failure {
        let (file, time) = (self.file(), self.args.timeout.0);
        let trouble = trouble.map(|error| format!("\n{error}")).unwrap_or_default();
        let message = format!("{file} is written, but the proxy did not confirm it within {time:?}{trouble}");
        Failure::new(Exit::TimedOut, message).hint("banyan status")
    }
}

/// The file named by `--routes`, else the one that the running proxy reads, else `routes.toml`.
fn main_file(settings: &Settings, proxy: Option<&Running>) -> Result<PathBuf, Failure> {
    let Some(running) = proxy else { return settings.needed_routes() };
    let Some(read) = running.config.file.as_deref().map(Path::new) else {
        let message = format!("the proxy at {} has no file, it runs with --legacy", running.admin.url());
        return Err(
            Failure::new(Exit::Failed, message).hint("restart it with `banyan run --routes routes.toml`")
        );
    };
    let Some(named) = settings.named_routes() else { return Ok(read.to_owned()) };
    if let (Ok(one), Ok(other)) = (named.canonicalize(), read.canonicalize())
        && one != other
    {
        let message = format!("the running proxy reads {}, not {}", read.display(), named.display());
        return Err(Failure::new(Exit::Failed, message).hint("leave `--routes` out, or add `--offline`"));
    }
    Ok(named.to_owned())
}

/// Who is at the keyboard, for the history.
pub(crate) fn who() -> String {
    let named = |name: &&str| std::env::var(name).ok().filter(|name| !name.is_empty());
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(named).unwrap_or_else(|| "unknown".to_owned())
}
