//! This very process, as an edit of its files sees it.

use std::fmt;

use banyan_gateway::Gateway;
use tokio::sync::oneshot;

use crate::api::{Announcement, Config, EndRollback, HistoryEntry, Reload, Rollback, RolledBack};
use crate::edit::Running;
use crate::explain::split;
use crate::reload::{self, ReloadHandle};
use crate::swap::NoSuchRoute;
use crate::view::View;

/// Without sockets in between.
#[derive(Clone)]
pub(super) struct ThisProxy {
    pub(super) gateway: Gateway,
    pub(super) view: View,
    pub(super) reload: ReloadHandle,
}

/// The reload thread has too much to do, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the reload thread is busy or has ended, try again")
    }
}

impl Running for ThisProxy {
    type Error = Busy;

    fn config(&self) -> Result<Config, Busy> {
        Ok(self.view.config())
    }

    fn reload(&self) -> Result<Reload, Busy> {
        answered(self.reload.reload())
    }

    fn percents(&self) -> Result<Vec<(String, Option<String>)>, Busy> {
        let table = self.gateway.table();
        let percent = |route| split(route).map(|split| split.share.to_string());
        Ok(table.routes().iter().map(|route| (route.name.clone(), percent(route))).collect())
    }

    fn announce(&self, announcement: &Announcement) -> Result<(), Busy> {
        self.view.announce(announcement.clone());
        Ok(())
    }

    fn history(&self, count: usize) -> Result<Vec<HistoryEntry>, Busy> {
        Ok(self.view.history().newest(count))
    }
}

impl ThisProxy {
    /// Holds shares at 0 in memory.
    pub(super) fn roll_back(&self, order: Rollback) -> Result<Result<RolledBack, NoSuchRoute>, Busy> {
        answered(self.reload.rollback(order))
    }

    /// What the files mean is in force again.
    pub(super) fn end_rollback(&self, who: &str, why: Option<&str>) -> Result<RolledBack, Busy> {
        let order = EndRollback { who: who.to_owned(), why: why.map(str::to_owned) };
        answered(self.reload.end_rollback(order))
    }
}

fn answered<T>(asked: Result<oneshot::Receiver<T>, reload::Busy>) -> Result<T, Busy> {
    asked.map_err(|reload::Busy| Busy)?.blocking_recv().map_err(|_| Busy)
}
