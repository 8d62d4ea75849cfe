//! What `shift`, `rollback` and `undo` share: the proxy that is asked, and how what `banyan_control::edit` says is told here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_control::api::{Announcement, Config, HistoryEntry, Reload};
use banyan_control::edit::{Edit, EditError, EditSession, Editor, InForce, NotInForce, Plan};
use banyan_routes::Share;

use crate::admin::{Admin, AdminError};
use crate::args::EditArgs;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::{self, Settings};

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

/// The proxy, asked over its admin API.
impl banyan_control::edit::Running for Admin {
    type Error = AdminError;

    fn config(&self) -> Result<Config, AdminError> {
        self.config()
    }

    fn reload(&self) -> Result<Reload, AdminError> {
        self.reload()
    }

    fn percents(&self) -> Result<Vec<(String, Option<String>)>, AdminError> {
        let routes = self.routes()?.routes.into_iter();
        Ok(routes.map(|route| (route.name, route.percent)).collect())
    }

    fn announce(&self, announcement: &Announcement) -> Result<(), AdminError> {
        self.announce(announcement)
    }

    fn history(&self, count: usize) -> Result<Vec<HistoryEntry>, AdminError> {
        Ok(self.history(count)?.entries)
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
        if let Some(edit) = editing.edit() {
            edit.is_what_the_proxy_reads().map_err(|stop| editing.stopped(stop))?;
        }
        Ok(editing)
    }

    fn edit(&self) -> Option<Edit<'_, Admin>> {
        let Running { admin, config } = self.proxy.as_ref()?;
        Some(Edit { session: &self.session, proxy: admin, before: config })
    }

    /// Whether the edit may end a rollback held in memory.
    pub(crate) fn lifting_floor(self, lifts_floor: bool) -> Self {
        Self { lifts_floor, ..self }
    }

    /// Nothing is to be written: then these shares must be in force, by route.
    pub(crate) fn in_force(&self, wanted: &BTreeMap<&str, Share>) -> Result<Outcome, Stop> {
        let Some(edit) = self.edit() else { return Ok(Outcome::default()) };
        edit.in_force(wanted).map(Outcome::from).map_err(|stop| self.stopped(stop))
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
        let Some(edit) = self.edit() else {
            self.session.commit(plan)?;
            return Ok(Outcome::default());
        };
        let who = who();
        let editor = Editor {
            who: &who,
            why: self.args.why.as_deref(),
            lifts_floor: self.lifts_floor,
            timeout: self.args.timeout.0,
        };
        let warn = |error| screen::say_warning(&format!("the history will not say who and why: {error}"));
        edit.write(plan, &editor, warn).map(Outcome::from).map_err(|stop| self.stopped(stop))
    }

    fn stopped(&self, stop: NotInForce<AdminError>) -> Stop {
        let proxy = self.proxy.as_ref().map_or_else(String::new, |running| running.admin.url().to_string());
        let (file, proxy) = (self.file(), format!("the proxy at {proxy}"));
        let told = |exit| Failure::new(exit, stop.told(&file, &proxy).to_string());
        Stop::NotInForce(match stop {
            NotInForce::Edit(error) => return Stop::Edit(error),
            NotInForce::Proxy(error) => return Stop::Failure(error.into()),
            NotInForce::OtherFile => told(Exit::Failed)
                .hint("name the file with `--routes FILE`, or the proxy with `--admin ADDR`"),
            NotInForce::LiftsFloor { .. } => told(Exit::Failed)
                .hint("`banyan rollback --all` writes it into the file, `--lift-floor` edits all the same"),
            NotInForce::OtherShare { floor: true, .. } => told(Exit::Failed).hint("`banyan undo` ends it"),
            NotInForce::OtherShare { .. } => told(Exit::Failed).hint("banyan status"),
            NotInForce::Unconfirmed { .. } => told(Exit::TimedOut).hint("banyan status"),
            NotInForce::Unreadable { .. } | NotInForce::Refused { .. } | NotInForce::RefusedBefore { .. } => {
                told(Exit::Invalid).hint("banyan status")
            }
        })
    }
}

impl From<InForce> for Outcome {
    fn from(found: InForce) -> Self {
        Self { generation: Some(found.generation), hash: Some(found.hash) }
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
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(named).unwrap_or_else(uid)
}
