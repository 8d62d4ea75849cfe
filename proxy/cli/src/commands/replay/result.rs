//! What a replay adds up to, for people and programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use banyan_compare::{Evidence, EvidenceSnapshot, Interval, Observation, Verdict, wilson};
use banyan_control::api::{Ratio, VerdictCounts};
use serde::Serialize;

use super::input::Question;
use crate::args::ReplayArgs;
use crate::commands::JSON_VERSION;
use crate::commands::mismatches::{between, percent};
use crate::failure::{Exit, Failure};
use crate::screen::{self, Cell};

/// Signatures shown to people.
const SHOWN_MAX: usize = 20;

/// Bytes of the longest request shown.
const EXAMPLE_BYTES_MAX: usize = 512;

/// Why a request was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    /// It is not known to have no effects.
    Unsafe,
    /// Something of it was taken out or not kept.
    NotWhole,
}

/// What was asked so far.
#[derive(Default)]
pub(super) struct Replayed {
    evidence: Evidence,
    /// By signature, the first request that showed it. As many as signatures are kept.
    examples: BTreeMap<String, String>,
    asked: u64,
    unanswered: u64,
    skipped_unsafe: u64,
    skipped_not_whole: u64,
}

/// For programs.
#[derive(Serialize)]
struct Told {
    version: u32,
    passed: bool,
    fail_over: f64,
    /// Requests both were asked.
    asked: u64,
    skipped_unsafe: u64,
    skipped_not_whole: u64,
    counts: VerdictCounts,
    mismatch_ratio: Option<Ratio>,
    /// Requests that legacy answered and the candidate did not, or not so that it can be compared.
    unanswered: u64,
    /// Mismatches and unanswered requests; what is held against `fail_over`. None without data.
    failed_ratio: Option<f64>,
    incomparable: BTreeMap<&'static str, u64>,
    signatures: Vec<ToldSignature>,
}

#[derive(Serialize)]
struct ToldSignature {
    signature: String,
    mismatches: u64,
    share: Option<f64>,
    /// The first request that showed it.
    example: Option<String>,
}

impl Replayed {
    pub(super) fn skip(&mut self, why: Skipped) {
        match why {
            Skipped::Unsafe => self.skipped_unsafe += 1,
            Skipped::NotWhole => self.skipped_not_whole += 1,
        }
    }

    /// Both were asked.
    pub(super) fn add(
        &mut self,
        question: &Question,
        verdict: &Verdict,
        legacy: &Observation,
        candidate: &Observation,
        now_ms: u64,
        is_unanswered: bool,
    ) {
        self.asked += 1;
        self.unanswered += u64::from(is_unanswered);
        self.evidence.record(verdict, legacy, candidate, now_ms);
        let Verdict::Mismatch(differences) = verdict else { return };
        for signature in differences.signatures() {
            if self.examples.len() < banyan_compare::EVIDENCE_SIGNATURES_MAX {
                let example = || {
                    let told = question.told();
                    told[..told.floor_char_boundary(EXAMPLE_BYTES_MAX)].to_owned()
                };
                self.examples.entry(signature.as_str().to_owned()).or_insert_with(example);
            }
        }
    }

    /// One line, while it goes on.
    pub(super) fn progress(&self, all: usize) -> String {
        let counts = self.evidence.snapshot().counts;
        let done = self.asked + self.skipped_unsafe + self.skipped_not_whole;
        format!("{done} of {all}: {} mismatches, {} incomparable", counts.mismatch, counts.incomparable)
    }

    fn told(&self, args: &ReplayArgs) -> (Told, EvidenceSnapshot) {
        let snapshot = self.evidence.snapshot();
        let counts = snapshot.counts;
        let failed = wilson(counts.mismatch + self.unanswered, counts.compared() + self.unanswered);
        let failed_ratio = failed.map(|failed| failed.ratio);
        let compared = counts.compared();
        let told = Told {
            version: JSON_VERSION,
            // Nothing compared is never a pass.
            passed: compared > 0 && failed_ratio.is_some_and(|ratio| ratio <= args.fail_over.0),
            fail_over: args.fail_over.0,
            asked: self.asked,
            skipped_unsafe: self.skipped_unsafe,
            skipped_not_whole: self.skipped_not_whole,
            counts: VerdictCounts {
                compared,
                matched: counts.matched,
                ignored: counts.ignored,
                noise: counts.noise,
                mismatch: counts.mismatch,
                transient: counts.transient,
                incomparable: counts.incomparable,
            },
            mismatch_ratio: snapshot.mismatch_ratio.map(|Interval { ratio, lower, upper }| Ratio {
                ratio,
                lower,
                upper,
            }),
            unanswered: self.unanswered,
            failed_ratio,
            incomparable: snapshot.incomparable.iter().map(|(reason, n)| (reason.as_str(), *n)).collect(),
            signatures: self.signatures(&snapshot),
        };
        (told, snapshot)
    }

