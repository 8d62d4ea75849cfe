//! Counts and latencies of a run.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::client::Answer;

/// Failures beyond this are counted only: an outage must not fill a disk.
const FAILURES_KEPT: usize = 200;
const LATENCY_MAX_US: u64 = 60_000_000;

/// What all connections count together.
pub(crate) struct Tally(Mutex<Counts>);

/// The counts so far.
#[derive(Clone)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The first failures, in words.
    pub(crate) failures: Vec<String>,
    /// Answers by the `Server` field.
    pub(crate) answers: BTreeMap<String, u64>,
    /// The same for `/api/orders` alone.
    pub(crate) order_answers: BTreeMap<String, u64>,
    /// In microseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_max(LATENCY_MAX_US, 3).expect("the bounds are constants in range");
        Self(Mutex::new(Counts {
            requests: 0,
            failed: 0,
            failures: Vec::new(),
            answers: BTreeMap::new(),
            order_answers: BTreeMap::new(),
            latency,
        }))
    }

    /// Counts an answer, good or bad.
    pub(crate) fn answered(&self, path: &str, answer: &Answer) {
        let mut counts = self.lock();
        counts.requests += 1;
        *counts.answers.entry(answer.server.clone()).or_default() += 1;
        if path.starts_with("/api/orders") {
            *counts.order_answers.entry(answer.server.clone()).or_default() += 1;
        }
        counts.latency.saturating_record(micros(answer.took));
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

    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// How many failed so far.
    pub(crate) fn failed(&self) -> u64 {
        self.lock().failed
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(LATENCY_MAX_US)
}
