//! The board: made once per sample and configuration, and shared by everybody who asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use banyan_gateway::{BreakerState, Gateway};
use banyan_routes::{Route, RouteTable};
use tokio::sync::watch;

use crate::admin::Phase;
use crate::api::{self, API_VERSION, Board, BoardRow, BoardTotals, Mark, Trouble};
use crate::clock;
use crate::explain::{DEFAULT_ROUTE, pins_candidate, place, split};
use crate::marks::last_changes;
use crate::timeline::{Recent, Timeline, mismatch, routes};
use crate::view::View;

/// What the numbers of a row are about, in samples: five minutes.
const WINDOW_SAMPLES: u32 = 30;

/// Makes the board. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BoardMaker {
    gateway: Gateway,
    view: View,
    timeline: Timeline,
    phase: watch::Receiver<Phase>,
    window: Duration,
    made: Arc<Mutex<Option<(Key, MadeBoard)>>>,
}

/// Another one makes another board.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    as_of: Option<SystemTime>,
    /// In steps of ten seconds, so that a page sees it grow.
    stale: Option<u64>,
    phase: Phase,
    /// Also when the last reload was refused, or history cannot be written.
    config: api::Config,
}

/// A board, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct MadeBoard {
    /// For pages.
    pub(crate) board: Arc<Board>,
    /// The same as JSON.
    pub(crate) json: bytes::Bytes,
    /// Strong entity tag (RFC 9110, 8.8.3), quotes included.
    pub(crate) etag: String,
}

impl BoardMaker {
    pub(crate) fn new(
        gateway: Gateway,
        view: View,
        timeline: Timeline,
        phase: watch::Receiver<Phase>,
        sample_every: Duration,
    ) -> Self {
        let window = sample_every * WINDOW_SAMPLES;
        Self { gateway, view, timeline, phase, window, made: Arc::default() }
    }

    /// The board as of the newest sample.
    pub(crate) fn board(&self) -> MadeBoard {
        let stale = self.timeline.stale(SystemTime::now());
        let key = Key {
            as_of: self.timeline.as_of(),
            stale: stale.map(|age| age.as_secs() / 10),
            phase: *self.phase.borrow(),
            config: self.view.config(),
        };
        // Held while it is made: whoever asks meanwhile waits for this one instead of making another.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, board)) = &*made
            && *of == key
        {
            return board.clone();
        }
        let board = self.made(&key, stale);
        *made = Some((key, board.clone()));
        board
    }

    fn made(&self, key: &Key, stale: Option<Duration>) -> MadeBoard {
        let table = self.gateway.table();
        let (changes, trouble) = (last_changes(self.view.history()), Troubles::of(&self.gateway));
        let held = key.config.floor.then(|| self.view.accepted());
        let row = |name: &str, route: Option<&Route>| {
            let recent = self.timeline.recent(name, self.window);
            let row = row(&table, (name, route), &recent, changes.get(name));
            let compared = self.gateway.comparisons().counts(name);
            BoardRow {
                mismatch: compared.and_then(|counts| mismatch(counts.mismatch, counts.compared())),
                trouble: trouble.of_row(&row),
                ..under_floor(row, held.as_deref())
            }
        };
        let named = table.routes().iter().map(|route| row(&route.name, Some(route)));
        let rows: Vec<BoardRow> = named.chain([row(DEFAULT_ROUTE, None)]).collect();
        let totals = self.totals(key, stale, &table, &rows);
        let board = Board { version: API_VERSION, totals, rows };
        // Every field can be written: strings, numbers and lists. JSON has no infinity, and no ratio here is one.
        let json = serde_json::to_vec(&board).unwrap_or_default();
        let etag = format!("\"{}\"", &crate::files::bytes_hash(&json)[..32]);
        MadeBoard { board: Arc::new(board), json: json.into(), etag }
    }

