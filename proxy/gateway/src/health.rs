//! Active health checks: pingora's load balancing library decides when and how often, the question is asked the way requests
//! are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banyan_routes::HealthCheck;
use futures_util::future::join_all;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Extensions, Method, StatusCode, Uri, Version};
use pingora::ErrorType::{Custom, CustomCode};
use pingora_load_balancing::discovery::ServiceDiscovery;
use pingora_load_balancing::{Backend, Backends, health_check};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::body::RequestBody;
use crate::connect::Opened;
use crate::forward::in_http2;
use crate::message::{Fields, RequestHead};
use crate::metrics::UpstreamMetrics;
use crate::pool::Slot;
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
        let path = PathAndQuery::try_from(check.path.as_str()).ok()?;
        let probe = Probe { server: Arc::clone(&server), path, check: check.clone() };
        let mut backends = Backends::new(Box::new(Known(Arc::clone(&server))));
        backends.set_health_check(Box::new(probe));
        Some(Self { server, backends, limit: check.timeout * 4 })
    }

    /// A question has its own limit; looking up a name has none, and is cut here, which leaves the verdict as it was.
    async fn ask_in_time(&self, servers: &Servers, metrics: &UpstreamMetrics) {
        if timeout(self.limit, self.ask(servers, metrics)).await.is_err() {
            let upstream = &servers.settings.name;
            tracing::warn!(%upstream, target = %self.server.label, "health check cut off: no address in time");
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

/// The question, each time on a connection of its own: what pools keep alive says nothing about new ones.
struct Probe {
    server: Arc<Server>,
    path: PathAndQuery,
    check: HealthCheck,
}

#[async_trait]
impl health_check::HealthCheck for Probe {
    async fn check(&self, target: &Backend) -> pingora::Result<()> {
        let failed = |error: String| pingora::Error::explain(Custom("health"), error);
        let asked = timeout(self.check.timeout, self.ask(&target.addr.to_string())).await;
        let answer = asked.map_err(|_| failed("no answer in time".to_owned()))?;
        let status = answer.map_err(|error| failed(error.to_string()))?;
        if status.is_success() {
            return Ok(());
        }
        pingora::Error::e_explain(CustomCode("health", status.as_u16()), "the answer was not 2xx")
    }

    fn health_threshold(&self, success: bool) -> usize {
        let times = if success { self.check.healthy_after } else { self.check.unhealthy_after };
        times as usize
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Probe {
    async fn ask(&self, address: &str) -> Result<StatusCode, Failed> {
        let stream = TcpStream::connect(address).await?;
        let opened = self.server.connector.over(stream, &Slot::uncounted(), false).await;
        match opened.map_err(|error| error.to_string())? {
            Opened::Http1(connection) => {
                let head = self.head();
                let answer = connection.send(&head, &mut RequestBody::Empty, None, &mut |_| ()).await;
                answer.map(|(head, _)| head.status).map_err(|(error, _)| error.into())
            }
            Opened::Http2(shared) => {
                let stream = shared.begin().ok_or("closed at once")?;
                let request = in_http2(&self.head(), RequestBody::Empty, None, self.server.naming());
                Ok(stream.sender().send_request(request).await?.status())
            }
        }
    }

    fn head(&self) -> RequestHead {
        let mut fields = Fields::default();
        fields.append(&HOST, &self.server.authority);
        fields.append(&USER_AGENT, &HeaderValue::from_static("banyan-health"));
        let (method, version, uri) = (Method::GET, Version::HTTP_11, Uri::from(self.path.clone()));
        RequestHead { method, uri, version, fields, extensions: Extensions::new() }
    }
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
