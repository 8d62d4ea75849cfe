//! What becomes of a configuration that was read: refused whole, unchanged, or in force.
//!
//! - `floor`: a rollback held in memory. `start`: what the history says of a start.

mod floor;
mod start;

use std::path::{self, Path};
use std::sync::Arc;
use std::time::SystemTime;

use banyan_gateway::Gateway;
use banyan_routes::{FileSet, Report, RouteTable, Severity, Variables, diff};

use crate::api::{self, API_VERSION, HistoryEntry, HistoryKind, Reload, ReloadResult};
use crate::changes::{change_line, change_lines, routes_of};
use crate::clock;
use crate::counts::Counts;
use crate::files::ReadError;
use crate::history::History;
use crate::load::{self, whole_file};
use crate::metrics::Metrics;
use crate::timeline::Timeline;
use crate::view::View;
pub(crate) use floor::{NoSuchRoute, floored, pinned};
use start::entry_of_start;

/// The one place that puts tables in force. Lives on the reload thread.
pub(crate) struct Swap {
    gateway: Gateway,
    variables: Variables,
    metrics: Metrics,
    counts: Counts,
    timeline: Timeline,
    history: History,
    view: View,
    /// What the files mean; differs from what is in force while a floor holds.
    accepted: Arc<RouteTable>,
    accepted_files: Option<FileSet>,
    accepted_text_hash: String,
    in_force: Arc<RouteTable>,
    floor: bool,
    /// A rollback just ordered: it outlasts what was saved before it.
    holding: Option<api::Rollback>,
    generation: u64,
    since: String,
}

/// Who made a swap, and how.
struct Cause {
    kind: HistoryKind,
    who: String,
    why: Option<String>,
    text_hash_before: Option<String>,
}

impl Swap {
    /// Takes over the configuration that the gateway was started with, as generation 1.
    pub(crate) fn start(
        gateway: Gateway,
        table: Arc<RouteTable>,
        loaded: (Option<FileSet>, String, Report),
        variables: Variables,
        metrics: Metrics,
        (mut history, timeline): (History, Timeline),
    ) -> Self {
        let (files, text_hash, report) = loaded;
        let entry = entry_of_start(&history, &table, &text_hash, &variables);
        history.record(files.as_ref().map(|files| (files, text_hash.as_str())), entry);
        metrics.in_force(1, table.hash().as_str());
        let since = clock::now();
        let reload = Reload {
            at: since.clone(),
            result: ReloadResult::Applied,
            generation: 1,
            hash: table.hash().as_str().to_owned(),
            text_hash: text_hash.clone(),
            report: report.to_string(),
            problems: report.problems.iter().map(told).collect(),
        };
        let state_dir = history.view().state_dir().map(|path| path.display().to_string());
        let config = api::Config {
            version: API_VERSION,
            generation: 1,
            hash: reload.hash.clone(),
            since: since.clone(),
            file: files.as_ref().map(|files| absolute(&files.main.name)),
            last_reload: reload,
            floor: false,
            text_hash: text_hash.clone(),
            state_dir,
            history_problem: None,
            process: std::process::id(),
            upgrade_problem: None,
        };
        let view = View::new(config, Arc::clone(&table), history.view());
        let counts = Counts::new(gateway.clone(), since.clone());
        Self {
            gateway,
            variables,
            metrics,
            counts,
            timeline,
            history,
            view,
            accepted: Arc::clone(&table),
            accepted_files: files,
            accepted_text_hash: text_hash,
            in_force: table,
            floor: false,
            holding: None,
            generation: 1,
            since,
        }
    }

    /// The reading end for the admin API.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }

    /// What was answered since a route was last changed, for the admin API.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// The files of the configuration in force.
    pub(crate) fn files(&self) -> Option<&FileSet> {
        self.accepted_files.as_ref()
    }

    /// Whether a command said that it is about to write this text.
    pub(crate) fn is_announced(&self, text_hash: &str) -> bool {
        self.view.is_announced(text_hash)
    }

