//! Which server of an upstream takes a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use banyan_routes::{Target, Upstream};
use http::HeaderValue;

use crate::breaker::Breaker;
use crate::connect::Connector;
use crate::ejection::Record;
use crate::forward::Naming;
use crate::pool::Pool;
use crate::resolve::Addresses;
use crate::room::Room;
use crate::shadow::DryRuns;
use crate::tls::Secure;
use crate::worker::Tally;

/// One upstream while the process runs. Kept across reloads for as long as its settings stay the same.
pub(crate) struct Servers {
    pub(crate) settings: Upstream,
    pub(crate) targets: Box<[Arc<Server>]>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) room: Option<Arc<Room>>,
    /// None without TLS.
    pub(crate) secure: Option<Arc<Secure>>,
    started: Instant,
}

/// One server of an upstream.
pub(crate) struct Server {
    pub(crate) authority: HeaderValue,
    pub(crate) label: Arc<str>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) dry_runs: DryRuns,
    healthy: AtomicBool,
    record: Record,
    inflight: Tally,
}

impl Servers {
    pub(crate) fn new(settings: &Upstream, workers: usize) -> Self {
        let secure = Secure::of(settings).map(Arc::new);
        let server = |target| Arc::new(Server::new(target, settings, secure.as_ref(), workers));
        let targets = settings.targets.iter().map(server).collect();
        let breaker = settings.breaker.map(|breaker| Breaker::new(breaker, &settings.name, workers));
        let room = settings.max_requests.map(Room::new);
        let settings = settings.clone();
        let servers = Self { settings, targets, breaker, room, secure, started: Instant::now() };
        servers.refresh_tls();
        servers
    }

    /// Reads the files of TLS again if they have changed.
    pub(crate) fn refresh_tls(&self) {
        let upstream = &self.settings.name;
        match self.secure.as_ref().and_then(|secure| secure.refresh()) {
            Some(Ok(())) => tracing::info!(%upstream, "TLS files are in use"),
            Some(Err(error)) => {
                tracing::error!(%upstream, %error, "cannot use TLS files: what was in use before stays");
            }
            None => {}
        }
    }

    /// Equal in everything but the place in the file.
    pub(crate) fn same_settings(&self, other: &Upstream) -> bool {
        let origin = other.origin.clone();
        Upstream { origin, ..self.settings.clone() } == *other
    }

    /// The less busy of two usable servers chosen at random; `avoid` only when there is no other. One that came back a
    /// moment ago is passed over more often than not. One that is taken out is asked all the same where no other is left: it may
    /// be well again, and `avoid` has just failed.
    ///
    /// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996.)
    pub(crate) fn choose(&self, avoid: Option<usize>, now: Instant) -> Option<usize> {
        if let [only] = &*self.targets {
            return only.is_healthy().then_some(0);
        }
        let now_ms = self.ms(now);
        let is_usable = |server: &Server| server.is_healthy() && !server.record.is_out(now_ms);
        let chosen = self.choose_among(avoid, now_ms, is_usable);
        if chosen.is_some() && chosen != avoid {
            return chosen;
        }
        self.choose_among(avoid, now_ms, Server::is_healthy)
    }

    fn choose_among(
        &self,
        avoid: Option<usize>,
        now_ms: u64,
        is_usable: impl Fn(&Server) -> bool,
    ) -> Option<usize> {
        let usable = self.targets.iter().filter(|server| is_usable(server)).count();
        let spare = usize::from(avoid.is_some_and(|place| usable > 1 && is_usable(&self.targets[place])));
        let nth = |n: usize| {
            let wanted =
                |&place: &usize| is_usable(&self.targets[place]) && !(spare == 1 && avoid == Some(place));
            (0..self.targets.len()).filter(wanted).nth(n)
        };
        // Health may change in between: then there is one choice less than there was.
        let choices = usable.saturating_sub(spare);
        match choices {
            0 => None,
            1 => nth(0),
            _ => {
                let first = fastrand::usize(..choices);
                let second = (first + fastrand::usize(1..choices)) % choices;
                Some(self.better_of(nth(first)?, nth(second)?, now_ms))
            }
        }
    }

    fn better_of(&self, first: usize, second: usize, now_ms: u64) -> usize {
        let is_busier = self.targets[first].inflight() > self.targets[second].inflight();
        let (chosen, other) = if is_busier { (second, first) } else { (first, second) };
        let chance = self.targets[chosen].record.chance(now_ms);
        if chance >= 100 || fastrand::u64(..100) < chance { chosen } else { other }
    }

