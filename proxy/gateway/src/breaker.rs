//! Leaves a candidate alone that fails too often: it is not asked for a while, then by a few probes, then by all.
//!
//! - `window`: requests and errors of the last time, per worker. `phase`: the states, and how they follow each other.
//!
//! A request through a closed breaker reads one shared word that hardly ever changes, and writes a counter of its own
//! worker. Sums are made only when an error comes in. Requests on the legacy arm never pass here.

mod phase;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;

pub(crate) use phase::Verdict;
use phase::{Passage, Stand, State};
pub(crate) use window::Totals;
use window::Window;

/// The breaker of one upstream.
pub(crate) struct Breaker {
    settings: banyan_routes::Breaker,
    upstream: Box<str>,
    started: Instant,
    /// A [`State`], packed.
    state: AtomicU64,
    window: Window,
    /// How often each state began, in the order of [`BreakerState::ALL`].
    begun: [AtomicU64; 3],
}

/// Whether requests of candidates reach an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// All do.
    Closed,
    /// A few do, to see whether it is well again.
    HalfOpen,
    /// None do.
    Open,
}

impl BreakerState {
    /// Every state, in the order of its metric's values: 0, 1, 2.
    pub const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// An open breaker stops a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped {
    pub(crate) retry_after: Duration,
}

/// A request on its way through a breaker. Dropped without [`Ticket::settle`], nothing is known of how it went.
#[must_use]
pub(crate) struct Ticket<'b> {
    breaker: &'b Breaker,
    worker: usize,
    round: u32,
    is_probe: bool,
    is_settled: bool,
}

impl Breaker {
    pub(crate) fn new(settings: banyan_routes::Breaker, upstream: &str, workers: usize) -> Self {
        Self {
            settings,
            upstream: upstream.into(),
            started: Instant::now(),
            state: AtomicU64::new(State::CLOSED.pack()),
            window: Window::new(millis(settings.window), workers),
            begun: Default::default(),
        }
    }

