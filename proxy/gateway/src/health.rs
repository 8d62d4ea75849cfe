//! Active health checks, by pingora's load balancing library.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_routes::HealthCheck;
use futures_util::future::join_all;
use pingora::ErrorType::CustomCode;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::health_check::HttpHealthCheck;
use pingora_load_balancing::{Backend, Backends};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::metrics::UpstreamMetrics;
use crate::targets::{Server, Servers};

/// Checks the servers of one upstream for as long as the future is polled.
pub(crate) async fn watch(servers: Arc<Servers>, check: HealthCheck, metrics: Arc<UpstreamMetrics>) {
    let checked: Vec<Checked> =
        servers.targets.iter().filter_map(|server| Checked::new(Arc::clone(server), &check)).collect();
    let mut ticks = interval(check.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Each on its own: a dead server must not keep the others from being asked.
        join_all(checked.iter().map(|one| one.ask_in_time(&servers, &metrics))).await;
    }
}

/// One server under watch. Its own `Backends`, because each server wants its own `Host`.
struct Checked {
    server: Arc<Server>,
    backends: Backends,
    limit: Duration,
}

impl Checked {
    /// `None` when the path cannot be sent, which the configuration rules out.
    fn new(server: Arc<Server>, check: &HealthCheck) -> Option<Self> {
        let mut request = RequestHeader::build("GET", check.path.as_bytes(), None).ok()?;
        request.insert_header("Host", server.authority.clone()).ok()?;
        request.insert_header("User-Agent", "banyan-health").ok()?;
        let mut probe = HttpHealthCheck::new(&server.label, false);
        probe.req = request;
        probe.consecutive_success = check.healthy_after as usize;
        probe.consecutive_failure = check.unhealthy_after as usize;
        probe.peer_template.options.connection_timeout = Some(check.timeout);
        probe.peer_template.options.read_timeout = Some(check.timeout);
        probe.validator = Some(Box::new(is_success));
        let mut backends = Backends::new(Box::new(Known(Arc::clone(&server))));
        backends.set_health_check(Box::new(probe));
        Some(Self { server, backends, limit: check.timeout * 4 })
    }

    /// pingora limits every read; an answer that drips for ever is cut here, and leaves the verdict as it was.
    async fn ask_in_time(&self, servers: &Servers, metrics: &UpstreamMetrics) {
        if timeout(self.limit, self.ask(servers, metrics)).await.is_err() {
            let upstream = &servers.settings.name;
            tracing::warn!(%upstream, target = %self.server.label, "health check cut off: the answer does not end");
        }
    }

    async fn ask(&self, servers: &Servers, metrics: &UpstreamMetrics) {
        // Names are looked up by us: a first look-up here, later ones by the upkeep.
        let _ = self.server.addresses.get().await;
        if self.backends.update(|_| ()).await.is_err() {
            return;
        }
        self.backends.run_health_check(true).await;
        let known = self.backends.get_backend();
        let healthy = known.iter().any(|backend| self.backends.ready(backend));
        if servers.set_healthy(&self.server, healthy) {
            let upstream = &servers.settings.name;
            tracing::warn!(%upstream, target = %self.server.label, healthy, "health changed");
        }
        metrics.set_healthy(&self.server.label, healthy);
    }
}

fn is_success(answer: &ResponseHeader) -> pingora::Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    pingora::Error::e_explain(CustomCode("health", answer.status.as_u16()), "the answer was not 2xx")
}

/// The addresses known of one server.
struct Known(Arc<Server>);

#[async_trait]
impl ServiceDiscovery for Known {
    async fn discover(&self) -> pingora::Result<(BTreeSet<Backend>, HashMap<u64, bool>)> {
        let known = self.0.addresses.known();
        let backends = known.iter().map(|address| Backend::new(&address.to_string()));
        Ok((backends.collect::<pingora::Result<_>>()?, HashMap::new()))
    }
}
