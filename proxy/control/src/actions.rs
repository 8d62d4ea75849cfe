//! Shift, roll back and undo, as the commands do, from within the running proxy.
//!
//! [`Actions::plan`] works out what would happen and touches nothing. [`Actions::carry_out`] does it, if the plan still
//! holds: the token says what it was made from. Both block, for the lock and for the reload: not for the admin thread.
//!
//! A rollback wants no token: wherever the share is by now, it goes to 0. Where the file does not bring that about, the proxy holds
//! it in memory.
//!
//! - `plan`: what an order comes to. `proxy`: this process as an edit sees it. `refusal`: why nothing was done.

mod plan;
mod proxy;
mod refusal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use banyan_gateway::Gateway;
use banyan_routes::{FileSet, Share, Variables};

use crate::api::{HistoryEntry, HistoryKind, ReloadResult, Rollback};
use crate::changes::change_lines;
use crate::edit::{self, Edit, EditError, EditSession, Editor, Holder, InForce, NotInForce, Plan, zeros};
use crate::reload::ReloadHandle;
use crate::undo::undone;
use crate::view::View;
pub(crate) use plan::{Move, Planned};
use proxy::{Busy, ThisProxy};
pub(crate) use refusal::Refusal;
use refusal::no_file;

/// Longest wait for another edit, for the lock and for the reload.
const WITHIN: Duration = Duration::from_secs(10);

/// Longest wait of a rollback for another edit: it is an emergency, and memory needs no lock.
const LOCK_WAIT_OF_ROLLBACK: Duration = Duration::from_secs(1);

/// Longest wait of a plan for another edit.
const LOCK_WAIT_OF_PLAN: Duration = Duration::from_secs(2);

/// How often the file is tried while somebody else keeps saving it.
const TRIES: usize = 3;

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Another share for a route, or for its cohort.
    Shift {
        /// Route or cohort.
        route: String,
        /// New share.
        percent: Share,
        /// Also when that ends a rollback held in memory.
        lift_floor: bool,
    },
    /// Share 0 for a route (or its cohort), or for all.
    Rollback {
        /// None is every route.
        route: Option<String>,
        /// Also where the candidate writes a separate store.
        force: bool,
    },
    /// The last change taken back.
    Undo,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Generation in force.
    pub(crate) generation: u64,
    /// One line per change, for people.
    pub(crate) changes: Vec<String>,
    /// What remains to be said: held in memory only, routes left alone.
    pub(crate) notes: Vec<String>,
}

/// Plans and carries out. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Actions {
    proxy: ThisProxy,
    variables: Variables,
}

/// Who orders.
#[derive(Debug, Clone, Copy)]
struct By<'b> {
    who: &'b str,
    why: Option<&'b str>,
}

/// An edit worked out.
struct Worked {
    session: EditSession,
    plan: Plan,
    /// What to think of.
    warnings: Vec<String>,
    /// Routes that are left where they are.
    left: Vec<String>,
}

/// Why no edit was worked out, or none is in force.
enum Stop {
    /// The file does not bring it about.
    File(NotInForce<Busy>),
    /// It is not to be done.
    Refused(Refusal),
}

