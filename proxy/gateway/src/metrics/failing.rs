//! What fell back, which breakers are open, which targets are taken out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use banyan_routes::FallbackCause;

use super::cells::{Count, PerWorker};
use super::scrape::Sheet;
use super::{Metrics, UpstreamMetrics, list, locked};
use crate::targets::Servers;

/// By route and cause.
pub(super) type Counts = BTreeMap<(Arc<str>, FallbackCause), Arc<PerWorker<Count>>>;

/// The handle of one route in one table: a counter for each cause that it lists.
#[derive(Default)]
pub(crate) struct Fallbacks(Box<[(FallbackCause, Arc<PerWorker<Count>>)]>);

impl Fallbacks {
    /// Legacy is asked in place of the candidate.
    pub(crate) fn count(&self, worker: usize, cause: FallbackCause) {
        if let Some((_, count)) = self.0.iter().find(|(listed, _)| *listed == cause) {
            count.of(worker).add_one();
        }
    }
}

impl Metrics {
    /// The handle of a route's causes: numbers go on from an earlier handle of that name.
    pub(crate) fn fallbacks(&self, route: &str, on: &[FallbackCause]) -> Fallbacks {
        let mut series = locked(&self.series);
        let count = |cause: &FallbackCause| {
            let made = || Arc::new(PerWorker::new(self.workers));
            (*cause, Arc::clone(series.fallbacks.entry((route.into(), *cause)).or_insert_with(made)))
        };
        Fallbacks(on.iter().map(count).collect())
    }

    /// Requests of a route that fell back, whatever the cause.
    pub(super) fn fell_back(&self, route: &str) -> u64 {
        let series = locked(&self.series);
        let of_route = series.fallbacks.iter().filter(|((name, _), _)| &**name == route);
        of_route.map(|(_, count)| count.sum(|count| count)).sum()
    }
}

impl UpstreamMetrics {
    /// What is scraped of these servers is what they say then.
    pub(crate) fn watch(&self, servers: &Arc<Servers>) {
        *locked(&self.servers) = Arc::downgrade(servers);
    }
}

pub(super) fn write_fallbacks(sheet: &mut Sheet, fallbacks: &Counts) {
    for ((route, cause), count) in fallbacks {
        sheet.count(&list::FALLBACKS, &[route, cause.as_str()], count.sum(|count| count));
    }
}

pub(super) fn write_servers(sheet: &mut Sheet, upstream: &str, servers: &Servers) {
    let now = Instant::now();
    // One target alone is never taken out.
    for (place, server) in servers.targets.iter().enumerate().filter(|_| servers.targets.len() > 1) {
        let ejected = u8::from(servers.is_ejected(place, now));
        sheet.gauge(&list::EJECTED, &[upstream, &server.label], f64::from(ejected));
        sheet.count(&list::EJECTIONS, &[upstream, &server.label], server.ejections());
    }
    if let Some(breaker) = &servers.breaker {
        sheet.gauge(&list::BREAKER_STATE, &[upstream], f64::from(breaker.state() as u8));
        for (state, count) in breaker.transitions() {
            sheet.count(&list::BREAKER_TRANSITIONS, &[upstream, state.as_str()], count);
        }
    }
}
