//! The record of one request: made once it is decided, closed exactly once, however it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banyan_routes::{Arm, Decision, FallbackCause};
use bytes::Bytes;
use http::StatusCode;

use crate::access_log::Entry;
use crate::answer::{FELL_BACK, Own};
use crate::body::Progress;
use crate::connection::{Connection, Turn};
use crate::forward::Trail;
use crate::forwarding::Identity;
use crate::message::AnswerHead;
use crate::metrics::{Failure, ShadowResult};
use crate::pool::Lease;
use crate::room::Seat;
use crate::shadow::Witness;
use crate::state::LiveUpstream;
use crate::worker::InForce;

/// Status counted for a request whose client left before the head of the answer (nginx's 499).
const CLIENT_LEFT: u16 = 499;

pub(crate) struct Exchange {
    turn: Turn,
    state: Arc<InForce>,
    started: Instant,
    /// `started` until it has ended.
    ended: Instant,
    decision: Decision,
    /// Who answers; Banyan when an upstream could not.
    arm: Arm,
    status: u16,
    /// The server whose answer is on its way.
    server: Option<usize>,
    progress: Option<Arc<Progress>>,
    /// Where the upstream has a limit.
    seat: Option<Seat>,
    bytes_out: u64,
    /// Present only while the access log is on.
    entry: Option<Box<Entry>>,
    /// Present only where the request is going to be copied.
    witness: Option<Box<Witness>>,
    is_open: bool,
}

impl Exchange {
    pub(crate) fn begin(
        turn: Turn,
        state: Arc<InForce>,
        decision: Decision,
        entry: Option<Box<Entry>>,
        started: Instant,
    ) -> Self {
        let route = state.route(decision.route);
        route.metrics.decided(turn.connection().worker, decision.arm, decision.reason);
        Self {
            turn,
            state,
            started,
            ended: started,
            decision,
            arm: decision.arm,
            status: CLIENT_LEFT,
            server: None,
            progress: None,
            seat: None,
            bytes_out: 0,
            entry,
            witness: None,
            is_open: true,
        }
    }

    /// The head of an answer is there. From here on the record counts the request out of the server's load.
    pub(crate) fn answered(&mut self, status: StatusCode, place: usize) {
        self.status = status.as_u16();
        self.server = Some(place);
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.connection().shared.identity
    }

    /// The upstream's connection may serve another request. Call [`Self::finish`] first.
    pub(crate) fn give_back(&self, lease: Lease) {
        if let (Some(upstream), Some(place)) = (self.upstream(), self.server) {
            upstream.servers.targets[place].pool.give_back(lease, self.ended);
        }
    }

    fn upstream(&self) -> Option<&Arc<LiveUpstream>> {
        self.decision.upstream.map(|index| self.state.upstream(index))
    }

    /// Banyan answers instead, with a body of this length. The record is closed: a few bytes of our own need no
    /// watching.
    pub(crate) fn answered_by_banyan(mut self, answer: Own, length: usize) {
        self.status = answer.status.as_u16();
        self.arm = Arm::Banyan;
        if let Some(entry) = &mut self.entry {
            entry.banyan_reason = Some(answer.reason);
        }
        self.sent(length);
        self.finish();
    }

    /// Legacy takes over from the candidate, which could not answer.
    pub(crate) fn falls_back(&mut self, decision: Decision, cause: FallbackCause) {
        (self.decision, self.arm) = (decision, decision.arm);
        self.not_copied(ShadowResult::FellBack);
        if let Some(entry) = &mut self.entry {
            entry.banyan_reason = Some(FELL_BACK);
            entry.fallback = Some(cause.as_str().into());
        }
    }

    pub(crate) fn upload(&mut self, progress: Arc<Progress>) {
        self.progress = Some(progress);
    }

    /// The upstream has room for this request, if it was asked; the place at another is given back.
    pub(crate) fn takes(&mut self, seat: Option<Seat>) {
        self.seat = seat;
    }

