//! What is promised of comparisons, through the public door.
//!
//! `corpus` reads pairs with a known truth, `answers` makes them; `truth` runs them. `stream` and `diffy` let the
//! same pairs flow by, as Diffy sees them. `stored`: what survives a restart. `properties`, `bounds` and `golden` hold for any answer.
//! `simulation`: a planted fault, and legacy against itself. `recheck`: asked again. `seeds`: the fuzzer's.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its cases has failed")]
#![allow(clippy::print_stdout, reason = "figures are for whoever asks with --no-capture")]

mod answers;
mod bounds;
mod corpus;
mod diffy;
mod evidence;
mod golden;
mod properties;
mod recheck;
mod seeds;
mod simulation;
mod stored;
mod stream;
mod truth;

use banyan_compare::{Observation, Rules, Verdict, compare};

/// As every test compares: on one day.
fn check(legacy: &Observation, candidate: &Observation, rules: &Rules) -> Verdict {
    compare(legacy, candidate, rules, jiff::civil::date(2026, 6, 1))
}
