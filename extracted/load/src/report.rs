//! What a run saw, for people and for scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use serde::Serialize;

use crate::{audit::Audit, ledger::Ledger, tally::Counts};

/// The result of a run. The fields are the JSON's.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The version of this format.
    pub version: u32,
    /// Requests sent, the checks afterwards not counted.
    pub requests: u64,
    /// Requests without an answer, or with one that was not expected.
    pub failed: u64,
    /// The first 200 failures in words.
    pub failures: Vec<String>,
    /// Answers by their `Server` field.
    pub answers: BTreeMap<String, u64>,
    /// The same for `/api/orders` alone.
    pub order_answers: BTreeMap<String, u64>,
    /// Half the answers took at most this, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 answers took at most this, in milliseconds.
    pub p99_ms: f64,
    /// How long it took, the checks included.
    pub seconds: f64,
    /// Orders acknowledged with 201.
    pub orders: usize,
    /// Of them acknowledged as cancelled.
    pub cancelled: usize,
    /// Where the books and the shop differ. Empty when all is well.
    pub problems: Vec<String>,
    /// What the database itself says, when it was asked.
    pub audit: Option<Audit>,
}

impl Report {
    pub(crate) fn new(
        counts: &Counts,
        took: Duration,
        ledgers: &[Ledger],
        mut problems: Vec<String>,
    ) -> Self {
        problems.extend(numbers_given_twice(ledgers));
        let orders = || ledgers.iter().flat_map(|ledger| ledger.orders.values());
        Self {
            version: 1,
            requests: counts.requests,
            failed: counts.failed,
            failures: counts.failures.clone(),
            answers: counts.answers.clone(),
            order_answers: counts.order_answers.clone(),
            p50_ms: millis(counts.latency.value_at_quantile(0.5)),
            p99_ms: millis(counts.latency.value_at_quantile(0.99)),
            seconds: took.as_secs_f64(),
            orders: orders().count(),
            cancelled: orders().filter(|order| order.status == "cancelled").count(),
            problems,
            audit: None,
        }
    }

    /// Adds what the database says.
    pub fn add_audit(&mut self, audit: Audit) {
        self.problems.extend(audit.problems());
        self.audit = Some(audit);
    }

    /// Whether no request failed and the books are right.
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.problems.is_empty()
    }
}

fn numbers_given_twice(ledgers: &[Ledger]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let orders = ledgers.iter().flat_map(|ledger| ledger.orders.values());
    orders
        .filter(|order| !seen.insert(order.number))
        .map(|order| format!("order number {} was given twice", order.number))
        .collect()
}

fn millis(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "requests   {} in {:.1} s, {} failed", self.requests, self.seconds, self.failed)?;
        writeln!(f, "latency    p50 {:.1} ms, p99 {:.1} ms", self.p50_ms, self.p99_ms)?;
        shares(f, "answers", &self.answers)?;
        shares(f, "on orders", &self.order_answers)?;
        writeln!(f, "orders     {} acknowledged, {} of them cancelled", self.orders, self.cancelled)?;
        if let Some(audit) = &self.audit {
            writeln!(f, "database   {} orders, last number {}", audit.orders, audit.last_number)?;
        }
        for problem in &self.problems {
            writeln!(f, "problem    {problem}")?;
        }
        write!(f, "books      {}", if self.problems.is_empty() { "right" } else { "WRONG" })
    }
}

fn shares(f: &mut fmt::Formatter<'_>, name: &str, answers: &BTreeMap<String, u64>) -> fmt::Result {
    let all: u64 = answers.values().sum();
    for (server, count) in answers {
        let tenths = (count * 1000).checked_div(all).unwrap_or(0);
        writeln!(f, "{name:<10} {server} {count} ({}.{} %)", tenths / 10, tenths % 10)?;
    }
    Ok(())
}