    /// The server at this place answered.
    pub(crate) fn served(&self, place: usize) {
        if self.targets.len() > 1 {
            self.targets[place].record.served();
        }
    }

    /// No connection to the server at this place, or a new one ended without an answer.
    pub(crate) fn failed(&self, place: usize, now: Instant) {
        let now_ms = self.ms(now);
        let is_other = |(other, server): (usize, &Arc<Server>)| {
            other != place && server.is_healthy() && !server.record.is_out(now_ms)
        };
        let has_company = || self.targets.iter().enumerate().any(is_other);
        if let Some(out_ms) = self.targets[place].record.failed(now_ms, has_company) {
            let (upstream, target) = (&self.settings.name, &self.targets[place].label);
            tracing::warn!(%upstream, %target, out_ms, "target fails again and again, taken out");
        }
    }

    /// Taken out after failures, for now.
    pub(crate) fn is_ejected(&self, place: usize, now: Instant) -> bool {
        self.targets[place].record.is_out(self.ms(now))
    }

    /// Says what a health check found. Returns whether this is a change.
    pub(crate) fn set_healthy(&self, server: &Server, healthy: bool) -> bool {
        if healthy && !server.is_healthy() {
            server.record.recovered(self.ms(Instant::now()));
        }
        server.healthy.swap(healthy, Ordering::Relaxed) != healthy
    }

    /// From 1: 0 means never.
    fn ms(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.started).as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Server {
    /// How a request with HTTP/2 names it.
    pub(crate) fn naming(&self) -> Naming<'_> {
        Naming { is_secure: self.pool.is_secure(), authority: &self.authority }
    }

    fn new(target: &Target, upstream: &Upstream, secure: Option<&Arc<Secure>>, workers: usize) -> Self {
        let addresses = Arc::new(Addresses::new(&target.host, target.port));
        let connector = Arc::new(Connector::new(
            Arc::clone(&addresses),
            upstream.connect_timeout,
            secure.map(|secure| (secure, &*target.host)),
            upstream.http2,
        ));
        let pool = Pool::new(workers, Arc::clone(&connector), upstream.keep_alive, upstream.max_connections);
        let label = String::from_utf8_lossy(target.authority.as_bytes()).into();
        Self {
            authority: target.authority.clone(),
            label,
            addresses,
            connector,
            pool: Arc::new(pool),
            dry_runs: DryRuns::default(),
            healthy: AtomicBool::new(true),
            record: Record::default(),
            inflight: Tally::new(workers),
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// How often it was taken out.
    pub(crate) fn ejections(&self) -> u64 {
        self.record.ejections()
    }

    pub(crate) fn inflight(&self) -> u64 {
        self.inflight.sum()
    }

    /// One request more on its way to this server. Pair with [`Self::leave`].
    pub(crate) fn enter(&self, worker: usize) {
        self.inflight.add(worker, 1);
    }

    /// One request less, on the worker that counted it in.
    pub(crate) fn leave(&self, worker: usize) {
        self.inflight.add(worker, -1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use banyan_routes::{FileSet, RouteTable, SourceFile, Variables};

    use super::Servers;

    /// Two of one upstream.
    fn servers() -> Servers {
        let text = "version = 1\n[defaults]\nlegacy = \"l\"\n[upstreams.l]\ntargets = [\"http://a\", \"http://b\"]\n";
        let main = SourceFile { name: "routes.toml".into(), text: text.into() };
        let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
        let table = table.unwrap_or_else(|| panic!("{report}"));
        Servers::new(&table.upstreams()[0], 1)
    }

    /// It was taken out while it was restarted, and for longer each time; now the other is restarted.
    #[tokio::test]
    async fn one_that_is_taken_out_is_asked_when_the_other_fails() {
        let (servers, now) = (servers(), Instant::now());
        for _ in 0..5 {
            servers.failed(0, now);
        }
        assert!(servers.is_ejected(0, now));
        assert_eq!(servers.choose(None, now), Some(1));
        assert_eq!(servers.choose(Some(1), now), Some(0), "not the one that has just failed");
        let later = now + Duration::from_secs(20);
        assert_eq!(servers.choose(Some(1), later), Some(0));
        assert_eq!(servers.choose(Some(0), later), Some(1));
    }
}
