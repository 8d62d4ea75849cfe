//! What one route did between two looks at its counters, and how that is written down in few bytes.
//!
//! Most of the numbers of a sample are zero, and most others are small: a byte names the place of the next number and holds
//! it, too, where there is room. A sample of a route with forty requests takes about a dozen bytes.

use banyan_gateway::{ArmCounts, DURATION_BUCKETS, Distribution, RouteCounts};

/// Numbers of one arm: durations by bucket, then errors.
const ARM: usize = DURATION_BUCKETS + 1;
const FALLBACKS: usize = 3 * ARM;
const SHARE_DECISIONS: usize = FALLBACKS + 1;
const COMPARED: usize = SHARE_DECISIONS + 2;
const MISMATCHES: usize = COMPARED + 1;
const NUMBERS: usize = MISMATCHES + 1;

/// Where the decisions of an arm are that the share made.
const SHARED: [(usize, Arm); 2] = [(SHARE_DECISIONS, Arm::Legacy), (SHARE_DECISIONS + 1, Arm::Candidate)];

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Legacy,
    Candidate,
    Banyan,
}

/// Counters of one route, or what they rose by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample([u64; NUMBERS]);

impl Default for Sample {
    fn default() -> Self {
        Self([0; NUMBERS])
    }
}

impl Sample {
    /// The counters as they stand.
    pub(super) fn of(counts: &RouteCounts) -> Self {
        let mut numbers = [0; NUMBERS];
        for (place, arm) in counts.arms.iter().enumerate() {
            numbers[place * ARM..][..DURATION_BUCKETS].copy_from_slice(arm.durations.buckets());
            numbers[place * ARM + DURATION_BUCKETS] = arm.errors;
        }
        let [ArmCounts { share_decisions: to_legacy, .. }, candidate, _] = &counts.arms;
        numbers[FALLBACKS] = candidate.fallbacks;
        numbers[SHARE_DECISIONS] = *to_legacy;
        numbers[SHARE_DECISIONS + 1] = candidate.share_decisions;
        numbers[COMPARED] = counts.compared;
        numbers[MISMATCHES] = counts.mismatches;
        Self(numbers)
    }

    /// What came after `earlier`. A counter that fell has begun anew, and with it all of the route.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        if self.0.iter().zip(earlier.0).any(|(now, before)| *now < before) {
            return *self;
        }
        let mut numbers = self.0;
        for (now, before) in numbers.iter_mut().zip(earlier.0) {
            *now -= before;
        }
        Self(numbers)
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, number) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(number);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.iter().all(|number| *number == 0)
    }

    /// Answers of one arm.
    pub(super) fn requests(&self, arm: Arm) -> u64 {
        self.buckets(arm).iter().fold(0, |sum, more| sum.saturating_add(*more))
    }

    /// Failures of one arm among what it was asked: a request that fell back was asked of the candidate.
    pub(super) fn error_ratio(&self, arm: Arm) -> Option<f64> {
        let fallbacks = if arm == Arm::Candidate { self.0[FALLBACKS] } else { 0 };
        let asked = self.requests(arm) + fallbacks;
        // Two counters are not read at the very same moment.
        ratio(self.0[arm as usize * ARM + DURATION_BUCKETS].min(asked), asked)
    }

    /// Seconds.
    pub(super) fn quantile(&self, arm: Arm, quantile: f64) -> Option<f64> {
        Distribution::of_buckets(self.buckets(arm)).quantile(quantile)
    }

    /// Decisions by the share.
    pub(super) fn share_decisions(&self) -> u64 {
        self.0[SHARE_DECISIONS] + self.0[SHARE_DECISIONS + 1]
    }

    /// Of these, for the candidate.
    pub(super) fn observed_share(&self) -> Option<f64> {
        ratio(self.0[SHARE_DECISIONS + 1], self.share_decisions())
    }

    pub(super) fn compared(&self) -> u64 {
        self.0[COMPARED]
    }

    pub(super) fn mismatches(&self) -> u64 {
        self.0[MISMATCHES].min(self.0[COMPARED])
    }

    fn buckets(&self, arm: Arm) -> [u64; DURATION_BUCKETS] {
        let mut buckets = [0; DURATION_BUCKETS];
        buckets.copy_from_slice(&self.0[arm as usize * ARM..][..DURATION_BUCKETS]);
        buckets
    }

    /// As it is written: an arm whose decisions are its answers, as they mostly are, has no number for them.
    fn folded(mut self) -> Self {
        for (place, arm) in SHARED {
            let decisions = self.0[place];
            self.0[place] = if decisions == self.requests(arm) { 0 } else { decisions.saturating_add(1) };
        }
        self
    }

    fn unfolded(mut self) -> Self {
        for (place, arm) in SHARED {
            self.0[place] = self.0[place].checked_sub(1).unwrap_or_else(|| self.requests(arm));
        }
        self
    }

    /// Writes how many of its numbers are not zero, twice that, and those.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let folded = self.folded();
        write_number(2 * folded.0.iter().filter(|number| **number > 0).count() as u64, out);
        let mut next = 0;
        for (place, number) in folded.0.iter().enumerate().filter(|(_, number)| **number > 0) {
            let (gap, value) = ((place - next) as u64, number - 1);
            next = place + 1;
            let high = u8::try_from(gap).map_or(ESCAPE, |gap| gap.min(ESCAPE));
            let low = u8::try_from(value).map_or(ESCAPE, |value| value.min(ESCAPE));
            out.push(high << 4 | low);
            if high == ESCAPE {
                write_number(gap - u64::from(ESCAPE), out);
            }
            if low == ESCAPE {
                write_number(value - u64::from(ESCAPE), out);
            }
        }
    }

    /// Reads so many numbers; `None` when the bytes do not say them.
    pub(super) fn read(numbers: u64, bytes: &mut &[u8]) -> Option<Self> {
        let mut sample = Self::default();
        let mut next = 0;
        for _ in 0..numbers {
            let byte = take_byte(bytes)?;
            let mut part = |part: u8| {
                let more = if part == ESCAPE { read_number(bytes)? } else { 0 };
                u64::from(part).checked_add(more)
            };
            let (gap, value) = (part(byte >> 4)?, part(byte & 15)?);
            let place = usize::try_from(gap).ok()?.checked_add(next)?;
            *sample.0.get_mut(place)? = value.checked_add(1)?;
            next = place + 1;
        }
        Some(sample.unfolded())
    }
}

/// What half a byte has no room for follows it.
const ESCAPE: u8 = 15;

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_byte(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(super) fn ratio(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
impl Sample {
    /// Any numbers, by place; what lies beyond the last place is left out.
    pub(super) fn of_numbers(numbers: &[(usize, u64)]) -> Self {
        let mut sample = Self::default();
        for (place, number) in numbers.iter().filter(|(place, _)| *place < NUMBERS) {
            sample.0[*place] = *number;
        }
        sample
    }
}
