//! The states of a breaker and how they follow each other: pure, and small enough for one atomic word.

/// How many probes must pass, and how many may be out at once.
pub(super) const PROBES: u16 = 3;
/// When to come again while probes are out: nobody knows how long they take.
const PROBING_MS: u64 = 1_000;

/// State and round. Each change begins a new round, so that what was let through in an earlier one decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) round: u32,
    pub(super) stand: Stand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Everything passes.
    Closed,
    /// Nothing passes until then.
    Open { until_ms: u64 },
    /// A few pass.
    HalfOpen {
        /// Probes on their way.
        out: u16,
        /// Probes that were answered well.
        passed: u16,
    },
}

/// What became of one request that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The upstream answered.
    Good,
    /// It failed.
    Bad,
    /// Nobody knows: the client left, or is to blame.
    Neither,
}

/// Whether a request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// As one of many.
    Free,
    /// As a probe.
    Probe,
    /// Not now.
    Stopped { retry_after_ms: u64 },
}

const ROUND_BITS: u32 = 20;
const PAYLOAD_BITS: u32 = 42;
const PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;

impl State {
    pub(super) const CLOSED: Self = Self { round: 0, stand: Stand::Closed };

    /// Two bits for the kind, 20 for the round, 42 for the rest: milliseconds for 139 years.
    pub(super) fn pack(self) -> u64 {
        let (kind, payload) = match self.stand {
            Stand::Closed => (0, 0),
            Stand::Open { until_ms } => (1, until_ms.min(PAYLOAD)),
            Stand::HalfOpen { out, passed } => (2, u64::from(out) << 16 | u64::from(passed)),
        };
        kind << (ROUND_BITS + PAYLOAD_BITS) | u64::from(self.round) << PAYLOAD_BITS | payload
    }

    pub(super) fn unpack(word: u64) -> Self {
        let payload = word & PAYLOAD;
        let low = |bits: u64| u16::try_from(bits & 0xffff).unwrap_or(u16::MAX);
        let stand = match word >> (ROUND_BITS + PAYLOAD_BITS) {
            0 => Stand::Closed,
            1 => Stand::Open { until_ms: payload },
            _ => Stand::HalfOpen { out: low(payload >> 16), passed: low(payload) },
        };
        let round = (word >> PAYLOAD_BITS) & ((1 << ROUND_BITS) - 1);
        Self { round: u32::try_from(round).unwrap_or(0), stand }
    }

    fn next(self, stand: Stand) -> Self {
        Self { round: (self.round + 1) % (1 << ROUND_BITS), stand }
    }

    /// A request asks to pass.
    pub(super) fn admit(self, now_ms: u64) -> (Self, Passage) {
        match self.stand {
            Stand::Closed => (self, Passage::Free),
            Stand::Open { until_ms } if now_ms < until_ms => {
                (self, Passage::Stopped { retry_after_ms: until_ms - now_ms })
            }
            Stand::Open { .. } => (self.next(Stand::HalfOpen { out: 1, passed: 0 }), Passage::Probe),
            Stand::HalfOpen { out, passed } if out + passed < PROBES => {
                (Self { stand: Stand::HalfOpen { out: out + 1, passed }, ..self }, Passage::Probe)
            }
            Stand::HalfOpen { .. } => (self, Passage::Stopped { retry_after_ms: PROBING_MS }),
        }
    }

    /// A probe of this round has ended.
    pub(super) fn probed(self, verdict: Verdict, until_ms: u64) -> Self {
        let Stand::HalfOpen { out, passed } = self.stand else { return self };
        let out = out.saturating_sub(1);
        match verdict {
            Verdict::Bad => self.opened(until_ms),
            Verdict::Good if passed + 1 >= PROBES => self.next(Stand::Closed),
            Verdict::Good => Self { stand: Stand::HalfOpen { out, passed: passed + 1 }, ..self },
            Verdict::Neither => Self { stand: Stand::HalfOpen { out, passed }, ..self },
        }
    }

    pub(super) fn opened(self, until_ms: u64) -> Self {
        self.next(Stand::Open { until_ms })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PAYLOAD, PROBES, Passage, Stand, State, Verdict};

    fn state() -> impl Strategy<Value = State> {
        let stand = prop_oneof![
            Just(Stand::Closed),
            (0..=PAYLOAD).prop_map(|until_ms| Stand::Open { until_ms }),
            (any::<u16>(), any::<u16>()).prop_map(|(out, passed)| Stand::HalfOpen { out, passed }),
        ];
        (0_u32..1 << 20, stand).prop_map(|(round, stand)| State { round, stand })
    }

    proptest! {
        #[test]
        fn a_word_holds_all_of_a_state(state in state()) {
            prop_assert_eq!(State::unpack(state.pack()), state);
        }

        /// Whatever happens, no more than the probes allowed are ever out, and it closes only after as many passed.
        #[test]
        fn probes_are_bounded(steps in prop::collection::vec((0_u64..2_000, 0_u8..4), 0..200)) {
            let (mut state, mut now, mut out) = (State::CLOSED.opened(500), 0, 0_u16);
            let mut passed = 0;
            for (step, what) in steps {
                now += step;
                if what == 3 {
                    let (next, passage) = state.admit(now);
                    if next.round != state.round { (out, passed) = (0, 0); }
                    if passage == Passage::Probe { out += 1; }
                    state = next;
                } else if matches!(state.stand, Stand::HalfOpen { .. }) && out > 0 {
                    let verdict = [Verdict::Good, Verdict::Bad, Verdict::Neither][usize::from(what)];
                    out -= 1;
                    passed += u16::from(verdict == Verdict::Good);
                    state = state.probed(verdict, now + 500);
                }
                match state.stand {
                    Stand::HalfOpen { out: told, passed: good } => {
                        prop_assert_eq!((told, good), (out, passed));
                        prop_assert!(out + passed <= PROBES);
                    }
                    Stand::Closed => { prop_assert_eq!(passed, PROBES); break }
                    Stand::Open { .. } => {}
                }
            }
        }
    }

    #[test]
    fn it_waits_then_probes_then_closes() {
        let open = State::CLOSED.opened(1_500);
        assert_eq!(open.admit(500), (open, Passage::Stopped { retry_after_ms: 1_000 }));
        let (mut state, passage) = open.admit(1_500);
        assert_eq!(passage, Passage::Probe);
        for _ in 1..PROBES {
            let (next, passage) = state.admit(1_500);
            assert_eq!(passage, Passage::Probe);
            state = next;
        }
        assert!(matches!(state.admit(1_500).1, Passage::Stopped { .. }));
        for _ in 0..PROBES {
            state = state.probed(Verdict::Good, 9_000);
        }
        assert_eq!(state.stand, Stand::Closed);
        assert_eq!(state.admit(0).1, Passage::Free);
    }

    #[test]
    fn one_bad_probe_opens_it_again() {
        let (state, _) = State::CLOSED.opened(0).admit(0);
        assert_eq!(state.probed(Verdict::Bad, 700).stand, Stand::Open { until_ms: 700 });
    }
}