    /// Asks to send one request now.
    pub(crate) fn admit(&self, worker: usize) -> Result<Ticket<'_>, Stopped> {
        self.admit_at(worker, Instant::now)
    }

    /// A closed breaker does not look at the clock.
    fn admit_at(&self, worker: usize, now: impl FnOnce() -> Instant) -> Result<Ticket<'_>, Stopped> {
        let state = State::unpack(self.state.load(Ordering::Acquire));
        if state.stand == Stand::Closed {
            return Ok(self.ticket(worker, state, false));
        }
        let now_ms = self.ms(now());
        let (before, after) = self.change(|state| state.admit(now_ms).0);
        match before.admit(now_ms).1 {
            Passage::Stopped { retry_after_ms } => {
                Err(Stopped { retry_after: Duration::from_millis(retry_after_ms) })
            }
            passage => Ok(self.ticket(worker, after, passage == Passage::Probe)),
        }
    }

    fn ticket(&self, worker: usize, state: State, is_probe: bool) -> Ticket<'_> {
        Ticket { breaker: self, worker, round: state.round, is_probe, is_settled: false }
    }

    fn ms(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.started))
    }

    /// Puts another state in place of the one found, and notes a new round. Returns both.
    fn change(&self, next: impl Fn(State) -> State) -> (State, State) {
        let packed = |word| Some(next(State::unpack(word)).pack());
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, packed);
        // The closure always has a next state.
        let before = State::unpack(before.unwrap_or_else(|word| word));
        let after = next(before);
        if after.round != before.round {
            let state = named(after.stand);
            self.begun[state as usize].fetch_add(1, Ordering::Relaxed);
            tracing::warn!(upstream = %self.upstream, breaker = state.as_str(), "breaker changed");
        }
        (before, after)
    }

    fn settle(&self, ticket: &Ticket<'_>, verdict: Verdict, now: Instant) {
        let is_current = |state: State| state.round == ticket.round;
        if ticket.is_probe {
            let now_ms = self.ms(now);
            let until_ms = now_ms + millis(self.settings.open_for);
            let probed = |state| if is_current(state) { state.probed(verdict, until_ms) } else { state };
            let (before, after) = self.change(probed);
            if before != after && after.stand == Stand::Closed {
                self.window.forget(now_ms);
            }
            return;
        }
        let state = State::unpack(self.state.load(Ordering::Acquire));
        if verdict == Verdict::Neither || !is_current(state) {
            return;
        }
        let now_ms = self.ms(now);
        self.window.count(ticket.worker, now_ms, verdict == Verdict::Bad);
        if verdict == Verdict::Bad && self.is_too_much(self.window.totals(now_ms)) {
            let until_ms = now_ms + millis(self.settings.open_for);
            self.change(|state| if is_current(state) { state.opened(until_ms) } else { state });
        }
    }

    fn is_too_much(&self, totals: Totals) -> bool {
        totals.requests >= u64::from(self.settings.min_requests)
            && totals.errors * 100 >= totals.requests * u64::from(self.settings.error_percent)
    }

    pub(crate) fn state(&self) -> BreakerState {
        named(State::unpack(self.state.load(Ordering::Acquire)).stand)
    }

    /// Time left until the first probe, while it is open.
    pub(crate) fn probes_in(&self, now: Instant) -> Option<Duration> {
        match State::unpack(self.state.load(Ordering::Acquire)).stand {
            Stand::Open { until_ms } => Some(Duration::from_millis(until_ms.saturating_sub(self.ms(now)))),
            Stand::Closed | Stand::HalfOpen { .. } => None,
        }
    }

    /// What the window holds now.
    pub(crate) fn totals(&self, now: Instant) -> Totals {
        self.window.totals(self.ms(now))
    }

    /// How often each state began.
    pub(crate) fn transitions(&self) -> impl Iterator<Item = (BreakerState, u64)> {
        BreakerState::ALL.into_iter().zip(self.begun.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

impl Ticket<'_> {
    pub(crate) fn settle(mut self, verdict: Verdict, now: Instant) {
        self.is_settled = true;
        self.breaker.settle(&self, verdict, now);
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if !self.is_settled && self.is_probe {
            self.breaker.settle(self, Verdict::Neither, self.breaker.started);
        }
    }
}

fn named(stand: Stand) -> BreakerState {
    match stand {
        Stand::Closed => BreakerState::Closed,
        Stand::HalfOpen { .. } => BreakerState::HalfOpen,
        Stand::Open { .. } => BreakerState::Open,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Statuses that say that the server is unwell. Others (501, 505, 507) are about the request.
pub(crate) fn is_error(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Breaker, BreakerState, Verdict};

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        let settings = banyan_routes::Breaker {
            error_percent: 50,
            window: 10 * SECOND,
            min_requests: 10,
            open_for: 5 * SECOND,
        };
        let breaker = Breaker::new(settings, "orders", 2);
        let started = breaker.started;
        (breaker, started)
    }

    fn ask(breaker: &Breaker, worker: usize, verdict: Verdict, now: Instant) {
        let ticket = breaker.admit_at(worker, || now).unwrap_or_else(|stopped| panic!("{stopped:?}"));
        ticket.settle(verdict, now);
    }

    #[test]
    fn it_opens_at_the_share_of_errors_and_not_before() {
        let (breaker, now) = breaker();
        for turn in 0..9 {
            ask(&breaker, turn % 2, Verdict::Bad, now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "too few requests");
        ask(&breaker, 0, Verdict::Bad, now);
        assert_eq!(breaker.state(), BreakerState::Open);
        let stopped = breaker.admit_at(1, || now + SECOND).err().map(|stopped| stopped.retry_after);
        assert_eq!(stopped, Some(4 * SECOND));
        assert_eq!(breaker.probes_in(now + SECOND), Some(4 * SECOND));
    }

    #[test]
    fn below_the_share_it_stays_closed_and_old_errors_leave() {
        let (breaker, now) = breaker();
        for turn in 0..1000 {
            let verdict = if turn % 3 == 0 { Verdict::Bad } else { Verdict::Good };
            ask(&breaker, turn % 2, verdict, now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        let later = now + 11 * SECOND;
        for _ in 0..9 {
            ask(&breaker, 0, Verdict::Bad, later);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert_eq!(breaker.totals(later).requests, 9);
    }

    fn open(breaker: &Breaker, now: Instant) {
        for _ in 0..10 {
            ask(breaker, 0, Verdict::Bad, now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn three_good_probes_close_it_with_a_clean_window() {
        let (breaker, now) = breaker();
        open(&breaker, now);
        let later = now + 5 * SECOND;
        let probes: Vec<_> = (0..3).filter_map(|_| breaker.admit_at(0, || later).ok()).collect();
        assert_eq!((probes.len(), breaker.state()), (3, BreakerState::HalfOpen));
        assert!(breaker.admit_at(1, || later).is_err(), "a fourth probe");
        for probe in probes {
            probe.settle(Verdict::Good, later);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        for _ in 0..9 {
            ask(&breaker, 0, Verdict::Bad, later + SECOND);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "the errors that opened it are forgotten");
        let counts: Vec<u64> = breaker.transitions().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 1]);
    }

    #[test]
    fn a_probe_whose_client_left_makes_room_for_another() {
        let (breaker, now) = breaker();
        open(&breaker, now);
        let later = now + 5 * SECOND;
        for _ in 0..10 {
            drop(breaker.admit_at(0, || later));
        }
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        ask(&breaker, 0, Verdict::Bad, later);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn what_left_before_it_opened_decides_nothing_later() {
        let (breaker, now) = breaker();
        let stale: Vec<_> = (0..50).filter_map(|_| breaker.admit_at(0, || now).ok()).collect();
        open(&breaker, now);
        let later = now + 5 * SECOND;
        for _ in 0..3 {
            ask(&breaker, 0, Verdict::Good, later);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
        for ticket in stale {
            ticket.settle(Verdict::Bad, later + 2 * SECOND);
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
