//! An edit and the proxy that reads the files: what keeps it safe, whoever edits.
//!
//! The order: ask the proxy, lock, read, make sure that the proxy reads the same, work the edit out and validate it, announce,
//! write if nobody else has written, give the lock back, wait. A text that the proxy refuses all the same is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::thread;
use std::time::{Duration, Instant};

use banyan_routes::{Destination, Route, Share};

use super::{EditError, EditSession, Plan};
use crate::api::{Announcement, Config, HistoryEntry, HistoryKind, Reload, ReloadResult};
use crate::files::text_hash;

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

/// The proxy that reads the files: asked over its admin API, or this very process.
pub trait Running {
    /// Why it does not answer.
    type Error: Display;

    /// What is in force, and what came of the last reload.
    fn config(&self) -> Result<Config, Self::Error>;
    /// Loads the files now.
    fn reload(&self) -> Result<Reload, Self::Error>;
    /// Routes with their percent in force, as written, if they have one.
    fn percents(&self) -> Result<Vec<(String, Option<String>)>, Self::Error>;
    /// Says who is about to write.
    fn announce(&self, announcement: &Announcement) -> Result<(), Self::Error>;
    /// The newest swaps.
    fn history(&self, count: usize) -> Result<Vec<HistoryEntry>, Self::Error>;
}

/// Why an edit is not in force.
#[derive(Debug)]
pub enum NotInForce<E> {
    /// The file cannot be edited.
    Edit(EditError),
    /// The proxy does not answer.
    Proxy(E),
    /// It cannot read its files; the report says why.
    Unreadable {
        /// Of the reload.
        report: String,
    },
    /// It reads other files.
    OtherFile,
    /// The edit would end a rollback held in memory and put these back.
    LiftsFloor {
        /// `orders at 25 %`
        back: Vec<String>,
    },
    /// The proxy refuses what was written, and it was taken back or not.
    Refused {
        /// Of the reload.
        report: String,
        /// Why it could not be taken back.
        stays: Option<String>,
    },
    /// The files say so already, and the proxy refuses them.
    RefusedBefore {
        /// Of the reload.
        report: String,
    },
    /// The files say so already, and another share is in force.
    OtherShare {
        /// Route.
        route: String,
        /// In the files.
        written: Share,
        /// In force, percent.
        in_force: String,
        /// Because a rollback is held in memory.
        floor: bool,
    },
    /// Written, and not confirmed.
    Unconfirmed {
        /// So long.
        waited: Duration,
        /// What the proxy said last, if it did not answer.
        trouble: Option<String>,
    },
}

impl<E> From<EditError> for NotInForce<E> {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

impl<E> NotInForce<E> {
    /// What went wrong; `file` and `proxy` as people know them.
    pub fn told<'s>(&'s self, file: &'s str, proxy: &'s str) -> Told<'s, E> {
        Told { stop: self, file, proxy }
    }
}

/// For people.
pub struct Told<'s, E> {
    stop: &'s NotInForce<E>,
    file: &'s str,
    proxy: &'s str,
}

impl<E: Display> Display for Told<'_, E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stop, file, proxy } = self;
        match stop {
            NotInForce::Edit(error) => write!(out, "{error}"),
            NotInForce::Proxy(error) => write!(out, "{error}"),
            NotInForce::Unreadable { report } => {
                write!(out, "{proxy} cannot read its files\n{}", report.trim_end())
            }
            NotInForce::OtherFile => {
                write!(out, "{proxy} reads another file than {file}, nothing was written")
            }
            NotInForce::LiftsFloor { back } => {
                let more = back.len().saturating_sub(NAMED_MAX);
                let more = if more == 0 { String::new() } else { format!(" and {more} more") };
                let named = back[..back.len().min(NAMED_MAX)].join(", ");
                write!(out, "a rollback is held in memory: this edit would put back {named}{more}")
            }
            NotInForce::Refused { report, stays } => {
                let after = stays.as_ref().map_or_else(
                    || format!("{file} is as it was"),
                    |error| format!("{file} could not be put back: {error}"),
                );
                write!(out, "the proxy refuses the edit, {after}\n{}", report.trim_end())
            }
            NotInForce::RefusedBefore { report } => {
                write!(out, "{file} says so, but the proxy refuses it\n{report}")
            }
            NotInForce::OtherShare { route, written, in_force, floor } => {
                let held = if *floor { ": a rollback is held in memory" } else { "" };
                write!(out, "{route} is at {written} % in {file}, but {in_force} % is in force{held}")
            }
            NotInForce::Unconfirmed { waited, trouble } => {
                let trouble = trouble.as_ref().map(|error| format!("\n{error}")).unwrap_or_default();
                write!(out, "{file} is written, but the proxy did not confirm it within {waited:?}{trouble}")
            }
        }
    }
}

/// What is in force after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its generation.
    pub generation: u64,
    /// Hash of the table.
    pub hash: String,
}

impl From<Reload> for InForce {
    fn from(reload: Reload) -> Self {
        Self { generation: reload.generation, hash: reload.hash }
    }
}

/// An edit under way.
#[derive(Debug)]
pub struct Edit<'e, P> {
    /// The files, held.
    pub session: &'e EditSession,
    /// Who reads them.
    pub proxy: &'e P,
    /// What was in force before the lock was asked for.
    pub before: &'e Config,
}

/// Who edits, and how.
#[derive(Debug, Clone, Copy)]
pub struct Editor<'e> {
    /// Who.
    pub who: &'e str,
    /// Why.
    pub why: Option<&'e str>,
    /// Also when that ends a rollback held in memory.
    pub lifts_floor: bool,
    /// Longest wait for the proxy to confirm.
    pub timeout: Duration,
}

