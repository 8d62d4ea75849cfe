//! What a run saw, for people and for scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::{audit::Audit, ledger::Ledger};

/// Failures beyond this are counted only: an outage must not fill a disk.
const FAILURES_KEPT: usize = 200;
const LATENCY_MAX_US: u64 = 60_000_000;

/// Answers by their `Server` field.
pub type Answers = BTreeMap<String, u64>;

/// What all connections count together.
pub(crate) struct Tally(Mutex<Counts>);

/// The counts so far, the checks at the end not counted.
#[derive(Clone, Debug, Serialize)]
pub struct Counts {
    /// Requests sent.
    pub requests: u64,
    /// Requests without an answer, or with one that was not expected.
    pub failed: u64,
    /// The first 200 failures in words.
    pub failures: Vec<String>,
    /// Answers to all requests.
    pub answers: Answers,
    /// Answers from `/api/orders`.
    pub order_answers: Answers,
    /// Answers by kind of visit.
    pub visits: BTreeMap<String, Answers>,
    #[serde(skip)]
    latency_us: Histogram<u64>,
}

/// The result of a run. The fields are the JSON's.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// What was counted.
    #[serde(flatten)]
    pub counts: Counts,
    /// Half the answers took at most this.
    pub p50_ms: f64,
    /// 99 of 100 answers took at most this.
    pub p99_ms: f64,
    /// How long it took, the checks included.
    pub seconds: f64,
    /// Orders acknowledged with 201.
    pub orders: usize,
    /// Of them acknowledged as cancelled.
    pub cancelled: usize,
    /// Payments acknowledged with 201.
    pub payments: usize,
    /// Of them acknowledged as refunded.
    pub refunded: usize,
    /// Of them refunded by the shop, since the order had expired before the payment was heard of.
    pub too_late: usize,
    /// People who signed up.
    pub newcomers: usize,
    /// Where the books and the shop differ. Empty when all is well.
    pub problems: Vec<String>,
    /// What the databases themselves say, as far as they were asked.
    pub databases: Vec<Audit>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Counts {
            requests: 0,
            failed: 0,
            failures: Vec::new(),
            answers: Answers::new(),
            order_answers: Answers::new(),
            visits: BTreeMap::new(),
            latency_us: Histogram::new_with_max(LATENCY_MAX_US, 3)
                .expect("the bounds are constants in range"),
        }))
    }

    /// Counts an answer, good or bad, in a visit of this kind.
    pub(crate) fn answered(&self, kind: String, path: &str, server: String, took: Duration) {
        let mut counts = self.lock();
        counts.requests += 1;
        counts.latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US));
        *counts.visits.entry(kind).or_default().entry(server.clone()).or_default() += 1;
        if path.starts_with("/api/orders") {
            *counts.order_answers.entry(server.clone()).or_default() += 1;
        }
        *counts.answers.entry(server).or_default() += 1;
    }

    /// Counts a request that got no answer.
    pub(crate) fn lost(&self) {
        self.lock().requests += 1;
    }

    /// Notes and prints what went wrong.
    pub(crate) fn fail(&self, what: String) {
        let mut counts = self.lock();
        counts.failed += 1;
        if counts.failures.len() < FAILURES_KEPT {
            // The report tells it again: a closed stderr loses nothing.
            let _ = writeln!(io::stderr(), "failed: {what}");
            counts.failures.push(what);
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    pub(crate) fn new(counts: Counts, took: Duration, books: &[Ledger], mut problems: Vec<String>) -> Self {
        let orders = || books.iter().flat_map(|ledger| ledger.orders.values());
        let payments = || books.iter().flat_map(|ledger| ledger.payments.values());
        problems.extend(given_twice("order number", orders().map(|order| order.number)));
        problems.extend(given_twice("payment", payments().map(|payment| payment.id)));
        let millis = |quantile| {
            Duration::from_micros(counts.latency_us.value_at_quantile(quantile)).as_secs_f64() * 1000.0
        };
        Self {
            version: 2,
            p50_ms: millis(0.5),
            p99_ms: millis(0.99),
            counts,
            seconds: took.as_secs_f64(),
            orders: orders().count(),
            cancelled: orders().filter(|order| order.status == "cancelled").count(),
            payments: payments().count(),
            refunded: payments().filter(|payment| !payment.stands()).count(),
            too_late: books.iter().map(|ledger| ledger.too_late).sum(),
            newcomers: books.iter().map(|ledger| ledger.newcomers.len()).sum(),
            problems,
            databases: Vec::new(),
        }
    }

    /// Adds what a database says.
    pub fn add_audit(&mut self, audit: Audit) {
        let wrong = audit.checks.iter().filter(|(_, count)| **count != 0);
        self.problems.extend(wrong.map(|(what, count)| format!("{}: {count} {what}", audit.database)));
        self.databases.push(audit);
    }

    /// Whether no request failed and the books are right.
    pub fn is_clean(&self) -> bool {
        self.counts.failed == 0 && self.problems.is_empty()
    }
}

fn given_twice(what: &str, numbers: impl Iterator<Item = i64>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = numbers.filter(|number| !seen.insert(*number));
    twice.map(|number| format!("{what} {number} was given twice")).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts, seconds, p50_ms, p99_ms, orders, payments, refunded, too_late, .. } = self;
        writeln!(f, "requests   {} in {seconds:.1} s, {} failed", counts.requests, counts.failed)?;
        writeln!(f, "latency    p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")?;
        writeln!(f, "answers    {}", shares(&counts.answers))?;
        writeln!(f, "on orders  {}", shares(&counts.order_answers))?;
        for (kind, answers) in &counts.visits {
            writeln!(f, "  {kind:<13}  {}", shares(answers))?;
        }
        writeln!(f, "orders     {orders} acknowledged, {} of them cancelled", self.cancelled)?;
        writeln!(f, "payments   {payments} acknowledged, {refunded} of them refunded, {too_late} too late")?;
        writeln!(f, "sign-ups   {}", self.newcomers)?;
        for Audit { database, orders, checks, .. } in &self.databases {
            let orders = orders.map(|count| format!(", {count} orders")).unwrap_or_default();
            writeln!(f, "database   {database}: {} checks{orders}", checks.len())?;
        }
        for problem in &self.problems {
            writeln!(f, "problem    {problem}")?;
        }
        write!(f, "books      {}", if self.problems.is_empty() { "right" } else { "WRONG" })
    }
}

fn shares(answers: &Answers) -> String {
    let all: u64 = answers.values().sum();
    let share = |(server, count): (&String, &u64)| {
        let tenths = (count * 1000).checked_div(all).unwrap_or(0);
        format!("{server} {count} ({}.{} %)", tenths / 10, tenths % 10)
    };
    answers.iter().map(share).collect::<Vec<_>>().join(", ")
}