    /// The environment as the process was given it.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Tries a file set that was read.
    pub(crate) fn attempt(&mut self, files: FileSet, text_hash: String) -> Reload {
        let (table, mut report) = load::parse(&files, &self.variables);
        let Some(table) = table else { return self.refused(text_hash, &report) };
        if self.empties(&table) {
            let message = "no route left: an empty set would replace one that is not empty".to_owned();
            let hint = Some("write `allow_empty = true` under `[defaults]` if that is meant");
            report.problems.extend(whole_file("empty-routes", &files.main.name, message, hint).problems);
            return self.refused(text_hash, &report);
        }
        load::add_unusable(&table, &mut report);
        if report.has_errors() {
            return self.refused(text_hash, &report);
        }
        let before = std::mem::replace(&mut self.accepted_text_hash, text_hash.clone());
        self.accepted_files = Some(files);
        if table.hash() == self.accepted.hash() {
            self.record(None);
            return self.ended(ReloadResult::Unchanged, text_hash, &report);
        }
        self.accepted = Arc::new(table);
        let table = self.wanted();
        self.floor = table.hash() != self.accepted.hash();
        let announced = self.view.announced(&text_hash);
        let (who, why) = announced.map_or(("file".to_owned(), None), |known| (known.who, known.why));
        let cause = Cause { kind: HistoryKind::Reload, who, why, text_hash_before: Some(before) };
        self.put_in_force(table, cause);
        self.ended(ReloadResult::Applied, text_hash, &report)
    }

    /// What the files mean, under the rollback that was ordered after they were saved.
    fn wanted(&self) -> Arc<RouteTable> {
        let held = self.holding.as_ref().and_then(|order| floored(&self.accepted, order).ok());
        held.map_or_else(|| Arc::clone(&self.accepted), |rolled| Arc::new(rolled.table))
    }

    /// Until [`Swap::release`], a change of the files does not lift this rollback.
    pub(crate) fn hold(&mut self, order: api::Rollback) {
        self.holding = Some(order);
    }

    /// From now on a change of the files counts as later than the rollback. Tells the answer of the rollback
    /// what is in force by now.
    pub(crate) fn release(&mut self, mut answer: api::RolledBack) -> api::RolledBack {
        self.holding = None;
        answer.generation = self.generation;
        self.in_force.hash().as_str().clone_into(&mut answer.hash);
        answer
    }

    /// A panic while reloading is refused like a bad file: seen, and nothing changes.
    pub(crate) fn panicked(&mut self, main: &Path) -> Reload {
        let message = "reloading failed; this is a bug of banyan".to_owned();
        self.refused(String::new(), &whole_file("reload-failed", &main.display().to_string(), message, None))
    }

    /// Files that cannot be read are refused like files that cannot be understood.
    pub(crate) fn unreadable(&mut self, main: &Path, error: &ReadError) -> Reload {
        let main = main.display().to_string();
        let file = error.file().unwrap_or(&main);
        self.refused(String::new(), &whole_file(error.code(), file, error.to_string(), None))
    }

    /// Without a file there is nothing to load anew.
    pub(crate) fn no_file(&mut self) -> Reload {
        self.ended(ReloadResult::Unchanged, self.accepted_text_hash.clone(), &Report::default())
    }

    /// Puts one share, or every share, at 0 without touching a file, until the files mean something else.
    pub(crate) fn rollback(&mut self, order: api::Rollback) -> Result<api::RolledBack, NoSuchRoute> {
        let rolled = floored(&self.in_force, &order)?;
        let kept = rolled.left.iter().map(|index| rolled.table.route(*index).name.clone()).collect();
        let pinned = pinned(&rolled, &order);
        let changes = change_lines(&self.in_force, &rolled.table);
        let result = if rolled.table.hash() == self.in_force.hash() {
            ReloadResult::Unchanged
        } else {
            self.floor = true;
            self.put_in_force(
                Arc::new(rolled.table),
                self.by_hand(HistoryKind::Rollback, order.who, order.why),
            );
            tracing::warn!(
                "rollback held in memory: it ends with the next accepted change of the files, or a restart"
            );
            self.tell(None);
            ReloadResult::Applied
        };
        Ok(api::RolledBack { kept, pinned, ..self.rolled_back(result, changes) })
    }

    /// What the files mean is in force again.
    pub(crate) fn end_rollback(&mut self, order: api::EndRollback) -> api::RolledBack {
        if !self.floor {
            return self.rolled_back(ReloadResult::Unchanged, Vec::new());
        }
        let changes = change_lines(&self.in_force, &self.accepted);
        self.floor = false;
        self.put_in_force(
            Arc::clone(&self.accepted),
            self.by_hand(HistoryKind::RollbackEnd, order.who, order.why),
        );
        self.tell(None);
        self.rolled_back(ReloadResult::Applied, changes)
    }

