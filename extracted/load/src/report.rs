//! What a run saw.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Write},
    time::Duration,
};

use crate::{audit::Audit, ledger::Ledger, visit::Kind};

/// Failures beyond this are counted only: an outage must not fill a disk.
const FAILURES_KEPT: usize = 200;

/// Answers by their `Server` field.
type Answers = BTreeMap<String, u64>;

/// What all connections count together, the checks at the end not counted; then what the books say.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "the text below says what each number is")]
pub struct Report {
    pub requests: u64,
    pub failed: u64,
    pub failures: Vec<String>,
    pub visits: BTreeMap<String, Answers>,
    answers: Answers,
    latencies_us: Vec<u32>,
    pub(crate) took: Duration,
    pub orders: usize,
    pub cancelled: usize,
    pub payments: usize,
    pub refunded: usize,
    pub too_late: usize,
    pub newcomers: usize,
    pub problems: Vec<String>,
    pub databases: Vec<Audit>,
}

impl Report {
    /// Counts an answer, good or bad, in a visit of this kind.
    pub(crate) fn answered(&mut self, kind: Kind, server: &str, took: Duration) {
        self.requests += 1;
        self.latencies_us.push(took.as_micros().try_into().unwrap_or(u32::MAX));
        let kind = self.visits.entry(format!("{kind:?}").to_lowercase()).or_default();
        for answers in [kind, &mut self.answers] {
            *answers.entry(server.to_owned()).or_default() += 1;
        }
    }

    /// Notes and prints what went wrong.
    pub(crate) fn fail(&mut self, what: String) {
        self.failed += 1;
        if self.failures.len() < FAILURES_KEPT {
            // The report tells it again: a closed stderr loses nothing.
            let _ = writeln!(io::stderr(), "failed: {what}");
            self.failures.push(what);
        }
    }

    pub(crate) fn add_books(&mut self, books: &[Ledger]) {
        let orders = || books.iter().flat_map(|ledger| ledger.orders.values());
        let payments = || books.iter().flat_map(|ledger| ledger.payments.values());
        self.problems.extend(given_twice("order number", orders().map(|order| order.number)));
        self.problems.extend(given_twice("payment", payments().map(|payment| payment.id)));
        self.orders = orders().count();
        self.cancelled = orders().filter(|order| order.status == "cancelled").count();
        self.payments = payments().count();
        self.refunded = payments().filter(|payment| !payment.stands()).count();
        self.too_late = books.iter().map(|ledger| ledger.too_late).sum();
        self.newcomers = books.iter().map(|ledger| ledger.newcomers.len()).sum();
        self.latencies_us.sort_unstable();
    }

    pub(crate) fn add_audit(&mut self, audit: Audit) {
        let wrong = audit.checks.iter().filter(|(_, count)| **count != 0);
        self.problems.extend(wrong.map(|(what, count)| format!("{}: {count} {what}", audit.database)));
        self.databases.push(audit);
    }

    /// Whether no request failed and the books are right.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.problems.is_empty()
    }

    /// So many of 100 answers took at most this.
    fn latency_ms(&self, percent: usize) -> f64 {
        let place = self.latencies_us.len().saturating_sub(1) * percent / 100;
        self.latencies_us.get(place).map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

fn given_twice(what: &str, numbers: impl Iterator<Item = i64>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let twice = numbers.filter(|number| !seen.insert(*number));
    twice.map(|number| format!("{what} {number} was given twice")).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, failed, orders, cancelled, payments, refunded, too_late, .. } = self;
        writeln!(f, "requests   {requests} in {:.1} s, {failed} failed", self.took.as_secs_f64())?;
        writeln!(f, "latency    p50 {:.1} ms, p99 {:.1} ms", self.latency_ms(50), self.latency_ms(99))?;
        writeln!(f, "answers    {}", shares(&self.answers))?;
        for (kind, answers) in &self.visits {
            writeln!(f, "  {kind:<13}  {}", shares(answers))?;
        }
        writeln!(f, "orders     {orders} acknowledged, {cancelled} of them cancelled")?;
        writeln!(f, "payments   {payments} acknowledged, {refunded} of them refunded, {too_late} too late")?;
        writeln!(f, "sign-ups   {}", self.newcomers)?;
        for Audit { database, orders, checks } in &self.databases {
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
