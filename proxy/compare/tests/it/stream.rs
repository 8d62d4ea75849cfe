//! The corpus as a stream: each case is an endpoint with 400 requests, of which legacy is asked twice.
//!
//! By a fixed seed: a fault is in 5 % of the candidate's answers. What wavers, wavers in all answers of one case, and in
//! 30 %, 10 % or 5 % of those of the next, of legacy when it is asked again as of the candidate. What neither is a
//! fault nor wavers (another key order, an ignored field) is in all answers of the candidate.
//!
//! Judged is at the end, from the counts alone.

use std::fmt;

use banyan_compare::{Learning, NoiseVerdict, Observation};

use crate::check;
use crate::corpus::{Case, Truth};

/// Requests of each case.
const REQUESTS: usize = 400;

/// Percent of answers with a fault.
const FAULTY: u32 = 5;

/// The answers of both arms to one request, and legacy's second answer.
pub(crate) struct Request<'c> {
    pub(crate) legacy: &'c Observation,
    pub(crate) again: &'c Observation,
    pub(crate) candidate: &'c Observation,
}

pub(crate) fn of(case: &Case) -> impl Iterator<Item = Request<'_>> {
    let seed = case.name.bytes().fold(0_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut chance = fastrand::Rng::with_seed(seed);
    let wavering = [100, 30, 10, 5][usize::try_from(seed % 4).unwrap()];
    (0..REQUESTS).map(move |_| {
        let mut of_hundred = |percent| chance.u32(0..100) < percent;
        let again = if of_hundred(wavering) { &case.again } else { &case.legacy };
        let wavers = of_hundred(wavering);
        let harmless = if wavers { &case.again } else { &case.legacy };
        let candidate = match case.truth {
            Truth::Mismatch(_) if !of_hundred(FAULTY) => harmless,
            Truth::Noise if !wavers => harmless,
            _ => &case.candidate,
        };
        Request { legacy: &case.legacy, again, candidate }
    })
}

/// Whether our own rule speaks of a mismatch.
pub(crate) fn ours(case: &Case) -> bool {
    let mut learning = Learning::default();
    for request in of(case) {
        learning.asked_twice(&check(request.legacy, request.again, &case.rules));
        learning.compared(&check(request.legacy, request.candidate, &case.rules));
    }
    let mut seen = learning.learned().filter(|one| one.disagreed.with_candidate > 0);
    seen.any(|one| one.verdict != NoiseVerdict::Noise)
}

/// How often "mismatch" was right.
pub(crate) struct Score {
    true_alarms: usize,
    false_alarms: usize,
    missed: usize,
}

impl Score {
    pub(crate) fn of(cases: &[Case], says_mismatch: impl Fn(&Case) -> bool) -> Self {
        let mut score = Self { true_alarms: 0, false_alarms: 0, missed: 0 };
        for case in cases {
            match (matches!(case.truth, Truth::Mismatch(_)), says_mismatch(case)) {
                (true, true) => score.true_alarms += 1,
                (true, false) => score.missed += 1,
                (false, true) => score.false_alarms += 1,
                (false, false) => {}
            }
        }
        score
    }

    pub(crate) fn precision(&self) -> f64 {
        ratio(self.true_alarms, self.true_alarms + self.false_alarms)
    }

    pub(crate) fn recall(&self) -> f64 {
        ratio(self.true_alarms, self.true_alarms + self.missed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "hundreds of cases")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl fmt::Display for Score {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { true_alarms, false_alarms, missed } = self;
        write!(
            out,
            "precision {:.3}, recall {:.3} ({true_alarms} found, {false_alarms} false alarms, {missed} missed)",
            self.precision(),
            self.recall()
        )
    }
}
