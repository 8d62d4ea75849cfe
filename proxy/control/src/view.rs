//! What the reload thread tells the admin API.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use banyan_routes::RouteTable;

use crate::announce::Announcements;
use crate::api::{Announcement, Config};
use crate::history::HistoryView;

/// Shared by the reload thread, which writes, and the admin API, which reads. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct View {
    config: Arc<Mutex<Config>>,
    accepted: Arc<Mutex<Arc<RouteTable>>>,
    announcements: Arc<Mutex<Announcements>>,
    upgrade_problem: Arc<Mutex<Option<String>>>,
    history: HistoryView,
}

impl View {
    /// The first state.
    pub(crate) fn new(config: Config, accepted: Arc<RouteTable>, history: HistoryView) -> Self {
        Self {
            config: Arc::new(Mutex::new(config)),
            accepted: Arc::new(Mutex::new(accepted)),
            announcements: Arc::default(),
            upgrade_problem: Arc::default(),
            history,
        }
    }

    /// What is in force, and what came of the last attempt.
    pub(crate) fn config(&self) -> Config {
        let mut config = locked(&self.config).clone();
        config.history_problem = self.history.problem();
        config.upgrade_problem.clone_from(&locked(&self.upgrade_problem));
        config
    }

    /// Why the last upgrade came to nothing; none from the begin of the next one on.
    pub(crate) fn set_upgrade_problem(&self, problem: Option<String>) {
        *locked(&self.upgrade_problem) = problem;
    }

    /// Replaces what is told.
    pub(crate) fn set_config(&self, config: Config) {
        *locked(&self.config) = config;
    }

    /// What the files mean; differs from what is in force while a rollback is held in memory.
    pub(crate) fn accepted(&self) -> Arc<RouteTable> {
        Arc::clone(&locked(&self.accepted))
    }

    /// Replaces what the files mean.
    pub(crate) fn set_accepted(&self, table: &Arc<RouteTable>) {
        *locked(&self.accepted) = Arc::clone(table);
    }

    /// Remembers who is about to write.
    pub(crate) fn announce(&self, announcement: Announcement) {
        locked(&self.announcements).add(announcement, Instant::now());
    }

    /// Who announced this text.
    pub(crate) fn announced(&self, text_hash: &str) -> Option<Announcement> {
        locked(&self.announcements).take(text_hash, Instant::now())
    }

    /// Whether somebody announced this text and it has not come.
    pub(crate) fn is_announced(&self, text_hash: &str) -> bool {
        locked(&self.announcements).holds(text_hash, Instant::now())
    }

    /// The swaps.
    pub(crate) fn history(&self) -> &HistoryView {
        &self.history
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is a single step, so a panic elsewhere leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