impl From<EditError> for Stop {
    fn from(error: EditError) -> Self {
        Self::File(error.into())
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Actions {
    pub(crate) fn new(gateway: Gateway, view: View, reload: ReloadHandle, variables: Variables) -> Self {
        Self { proxy: ThisProxy { gateway, view, reload }, variables }
    }

    /// Does it, when `token` is that of a plan that still holds. Blocks until it is in force, ten seconds at most.
    pub(crate) fn carry_out(
        &self,
        order: &Order,
        token: &str,
        who: &str,
        why: Option<&str>,
    ) -> Result<Done, Refusal> {
        let by = By { who, why };
        let done = match order {
            Order::Rollback { route, force } => self.roll_back(order, (route.as_ref(), *force), by),
            Order::Undo if self.holds_floor() => self.end_rollback(order, token, by),
            Order::Undo | Order::Shift { .. } => self.in_file(order, token, by),
        };
        if let Err(refusal) = &done {
            tracing::warn!(who, code = refusal.code, "dashboard: not done: {}", refusal.message);
        }
        done
    }

    fn in_file(&self, order: &Order, token: &str, by: By<'_>) -> Result<Done, Refusal> {
        let told = |stop| self.told(stop);
        let worked = self.worked(order, WITHIN).map_err(told)?;
        if self.token(order, Some(worked.session.files())) != token {
            return Err(Refusal::changed_meanwhile());
        }
        self.written(order, &worked, by).map_err(told)
    }

    /// The file first, because that lasts.
    fn roll_back(
        &self,
        order: &Order,
        (route, force): (Option<&String>, bool),
        by: By<'_>,
    ) -> Result<Done, Refusal> {
        let mut tries = 1..TRIES;
        let stop = loop {
            let worked = self.worked(order, LOCK_WAIT_OF_ROLLBACK);
            let stop = match worked.and_then(|worked| self.written(order, &worked, by)) {
                Ok(done) => return Ok(done),
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::File(stop)) => stop,
            };
            let is_changed = matches!(stop, NotInForce::Edit(EditError::ChangedMeanwhile { .. }));
            if !is_changed || tries.next().is_none() {
                break stop;
            }
        };
        let why_not = self.told(Stop::File(stop)).message;
        let why = by.why.map(str::to_owned);
        let held = Rollback { route: route.cloned(), who: by.who.to_owned(), why, force };
        let rolled = self.proxy.roll_back(held).map_err(|Busy| Refusal::busy())?;
        let rolled = rolled.map_err(|unknown| Refusal::new("no-such-route", unknown.to_string()))?;
        let mut notes = vec![format!("held in memory until the next accepted file or a restart: {why_not}")];
        notes.extend(left_alone(&rolled.kept));
        notes.extend(rolled.pinned.iter().map(|pinned| edit::pins_stay(&pinned.route, &pinned.origin)));
        Ok(Done { generation: rolled.generation, changes: rolled.changes, notes })
    }

    /// What the files say is in force again.
    fn end_rollback(&self, order: &Order, token: &str, by: By<'_>) -> Result<Done, Refusal> {
        if self.token(order, None) != token {
            return Err(Refusal::changed_meanwhile());
        }
        let ended = self.proxy.end_rollback(by.who, by.why).map_err(|Busy| Refusal::busy())?;
        if ended.result == ReloadResult::Unchanged {
            return Err(Refusal::new("nothing-to-undo", "no rollback is held in memory".to_owned()));
        }
        Ok(Done { generation: ended.generation, changes: ended.changes, notes: Vec::new() })
    }

    /// The order as an edit of the files. Holds the lock.
    fn worked(&self, order: &Order, wait: Duration) -> Result<Worked, Stop> {
        let main = self.main()?;
        let before = self.proxy.view.config();
        let session = EditSession::open(&main, self.variables.clone(), wait)?;
        let edit = Edit { session: &session, proxy: &self.proxy, before: &before };
        edit.is_what_the_proxy_reads().map_err(Stop::File)?;
        let (plan, warnings, left) = match order {
            Order::Shift { route, percent, lift_floor } => {
                let holder = found(&session, route)?;
                if holder.share == *percent {
                    edit.in_force(&holder.wanted(*percent).collect()).map_err(Stop::File)?;
                    let message = format!("{} is at {percent} % already", holder.title());
                    return Err(Refusal::new("unchanged", message).into());
                }
                let plan = session.plan(&[edit::Change::share(holder.place.clone(), *percent)])?;
                if !lift_floor {
                    edit.keeps_floor(&plan).map_err(Stop::File)?;
                }
                (plan, holder.company(route).into_iter().collect(), Vec::new())
            }
            Order::Rollback { route, force } => zeroed(&edit, route.as_deref(), *force)?,
            Order::Undo => (session.plan_files(self.undone(&session)?)?, Vec::new(), Vec::new()),
        };
        let news = plan.new_warnings.iter().map(|problem| problem.message.clone());
        let warnings = warnings.into_iter().chain(news).collect();
        Ok(Worked { session, plan, warnings, left })
    }

    /// The files before the last change.
    fn undone(&self, session: &EditSession) -> Result<FileSet, Refusal> {
        let nothing = |message: String| Refusal::new("nothing-to-undo", message);
        let entry = self.last_entry()?;
        if entry.kind == HistoryKind::RollbackEnd {
            return Err(nothing(format!(
                "the last change, by {}, ended a rollback held in memory: no file changed",
                entry.who
            )));
        }
        let kept = |hash: &str| {
            let found = self.proxy.view.history().set(hash).ok().flatten();
            found.ok_or_else(|| {
                nothing("the files of the last change are not kept".to_owned())
                    .hint("start the proxy with `--state-dir DIR`")
            })
        };
        undone(&entry, session.files(), kept)?.map_err(|refusal| {
            let told = refusal.to_string();
            let (message, hint) = told.split_once("\nhint: ").unwrap_or((&told, "banyan history"));
            nothing(message.to_owned()).hint(hint)
        })
    }

    fn last_entry(&self) -> Result<HistoryEntry, Refusal> {
        let newest = self.proxy.view.history().newest(1).into_iter().next();
        newest
            .filter(|entry| entry.text_hash_before.is_some())
            .ok_or_else(|| Refusal::new("nothing-to-undo", "there is no change to take back".to_owned()))
    }

    /// The last change is a rollback that is held in memory.
    fn holds_floor(&self) -> bool {
        self.last_entry().is_ok_and(|entry| entry.kind == HistoryKind::Rollback)
    }

    fn written(&self, order: &Order, worked: &Worked, by: By<'_>) -> Result<Done, Stop> {
        let Worked { session, plan, left, .. } = worked;
        let before = self.proxy.view.config();
        let changes = change_lines(&self.proxy.gateway.table(), &plan.table);
        let edit = Edit { session, proxy: &self.proxy, before: &before };
        let lifts_floor = matches!(order, Order::Shift { lift_floor: true, .. });
        let editor = Editor { who: by.who, why: by.why, lifts_floor, timeout: WITHIN };
        let InForce { generation, .. } = edit.write(plan, &editor, |Busy| ()).map_err(Stop::File)?;
        let notes = worked.warnings.iter().cloned().chain(left_alone(left)).collect();
        Ok(Done { generation, changes, notes })
    }

    fn main(&self) -> Result<PathBuf, Refusal> {
        self.proxy.view.config().file.map(PathBuf::from).ok_or_else(no_file)
    }

    /// What a plan is made from: the order, the files if they can be read, and what is in force.
    fn token(&self, order: &Order, files: Option<&FileSet>) -> String {
        let config = self.proxy.view.config();
        let files = files.map(crate::files::text_hash).unwrap_or_default();
        crate::files::hash_of(&format!("{order:?} {files} {} {}", config.hash, config.floor))
    }

    fn told(&self, stop: Stop) -> Refusal {
        let file = self.proxy.view.config().file.unwrap_or_default();
        match stop {
            Stop::Refused(refusal) => refusal,
            Stop::File(stop) => refusal::told(&stop, Path::new(&file)),
        }
    }
}

fn found(session: &EditSession, name: &str) -> Result<Holder, Refusal> {
    edit::find(session.table(), name)
        .map_err(|none| Refusal::new("no-such-route", none.to_string()).hint(none.hint()))
}

/// Shares at 0, all of them or one.
fn zeroed(
    edit: &Edit<'_, ThisProxy>,
    route: Option<&str>,
    force: bool,
) -> Result<(Plan, Vec<String>, Vec<String>), Stop> {
    let session = edit.session;
    let all = match route {
        Some(route) => vec![found(session, route)?],
        None => edit::holders(session.table()),
    };
    let is_kept = |holder: &&Holder| holder.written_elsewhere().is_some() && !force;
    let (kept, back): (Vec<&Holder>, Vec<&Holder>) = all.iter().partition(is_kept);
    if let (Some(_), Some(holder)) = (route, kept.first()) {
        let message = holder.written_elsewhere().unwrap_or_default();
        return Err(Refusal::new("store", message).hint("force it if that may be lost").into());
    }
    let moved: Vec<&Holder> = back.iter().copied().filter(|holder| holder.share != Share::NONE).collect();
    if moved.is_empty() {
        let wanted: BTreeMap<&str, Share> =
            back.iter().flat_map(|holder| holder.wanted(Share::NONE)).collect();
        edit.in_force(&wanted).map_err(Stop::File)?;
        let what = route.map_or("every share that may move", |_| "the share");
        return Err(Refusal::new("unchanged", format!("{what} is at 0 % already")).into());
    }
    let (changes, stores) = zeros(&moved);
    let plan = session.plan(&changes)?;
    let company = route.and_then(|route| moved[0].company(route));
    let pins = back.iter().flat_map(|holder| &holder.pinned).map(|(route, at)| edit::pins_stay(route, at));
    let stores = stores.iter().map(|store| edit::legacy_writes_again(store));
    let warnings = company.into_iter().chain(pins).chain(stores).collect();
    Ok((plan, warnings, kept.iter().flat_map(|holder| holder.routes.clone()).collect()))
}

fn left_alone(routes: &[String]) -> Option<String> {
    let told = || format!("left alone, the candidate writes their separate store: {}", routes.join(", "));
    (!routes.is_empty()).then(told)
}
