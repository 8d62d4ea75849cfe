//! What `shift`, `rollback` and `undo` share: edit the file, and wait until the running proxy has it in force.
//!
//! The order is what keeps it safe: ask the proxy, lock, read, make sure that the proxy reads the same, work the
//! edit out and validate it, announce, write if nobody else has written, give the lock back, wait. A text that the
//! proxy refuses all the same is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::api::{Announcement, Config, HistoryEntry, HistoryKind, Reload, ReloadResult};
use banyan_control::edit::{EditError, EditSession, Plan};
use banyan_control::text_hash;
use banyan_routes::{Destination, Route, Share};

use crate::admin::{Admin, AdminError};
use crate::args::EditArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{self, Settings};

/// Time between two looks at what is in force.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// After this the proxy is asked to look at the files: it may have missed the change.
const NUDGE_AFTER: Duration = Duration::from_secs(3);

/// Longest wait for the lock when an edit that the proxy refused is taken back.
const TAKE_BACK_WAIT: Duration = Duration::from_secs(5);
/// Swaps looked through for one that was in force for less than [`LOOK_EVERY`].
const RECENT_SWAPS: usize = 20;
/// Routes named in one message.
const NAMED_MAX: usize = 3;

/// Why an edit stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The file cannot be edited.
    Edit(EditError),
    /// What the file says, or would say, is not what the proxy has in force.
    NotInForce(Failure),
    /// Anything else: no proxy answers, no such route.
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

impl From<AdminError> for Stop {
    fn from(error: AdminError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failure(failure) | Stop::NotInForce(failure) => failure,
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
    lifts_floor: bool,
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
    /// Locks and reads the file that the proxy reads, or the one named; waits at most `wait` for the lock.
    pub(crate) fn open(
        settings: &Settings,
        args: &'a EditArgs,
        proxy: Option<Running>,
        wait: Duration,
    ) -> Result<Self, Stop> {
        let main = main_file(settings, proxy.as_ref())?;
        let session = EditSession::open(&main, settings::variables(), wait)?;
        let editing = Self { args, proxy, main, lifts_floor: false, session };
        editing.is_what_the_proxy_reads()?;
        Ok(editing)
    }

    /// Whether the edit may end a rollback held in memory.
    pub(crate) fn lifting_floor(self, lifts_floor: bool) -> Self {
        Self { lifts_floor, ..self }
    }

    /// A file of the same name on another host, or in another folder, is another file.
    fn is_what_the_proxy_reads(&self) -> Result<(), Stop> {
        let Some(running) = &self.proxy else { return Ok(()) };
        let ours = text_hash(self.session.files());
        if running.config.last_reload.text_hash == ours {
            return Ok(());
        }
        // It may not have seen the last save yet.
        let reload = running.admin.reload()?;
        if reload.text_hash == ours {
            return Ok(());
        }
        let (url, file) = (running.admin.url(), self.file());
        let report = reload.report.trim_end();
        let failure = if reload.text_hash.is_empty() {
            Failure::new(Exit::Invalid, format!("the proxy at {url} cannot read its files\n{report}"))
                .hint("banyan status")
        } else {
            let message = format!("the proxy at {url} reads another file than {file}, nothing was written");
            Failure::new(Exit::Failed, message)
                .hint("name the file with `--routes FILE`, or the proxy with `--admin ADDR`")
        };
        Err(Stop::NotInForce(failure))
    }

    /// Nothing is to be written: then these shares must be in force, by route.
    pub(crate) fn in_force(&self, wanted: &BTreeMap<&str, Share>) -> Result<Outcome, Stop> {
        let Some(running) = &self.proxy else { return Ok(Outcome::default()) };
        let reload = running.admin.reload()?;
        if reload.result == ReloadResult::Refused {
            let message = format!("{} says so, but the proxy refuses it\n{}", self.file(), reload.report);
            return Err(Stop::NotInForce(Failure::new(Exit::Invalid, message).hint("banyan status")));
        }
        for route in running.admin.routes()?.routes {
            let (Some(share), Some(percent)) = (wanted.get(route.name.as_str()), &route.percent) else {
                continue;
            };
            if share.to_string() != *percent {
                return Err(Stop::NotInForce(self.other_share(running, &route.name, *share, percent)));
            }
        }
        Ok(Outcome { generation: Some(reload.generation), hash: Some(reload.hash) })
    }

    fn other_share(&self, running: &Running, route: &str, share: Share, percent: &str) -> Failure {
        let file = self.file();
        let message = format!("{route} is at {share} % in {file}, but {percent} % is in force");
        if running.admin.config().is_ok_and(|config| config.floor) {
            let message = format!("{message}: a rollback is held in memory");
            return Failure::new(Exit::Failed, message).hint("`banyan undo` ends it");
        }
        Failure::new(Exit::Failed, message).hint("banyan status")
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
            self.keeps_floor(running, plan)?;
            self.announce(running, plan);
        }
        self.session.commit(plan)?;
        match &self.proxy {
            None => Ok(Outcome::default()),
            Some(running) => self.confirmed(running, plan).map_err(Stop::NotInForce),
        }
    }

    /// Any accepted file ends a rollback held in memory: one that would move clients again must say so.
    fn keeps_floor(&self, running: &Running, plan: &Plan) -> Result<(), Stop> {
        // Asked anew: somebody may have rolled back since the command began.
        if self.lifts_floor || !running.admin.config()?.floor {
            return Ok(());
        }
        let routes = running.admin.routes()?.routes;
        let held: BTreeSet<&str> = routes
            .iter()
            .filter(|route| route.percent.as_deref() == Some("0"))
            .map(|route| route.name.as_str())
            .collect();
        let back = |route: &Route| match &route.destination {
            Destination::Split(split) if split.share != Share::NONE && held.contains(route.name.as_str()) => {
                Some(format!("{} at {} %", route.name, split.share))
            }
            _ => None,
        };
        let back: Vec<String> = plan.table.routes().iter().filter_map(back).collect();
        if back.is_empty() { Ok(()) } else { Err(Stop::NotInForce(lifts_floor(&back))) }
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
                // The next edit may have come so soon that ours was never seen as the last one.
                Ok(reload) if reload.generation > running.config.generation => {
                    if let Some(outcome) = passed(running, plan) {
                        return Ok(outcome);
                    }
                    trouble = None;
                }
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
        let after = match self.session.take_back(plan, TAKE_BACK_WAIT) {
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

/// The swap that our text made, when another one has followed already.
fn passed(running: &Running, plan: &Plan) -> Option<Outcome> {
    let entries = running.admin.history(RECENT_SWAPS).ok()?.entries;
    let is_ours = |entry: &HistoryEntry| {
        entry.kind == HistoryKind::Reload
            && entry.text_hash == plan.after_hash
            && entry.generation > running.config.generation
    };
    let ours = entries.into_iter().find(is_ours)?;
    Some(Outcome { generation: Some(ours.generation), hash: Some(ours.after) })
}

fn lifts_floor(back: &[String]) -> Failure {
    let more = back.len().saturating_sub(NAMED_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let named = back[..back.len().min(NAMED_MAX)].join(", ");
    let message = format!("a rollback is held in memory: this edit would put back {named}{more}");
    Failure::new(Exit::Failed, message)
        .hint("`banyan rollback --all` writes it into the file, `--lift-floor` edits all the same")
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
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(named).unwrap_or_else(uid)
}