    /// What happened on the way to the upstream.
    pub(crate) fn trail(&mut self, trail: &Trail, upstream: &LiveUpstream) {
        if let Some(witness) = &mut self.witness {
            let ended = self.progress.as_ref().filter(|progress| progress.has_ended());
            witness.took(ended.map_or(trail.upstream_time, |progress| progress.last_moved().elapsed()));
        }
        if let Some(entry) = &mut self.entry {
            entry.upstream = Some(upstream.servers.settings.name.as_str().into());
            entry.target = trail.target.map(|place| (*upstream.servers.targets[place].label).into());
            entry.upstream_time = Some(trail.upstream_time);
            entry.retries += trail.retries;
        }
    }

    /// From here on the exchange is watched, for a copy of it.
    pub(crate) fn watch(&mut self, witness: Option<Box<Witness>>) {
        self.witness = witness;
    }

    pub(crate) fn witness(&self) -> Option<&Witness> {
        self.witness.as_deref()
    }

    /// The head of the upstream's answer, as it came.
    pub(crate) fn sees_head(&mut self, head: &AnswerHead) {
        let Some(witness) = &mut self.witness else { return };
        let Some(shadow) = &self.state.route(self.decision.route).shadow else { return };
        if witness.sees_head(shadow, head) {
            self.copy();
        }
    }

    /// A piece of the upstream's answer.
    pub(crate) fn passes(&mut self, piece: Option<&Bytes>) {
        let Some(piece) = piece else { return };
        self.sent(piece.len());
        if let Some(witness) = &mut self.witness {
            witness.sees(piece);
        }
    }

    fn copy(&mut self) {
        if let Some(witness) = self.witness.take() {
            let Connection { shared, worker, .. } = &**self.turn.connection();
            witness.hand_over(&self.state, self.progress.as_deref(), &shared.shadows, *worker);
        }
    }

    fn not_copied(&mut self, why: ShadowResult) {
        if let Some(witness) = self.witness.take() {
            witness.dropped(&self.state, self.connection().worker, why);
        }
    }

    fn sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// An upgraded stream ended as both sides wished.
    pub(crate) fn upgraded(mut self, to_client: u64) {
        self.bytes_out += to_client;
        self.finish();
    }

    /// The upstream's body ended before its end.
    pub(crate) fn upstream_broke_off(&mut self, why: &'static str) {
        self.connection().stream.is_now_cut();
        self.upstream_failed(Failure::BrokenOff);
        self.broken_off(why);
    }

    /// The upstream is to blame for something that became clear after the head of its answer.
    pub(crate) fn upstream_failed(&self, failure: Failure) {
        if let Some(upstream) = self.upstream() {
            upstream.metrics.error(self.connection().worker, failure);
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.turn.connection()
    }

    /// The answer broke off.
    pub(crate) fn broken_off(&mut self, why: &'static str) {
        self.not_copied(ShadowResult::Aborted);
        if let Some(entry) = &mut self.entry {
            entry.aborted = Some(why);
        }
        self.finish();
    }

    /// The request has ended. Later calls change nothing.
    pub(crate) fn finish(&mut self) {
        if !std::mem::replace(&mut self.is_open, false) {
            return;
        }
        self.ended = Instant::now();
        self.seat = None;
        let duration = self.ended.duration_since(self.started);
        let worker = self.connection().worker;
        if let (Some(upstream), Some(place)) = (self.upstream(), self.server) {
            upstream.left(place, worker);
        }
        let route = self.state.route(self.decision.route);
        route.metrics.answered(worker, self.arm, self.status, duration);
        if let Some(entry) = self.entry.take() {
            self.write_entry(entry, duration);
        }
        self.copy();
    }

    fn write_entry(&self, mut entry: Box<Entry>, duration: Duration) {
        entry.status = self.status;
        entry.arm = self.arm;
        entry.duration = duration;
        entry.bytes_in = self.progress.as_ref().map_or(0, |progress| progress.bytes());
        entry.bytes_out = self.bytes_out;
        if let Some(log) = &self.connection().shared.access_log {
            log.write(entry);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        if std::thread::panicking() {
            self.status = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
            self.arm = Arm::Banyan;
            return self.broken_off("panic");
        }
        self.broken_off("client-left");
    }
}