impl<P: Running> Edit<'_, P> {
    /// A file of the same name on another host, or in another folder, is another file.
    pub fn is_what_the_proxy_reads(&self) -> Result<(), NotInForce<P::Error>> {
        let ours = text_hash(self.session.files());
        if self.before.last_reload.text_hash == ours {
            return Ok(());
        }
        // It may not have seen the last save yet.
        let reload = self.proxy.reload().map_err(NotInForce::Proxy)?;
        if reload.text_hash == ours {
            return Ok(());
        }
        Err(if reload.text_hash.is_empty() {
            NotInForce::Unreadable { report: reload.report }
        } else {
            NotInForce::OtherFile
        })
    }

    /// Nothing is to be written: then these shares must be in force, by route.
    pub fn in_force(&self, wanted: &BTreeMap<&str, Share>) -> Result<InForce, NotInForce<P::Error>> {
        let reload = self.proxy.reload().map_err(NotInForce::Proxy)?;
        if reload.result == ReloadResult::Refused {
            return Err(NotInForce::RefusedBefore { report: reload.report });
        }
        for (route, percent) in self.proxy.percents().map_err(NotInForce::Proxy)? {
            let (Some(share), Some(percent)) = (wanted.get(route.as_str()), percent) else { continue };
            if share.to_string() != percent {
                let floor = self.proxy.config().is_ok_and(|config| config.floor);
                return Err(NotInForce::OtherShare { route, written: *share, in_force: percent, floor });
            }
        }
        Ok(reload.into())
    }

    /// Announces, writes and waits. `warn` is told when the history will not know who it was.
    pub fn write(
        &self,
        plan: &Plan,
        editor: &Editor<'_>,
        warn: impl FnOnce(P::Error),
    ) -> Result<InForce, NotInForce<P::Error>> {
        if !editor.lifts_floor {
            self.keeps_floor(plan)?;
        }
        let announcement = Announcement {
            who: editor.who.to_owned(),
            why: editor.why.map(str::to_owned),
            after_hash: plan.after_hash.clone(),
        };
        // Without it the history says `file` instead of a name: no reason to leave the edit undone.
        if let Err(error) = self.proxy.announce(&announcement) {
            warn(error);
        }
        self.session.commit(plan)?;
        self.confirmed(plan, editor.timeout)
    }

    /// Any accepted file ends a rollback held in memory: one that would move clients again must say so.
    pub fn keeps_floor(&self, plan: &Plan) -> Result<(), NotInForce<P::Error>> {
        // Asked anew: somebody may have rolled back since the edit began.
        if !self.proxy.config().map_err(NotInForce::Proxy)?.floor {
            return Ok(());
        }
        let percents = self.proxy.percents().map_err(NotInForce::Proxy)?;
        let held: BTreeSet<&str> = percents
            .iter()
            .filter(|(_, percent)| percent.as_deref() == Some("0"))
            .map(|(route, _)| route.as_str())
            .collect();
        let back = |route: &Route| match &route.destination {
            Destination::Split(split) if split.share != Share::NONE && held.contains(route.name.as_str()) => {
                Some(format!("{} at {} %", route.name, split.share))
            }
            _ => None,
        };
        let back: Vec<String> = plan.table.routes().iter().filter_map(back).collect();
        if back.is_empty() { Ok(()) } else { Err(NotInForce::LiftsFloor { back }) }
    }

    fn confirmed(&self, plan: &Plan, timeout: Duration) -> Result<InForce, NotInForce<P::Error>> {
        let deadline = Instant::now() + timeout;
        let mut nudge = Some(Instant::now() + NUDGE_AFTER);
        let mut trouble = None;
        while Instant::now() < deadline {
            let due = nudge.is_some_and(|at| Instant::now() >= at);
            let answer = if due {
                nudge = None;
                self.proxy.reload()
            } else {
                self.proxy.config().map(|config| config.last_reload)
            };
            match answer {
                Ok(reload) if reload.text_hash == plan.after_hash => return self.judged(reload, plan),
                // The next edit may have come so soon that ours was never seen as the last one.
                Ok(reload) if reload.generation > self.before.generation => {
                    if let Some(ours) = self.passed(plan) {
                        return Ok(ours);
                    }
                    trouble = None;
                }
                Ok(_) => trouble = None,
                Err(error) => trouble = Some(error.to_string()),
            }
            thread::sleep(LOOK_EVERY);
        }
        Err(NotInForce::Unconfirmed { waited: timeout, trouble })
    }

    fn judged(&self, reload: Reload, plan: &Plan) -> Result<InForce, NotInForce<P::Error>> {
        if reload.result != ReloadResult::Refused {
            return Ok(reload.into());
        }
        let stays = self.session.take_back(plan, TAKE_BACK_WAIT).err().map(|error| error.to_string());
        Err(NotInForce::Refused { report: reload.report, stays })
    }

    /// The swap that our text made, when another one has followed already.
    fn passed(&self, plan: &Plan) -> Option<InForce> {
        let is_ours = |entry: &HistoryEntry| {
            entry.kind == HistoryKind::Reload
                && entry.text_hash == plan.after_hash
                && entry.generation > self.before.generation
        };
        let ours = self.proxy.history(RECENT_SWAPS).ok()?.into_iter().find(is_ours)?;
        Some(InForce { generation: ours.generation, hash: ours.after })
    }
}
