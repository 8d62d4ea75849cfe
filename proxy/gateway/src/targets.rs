//! Which server of an upstream takes a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use banyan_routes::{Target, Upstream};
use http::HeaderValue;

use crate::pool::Pool;
use crate::resolve::Addresses;
use crate::worker::Tally;

/// One upstream while the process runs. Kept across reloads for as long as its settings stay the same.
pub(crate) struct Servers {
    pub(crate) settings: Upstream,
    pub(crate) targets: Box<[Arc<Server>]>,
}

/// One server of an upstream.
pub(crate) struct Server {
    pub(crate) authority: HeaderValue,
    pub(crate) label: Arc<str>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) pool: Arc<Pool>,
    healthy: AtomicBool,
    inflight: Tally,
}

impl Servers {
    pub(crate) fn new(settings: &Upstream, workers: usize) -> Self {
        let targets = settings.targets.iter().map(|target| Arc::new(Server::new(target, settings, workers)));
        Self { settings: settings.clone(), targets: targets.collect() }
    }

    /// Equal in everything but the place in the file.
    pub(crate) fn same_settings(&self, other: &Upstream) -> bool {
        let origin = other.origin.clone();
        Upstream { origin, ..self.settings.clone() } == *other
    }

    /// The less busy of two healthy servers chosen at random; `avoid` only when there is no other.
    ///
    /// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996.)
    pub(crate) fn choose(&self, avoid: Option<usize>) -> Option<usize> {
        if let [only] = &*self.targets {
            return only.is_healthy().then_some(0);
        }
        let healthy = self.targets.iter().filter(|server| server.is_healthy()).count();
        let spare = usize::from(avoid.is_some_and(|place| healthy > 1 && self.targets[place].is_healthy()));
        let nth = |n: usize| {
            let usable =
                |&place: &usize| self.targets[place].is_healthy() && !(spare == 1 && avoid == Some(place));
            (0..self.targets.len()).filter(usable).nth(n)
        };
        let choices = healthy - spare;
        match choices {
            0 => None,
            1 => nth(0),
            _ => {
                let first = fastrand::usize(..choices);
                let second = (first + fastrand::usize(1..choices)) % choices;
                let (first, second) = (nth(first)?, nth(second)?);
                let busier = self.targets[first].inflight() > self.targets[second].inflight();
                Some(if busier { second } else { first })
            }
        }
    }
}

impl Server {
    fn new(target: &Target, upstream: &Upstream, workers: usize) -> Self {
        let addresses = Arc::new(Addresses::new(&target.host, target.port));
        let pool = Pool::new(
            workers,
            Arc::clone(&addresses),
            upstream.connect_timeout,
            upstream.keep_alive,
            upstream.max_connections,
        );
        let label = String::from_utf8_lossy(target.authority.as_bytes()).into();
        Self {
            authority: target.authority.clone(),
            label,
            addresses,
            pool: Arc::new(pool),
            healthy: AtomicBool::new(true),
            inflight: Tally::new(workers),
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Returns whether this is a change.
    pub(crate) fn set_healthy(&self, healthy: bool) -> bool {
        self.healthy.swap(healthy, Ordering::Relaxed) != healthy
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