    fn signatures(&self, snapshot: &EvidenceSnapshot) -> Vec<ToldSignature> {
        let told = |(signature, seen): &(banyan_compare::Signature, banyan_compare::Seen)| ToldSignature {
            signature: signature.as_str().to_owned(),
            mismatches: seen.mismatches,
            share: wilson(seen.mismatches, snapshot.counts.compared()).map(|share| share.ratio),
            example: self.examples.get(signature.as_str()).cloned(),
        };
        snapshot.signatures.iter().map(told).collect()
    }
}

/// Prints it, and says how it ends.
pub(super) fn conclude(replayed: &Replayed, args: &ReplayArgs) -> Result<Exit, Failure> {
    let (told, snapshot) = replayed.told(args);
    if args.json {
        screen::print_json(&told)?;
    } else {
        screen::print_text(&for_people(&told, &snapshot))?;
    }
    if told.passed {
        return Ok(Exit::Ok);
    }
    Err(verdict(&told))
}

fn for_people(told: &Told, snapshot: &EvidenceSnapshot) -> String {
    let counts = &told.counts;
    let skipped = told.skipped_unsafe + told.skipped_not_whole;
    let mut out = format!("{} requests asked of both, {skipped} left out", told.asked);
    if skipped > 0 {
        let _ = write!(out, " ({} not safe, {} not whole)", told.skipped_unsafe, told.skipped_not_whole);
    }
    let ratio = match told.mismatch_ratio {
        Some(ratio) => format!("{} ({})", percent(ratio.ratio), between(ratio)),
        None => "unknown: nothing was compared".to_owned(),
    };
    let _ = writeln!(out, "\n  mismatch      {}, {ratio}", counts.mismatch);
    let _ = writeln!(out, "  else          {} match, {} ignored", counts.matched, counts.ignored);
    let reasons: Vec<_> =
        told.incomparable.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    let _ = writeln!(out, "  incomparable  {}{reasons}", counts.incomparable);
    if told.unanswered > 0 {
        let _ = writeln!(out, "  unanswered    {} by the candidate alone", told.unanswered);
    }
    if let Some(latency) = snapshot.latency {
        let ratio = |pair: banyan_compare::Percentile| format!("x{:.2}", pair.ratio);
        let _ = writeln!(
            out,
            "  latency       candidate to legacy: p50 {}, p95 {}, p99 {}",
            ratio(latency.p50),
            ratio(latency.p95),
            ratio(latency.p99)
        );
    }
    out + &top(told)
}

fn top(told: &Told) -> String {
    if told.signatures.is_empty() {
        return String::new();
    }
    let row = |one: &ToldSignature| -> Vec<Cell> {
        vec![
            screen::printable(&one.signature).into(),
            one.share.map_or_else(|| "-".to_owned(), percent).into(),
            one.mismatches.to_string().into(),
            screen::printable(one.example.as_deref().unwrap_or("-")).into(),
        ]
    };
    let rows: Vec<_> = told.signatures.iter().take(SHOWN_MAX).map(row).collect();
    let more = told.signatures.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!("and {more} more: `--json` has them all\n") } else { String::new() };
    format!("\n{}{more}", screen::table(&["DIFFERENCE", "SHARE", "MISMATCHES", "FIRST IN"], &rows))
}

fn verdict(told: &Told) -> Failure {
    let Some(failed) = told.failed_ratio.filter(|_| told.counts.compared > 0) else {
        let hint = match () {
            () if told.unanswered > 0 => "is the candidate there? --candidate URL",
            () if told.skipped_unsafe > 0 => "`--writes` also asks requests that are not safe: both do them",
            () if told.counts.incomparable > 0 => "is legacy there? --legacy URL",
            () => "record requests with `banyan record ROUTE --out FILE`",
        };
        return Failure::new(Exit::Failed, "nothing was compared, and no data is no pass").hint(hint);
    };
    let message = format!(
        "{} of {} requests differ or were not answered: {}, more than {}",
        told.counts.mismatch + told.unanswered,
        told.counts.compared + told.unanswered,
        percent(failed),
        percent(told.fail_over)
    );
    Failure::new(Exit::Failed, message)
        .hint("fix the candidate, or name what may differ with `compare` of a route and `--route NAME`")
}