    /// A swap that changed no file.
    fn by_hand(&self, kind: HistoryKind, who: String, why: Option<String>) -> Cause {
        Cause { kind, who, why, text_hash_before: Some(self.accepted_text_hash.clone()) }
    }

    fn rolled_back(&self, result: ReloadResult, changes: Vec<String>) -> api::RolledBack {
        let (generation, hash) = (self.generation, self.in_force.hash().as_str().to_owned());
        let (kept, pinned) = (Vec::new(), Vec::new());
        api::RolledBack { version: API_VERSION, result, generation, hash, changes, kept, pinned }
    }

    fn empties(&self, table: &RouteTable) -> bool {
        table.routes().is_empty() && !self.accepted.routes().is_empty() && !table.allow_empty()
    }

    /// The swap itself; then the counters, the log, the metrics and the history.
    fn put_in_force(&mut self, table: Arc<RouteTable>, cause: Cause) {
        self.generation += 1;
        self.gateway.apply(Arc::clone(&table), self.generation);
        let old = std::mem::replace(&mut self.in_force, table);
        self.since = clock::now();
        let (before, after) = (old.hash().as_str().to_owned(), self.in_force.hash().as_str().to_owned());
        let different = diff(&old, &self.in_force);
        self.counts.note(&different, &self.since);
        self.timeline.changed(&different, SystemTime::now());
        let mut changes: Vec<String> = different.iter().map(change_line).collect();
        if self.floor && cause.kind == HistoryKind::Reload {
            changes.push("the rollback held in memory goes on".to_owned());
        }
        self.metrics.in_force(self.generation, &after);
        tracing::info!(
            generation = self.generation,
            hash = after,
            who = cause.who,
            "configuration in force: {}",
            changes.join("; ")
        );
        self.record(Some(HistoryEntry {
            at: self.since.clone(),
            generation: self.generation,
            before: Some(before),
            after,
            text_hash: self.accepted_text_hash.clone(),
            text_hash_before: cause.text_hash_before,
            kind: cause.kind,
            who: cause.who,
            why: cause.why,
            changes,
            routes: routes_of(&different),
        }));
    }

    /// Disks may be slow: only after the table is in force.
    fn record(&mut self, entry: Option<HistoryEntry>) {
        let files = self.accepted_files.as_ref().map(|files| (files, self.accepted_text_hash.as_str()));
        self.history.record(files, entry);
    }

    fn refused(&mut self, text_hash: String, report: &Report) -> Reload {
        let errors = report.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        tracing::error!(
            generation = self.generation,
            hash = self.in_force.hash().as_str(),
            errors,
            "configuration refused whole, the old one stays in force:\n{report}"
        );
        self.ended(ReloadResult::Refused, text_hash, report)
    }

    fn ended(&mut self, result: ReloadResult, text_hash: String, report: &Report) -> Reload {
        if result != ReloadResult::Refused && !report.problems.is_empty() {
            tracing::warn!("configuration accepted with warnings:\n{report}");
        }
        let reload = Reload {
            at: clock::now(),
            result,
            generation: self.generation,
            hash: self.in_force.hash().as_str().to_owned(),
            text_hash,
            report: report.to_string(),
            problems: report.problems.iter().map(told).collect(),
        };
        self.metrics.attempted(result);
        self.tell(Some(reload.clone()));
        reload
    }

    /// Last of all: who sees the new generation here finds it in the history too.
    fn tell(&self, last_reload: Option<Reload>) {
        let told = self.view.config();
        self.view.set_accepted(&self.accepted);
        self.view.set_config(api::Config {
            generation: self.generation,
            hash: self.in_force.hash().as_str().to_owned(),
            since: self.since.clone(),
            last_reload: last_reload.unwrap_or(told.last_reload),
            floor: self.floor,
            text_hash: self.accepted_text_hash.clone(),
            ..told
        });
    }
}

/// So that a command started in another folder finds the same file.
fn absolute(name: &str) -> String {
    // Fails only without a working folder; then there is nothing better to tell.
    path::absolute(name).map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

/// One problem as the admin API tells it.
pub(crate) fn told(problem: &banyan_routes::Problem) -> api::Problem {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    api::Problem {
        code: problem.code.to_owned(),
        severity: severity.to_owned(),
        message: problem.message.clone(),
        file: problem.file.clone(),
        line: problem.line,
        column: problem.column,
        hint: problem.hint.clone(),
    }
}
