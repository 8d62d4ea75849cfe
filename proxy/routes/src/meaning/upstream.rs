//! Upstreams and their health checks; `tls` is how they are reached.

use std::time::Duration;

use super::target::Scheme;
use super::{failing, target, tls};
use crate::problem::{Draft, Problems};
use crate::source::Sources;
use crate::table::{HealthCheck, Origin, Target, Upstream, UpstreamTls};
use crate::written::duration::Span;
use crate::written::reader::{Field, Located};
use crate::written::upstream::{HealthTable, UpstreamTable};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// An upstream of one target with the built-in defaults.
pub(super) fn plain(name: &str, (scheme, target): (Scheme, Target), origin: Origin) -> Upstream {
    let tls = (scheme == Scheme::Https).then(UpstreamTls::default);
    Upstream {
        name: name.to_owned(),
        targets: vec![target],
        health: None,
        connect_timeout: CONNECT_TIMEOUT,
        keep_alive: KEEP_ALIVE,
        max_connections: None,
        max_requests: None,
        breaker: None,
        http2: tls.is_some(),
        tls,
        origin,
    }
}

/// `None` has left a problem behind.
pub(super) fn make(
    name: &Located<String>,
    table: &UpstreamTable,
    connect_timeout: Duration,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> Option<Upstream> {
    let targets = targets(table.targets.good()?, problems);
    let scheme = targets.as_ref().and_then(|targets| tls::scheme(targets, problems));
    // Without a scheme every `tls` and `http2` would be as wrong as it is right.
    let tls = tls::make(&table.tls, scheme, problems);
    let http2 = tls::http2(&table.http2, scheme, problems);
    Some(Upstream {
        name: name.value.clone(),
        breaker: table.breaker.value().map(|breaker| failing::breaker(breaker, problems)),
        health: table.health.value().and_then(|health| self::health(health, problems)),
        connect_timeout: or(&table.connect_timeout, connect_timeout),
        keep_alive: or(&table.keep_alive, KEEP_ALIVE),
        max_connections: at_least_one(&table.max_connections, "max_connections", problems),
        max_requests: at_least_one(&table.max_requests, "max_requests", problems),
        targets: targets?.into_iter().map(|target| target.value.1).collect(),
        tls: tls.ok()?,
        http2: http2?,
        origin: sources.origin(name.spot),
    })
}

fn targets(
    written: &Located<Vec<Located<String>>>,
    problems: &mut Problems,
) -> Option<Vec<Located<(Scheme, Target)>>> {
    if written.value.is_empty() {
        let draft = Draft::error("empty-list", written.spot, "an upstream without targets answers nothing");
        problems.push(draft.hint("write it like `targets = [\"http://127.0.0.1:3000\"]`"));
        return None;
    }
    let mut targets: Vec<Located<(Scheme, Target)>> = Vec::new();
    for url in &written.value {
        let Some(target) = target::parse(url, problems) else { continue };
        if targets.iter().any(|other| other.value == target) {
            let message = format!("`{}` is in the list already", url.value);
            problems.push(Draft::error("duplicate-target", url.spot, message));
        }
        targets.push(Located { value: target, spot: url.spot });
    }
    Some(targets)
}

fn health(table: &HealthTable, problems: &mut Problems) -> Option<HealthCheck> {
    Some(HealthCheck {
        every: or(&table.every, Duration::from_secs(5)),
        timeout: or(&table.timeout, Duration::from_secs(2)),
        unhealthy_after: at_least_one(&table.unhealthy_after, "unhealthy_after", problems).unwrap_or(3),
        healthy_after: at_least_one(&table.healthy_after, "healthy_after", problems).unwrap_or(2),
        path: health_path(table.path.good()?, problems)?,
    })
}

fn health_path(path: &Located<String>, problems: &mut Problems) -> Option<String> {
    let visible = path.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.value.starts_with('/') && visible {
        return Some(path.value.clone());
    }
    let message = format!("`{}` is no path to ask", path.value);
    problems.push(Draft::error("bad-health-path", path.spot, message).hint("write it like `/healthz`"));
    None
}

fn or(field: &Field<Span>, default: Duration) -> Duration {
    field.value().map_or(default, |span| span.0)
}

fn at_least_one(field: &Field<u32>, key: &str, problems: &mut Problems) -> Option<u32> {
    let written = field.good()?;
    if written.value == 0 {
        problems.push(Draft::error(
            "out-of-range",
            written.spot,
            format!("`{key}` must be at least 1, found 0"),
        ));
    }
    Some(written.value)
}