    fn totals(
        &self,
        key: &Key,
        stale: Option<Duration>,
        table: &RouteTable,
        rows: &[BoardRow],
    ) -> BoardTotals {
        let config = key.config.clone();
        let (routes, routes_off) = routes(table);
        BoardTotals {
            routes,
            routes_off,
            requests_off_ratio: self.timeline.requests_off(),
            requests_off_seconds: self.timeline.hour().as_secs(),
            requests_per_second: rows
                .iter()
                .filter_map(|row| row.requests_per_second)
                .reduce(|sum, more| sum + more),
            window_seconds: self.window.as_secs(),
            as_of: key.as_of.map(clock::told),
            stale_seconds: stale.map(|age| age.as_secs()),
            generation: config.generation,
            hash: config.hash,
            since: config.since,
            floor: config.floor,
            last_reload: config.last_reload,
            phase: key.phase.as_str().to_owned(),
            history_problem: config.history_problem,
        }
    }
}

/// Without what other places know: comparisons and upstreams.
fn row(
    table: &RouteTable,
    (name, route): (&str, Option<&Route>),
    recent: &Recent,
    last_change: Option<&Mark>,
) -> BoardRow {
    let split = route.and_then(split);
    let cohort = split.and_then(|split| split.cohort);
    let legacy = route.map_or(table.legacy(), |route| route.legacy);
    BoardRow {
        name: name.to_owned(),
        stage: route.map_or(banyan_routes::Stage::Legacy, Route::stage).as_str().to_owned(),
        cohort: cohort.map(|index| table.cohorts()[index.0 as usize].name.clone()),
        legacy_upstream: table.upstream(legacy).name.clone(),
        candidate_upstream: split.map(|split| table.upstream(split.candidate).name.clone()),
        percent: split.map(|split| split.share.to_string()),
        percent_in_files: None,
        floor: false,
        observed_share: recent.observed_share,
        observed_requests: recent.observed_requests,
        pins_candidate: route.is_some_and(pins_candidate),
        requests_per_second: recent.requests_per_second,
        legacy: recent.legacy,
        candidate: recent.candidate,
        banyan: recent.banyan,
        mismatch: None,
        trouble: Vec::new(),
        last_change: last_change.cloned(),
        origin: route.map(|route| place(&route.origin)),
        meta: route.map(|route| route.meta.clone()).unwrap_or_default(),
    }
}

/// Where the files say something else than what is held in memory.
fn under_floor(row: BoardRow, accepted: Option<&RouteTable>) -> BoardRow {
    let written = accepted
        .and_then(|table| table.routes().iter().find(|route| route.name == row.name))
        .and_then(split)
        .map(|split| split.share.to_string());
    let percent_in_files = written.filter(|written| row.percent.as_ref() != Some(written));
    BoardRow { floor: percent_in_files.is_some(), percent_in_files, ..row }
}

/// What is the matter, by upstream.
struct Troubles(BTreeMap<String, Vec<(&'static str, Option<String>)>>);

impl Troubles {
    fn of(gateway: &Gateway) -> Self {
        let mut troubles: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for breaker in gateway.breakers() {
            let kind = match breaker.state {
                BreakerState::Closed => continue,
                BreakerState::HalfOpen => "breaker-half-open",
                BreakerState::Open => "breaker-open",
            };
            troubles.entry(breaker.upstream).or_default().push((kind, None));
        }
        for target in gateway.targets().into_iter().filter(|target| !target.healthy || target.ejected) {
            let kind = if target.healthy { "target-ejected" } else { "target-unhealthy" };
            troubles.entry(target.upstream).or_default().push((kind, Some(target.target)));
        }
        Self(troubles)
    }

    fn of_row(&self, row: &BoardRow) -> Vec<Trouble> {
        let arms = [("legacy", Some(&row.legacy_upstream)), ("candidate", row.candidate_upstream.as_ref())];
        let mut troubles = Vec::new();
        for (arm, upstream) in arms.into_iter().filter_map(|(arm, upstream)| Some((arm, upstream?))) {
            let found = self.0.get(upstream).into_iter().flatten();
            troubles.extend(found.map(|(kind, target)| Trouble {
                arm: arm.to_owned(),
                upstream: upstream.clone(),
                kind: (*kind).to_owned(),
                target: target.clone(),
            }));
        }
        troubles
    }
}
