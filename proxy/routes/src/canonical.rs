//! The meaning of each part of a table as bytes, key by key: what `identity` hashes and `diff` compares.
//!
//! Names stand for positions, sets are sorted, places in files are left out. Every struct is taken apart field
//! by field, so that a new field does not compile until it has its place here.

use std::time::Duration;

use http::header::HeaderValue;

use crate::failing::{Breaker, FallbackCause};
use crate::rewrite::PrefixRewrite;
use crate::shadowing::{Comparing, Shadow};
use crate::table::{
    ClientFiles, Cohort, Condition, Destination, HealthCheck, HostPattern, MethodSet, PathOptions, Retire,
    Rewrite, RewriteHost, Route, RouteTable, Split, Store, StoreMode, Sunset, Target, Timeouts, Upstream,
    UpstreamTls, Writer,
};

/// A key as written in routes.toml, and what it means.
pub(crate) type Field = (&'static str, Bytes);

/// Texts, each with its length before it, so that no two lists of texts are the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Bytes(Vec<u8>);

impl Bytes {
    /// One text after those already there.
    pub(crate) fn and(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text);
        self
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    fn all<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        texts.into_iter().fold(Self::default(), Self::and)
    }

    fn set<T: AsRef<[u8]> + Ord>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut texts: Vec<T> = texts.into_iter().collect();
        texts.sort();
        Self::all(texts)
    }

    fn number(number: &impl ToString) -> Self {
        Self::default().and(number.to_string())
    }

    fn optional<T: AsRef<[u8]>>(text: Option<T>) -> Self {
        Self::all(text)
    }

    fn time(time: Duration) -> Self {
        Self::number(&time.as_nanos())
    }
}

/// `[defaults]` and the main keys.
pub(crate) fn defaults(table: &RouteTable) -> Vec<Field> {
    let Timeouts { response, idle } = &table.timeouts;
    let mut fields = vec![
        ("legacy", Bytes::default().and(&table.upstream(table.legacy).name)),
        ("timeout", Bytes::time(*response)),
        ("idle_timeout", Bytes::time(*idle)),
        ("trusted_proxies", Bytes::set(table.trusted_proxies.iter().map(ToString::to_string))),
        ("allow_empty", Bytes::number(&table.allow_empty)),
    ];
    fields.extend(answers_field(&table.rewrite));
    fields.extend(most_field("max_body", table.max_body));
    fields
}

/// One route. The name is not among the fields.
pub(crate) fn route(table: &RouteTable, route: &Route) -> Vec<Field> {
    let Route {
        name: _,
        host,
        path,
        path_options: PathOptions { ignore_case, ignore_trailing_slash },
        methods,
        when,
        destination,
        legacy,
        pins,
        store,
        side_effects,
        timeouts: Timeouts { response, idle },
        max_body,
        rewrite,
        sunset,
        meta,
        origin: _,
    } = route;
    let mut fields = vec![
        ("host", host_bytes(host)),
        ("path", Bytes::default().and(path_kind(path)).and(path.to_string())),
        ("path_case", Bytes::number(ignore_case)),
        ("trailing_slash", Bytes::number(ignore_trailing_slash)),
        ("methods", method_bytes(methods)),
        ("when", Bytes::set(when.iter().map(condition_text))),
        ("legacy", Bytes::default().and(&table.upstream(*legacy).name)),
        (
            "pin",
            Bytes::all(
                pins.iter().map(|pin| format!("{} {}", pin.to_candidate, condition_text(&pin.condition))),
            ),
        ),
        ("store", Bytes::optional(store.map(|store| &table.stores()[store.0 as usize].name))),
        ("side_effects", Bytes::number(side_effects)),
        ("timeout", Bytes::time(*response)),
        ("idle_timeout", Bytes::time(*idle)),
        ("rewrite", rewrite_bytes(rewrite)),
        ("sunset", sunset_bytes(sunset.as_ref())),
        ("meta", Bytes::all(meta.iter().flat_map(|(key, value)| [key, value]))),
    ];
    fields.extend(answers_field(rewrite));
    fields.extend(most_field("max_body", *max_body));
    fields.extend(destination_fields(table, destination));
    fields
}

/// The servers of an upstream.
pub(crate) fn targets(upstream: &Upstream) -> Field {
    targets_field(&upstream.targets)
}

fn targets_field(targets: &[Target]) -> Field {
    let target = |target: &Target| format!("{} {}", target.host, target.port);
    ("targets", Bytes::set(targets.iter().map(target)))
}

/// How answers are compared, but for when and how often they are asked again.
pub(crate) fn rules(comparing: &Comparing) -> Vec<Field> {
    comparing.said.iter().map(|(key, text)| (*key, Bytes::default().and(text))).collect()
}

/// One upstream. The name is not among the fields.
pub(crate) fn upstream(upstream: &Upstream) -> Vec<Field> {
    let Upstream {
        name: _,
        targets,
        health,
        connect_timeout,
        keep_alive,
        max_connections,
        max_requests,
        breaker,
        tls,
        http2,
        origin: _,
    } = upstream;
    let mut fields = vec![
        targets_field(targets),
        ("health", health_bytes(health.as_ref())),
        ("connect_timeout", Bytes::time(*connect_timeout)),
        ("keep_alive", Bytes::time(*keep_alive)),
        ("max_connections", Bytes::optional(max_connections.map(|it| it.to_string()))),
    ];
    fields.extend(most_field("max_requests", *max_requests));
    // Only where there is one: files without it keep the hash they had.
    fields.extend(breaker.as_ref().map(|breaker| ("breaker", breaker_bytes(breaker))));
    fields.extend(tls.as_ref().map(|tls| ("tls", tls_bytes(tls))));
    let is_default = *http2 == tls.is_some();
    fields.extend((!is_default).then(|| ("http2", Bytes::number(http2))));
    fields
}

/// One store. The name is not among the fields.
pub(crate) fn store(store: &Store) -> Vec<Field> {
    let Store { name: _, mode } = store;
    let (mode, writer) = match mode {
        StoreMode::Shared => ("shared", "both"),
        StoreMode::Separate(Writer::Legacy) => ("separate", "legacy"),
        StoreMode::Separate(Writer::Candidate) => ("separate", "candidate"),
    };
    vec![("mode", Bytes::default().and(mode)), ("writer", Bytes::default().and(writer))]
}

/// One cohort. The name is not among the fields.
pub(crate) fn cohort(cohort: &Cohort) -> Vec<Field> {
    let Cohort { name: _, share, percent_origin: _ } = cohort;
    vec![("percent", Bytes::number(&share.thousandths()))]
}

fn destination_fields(table: &RouteTable, destination: &Destination) -> Vec<Field> {
    match destination {
        Destination::Legacy => Vec::new(),
        Destination::Retired(Retire { link }) => {
            vec![("retire", Bytes::optional(link.as_ref().map(HeaderValue::as_bytes)))]
        }
        Destination::Split(split) => split_fields(table, split),
    }
}

fn split_fields(table: &RouteTable, split: &Split) -> Vec<Field> {
    let Split {
        candidate,
        share,
        cohort,
        hash_name,
        sticky,
        issue_cookie,
        fallback,
        shadow,
        comparing,
        percent_origin: _,
    } = split;
    let mut fields = vec![
        ("to", Bytes::default().and(&table.upstream(*candidate).name)),
        ("percent", Bytes::number(&share.thousandths())),
        ("cohort", Bytes::optional(cohort.map(|cohort| &table.cohorts()[cohort.0 as usize].name))),
        ("hash_as", Bytes::default().and(hash_name.as_bytes())),
        ("sticky", Bytes::all(sticky.iter().map(ToString::to_string))),
        ("issue_cookie", Bytes::optional(issue_cookie.as_deref())),
    ];
    if !fallback.on().is_empty() {
        fields.push(("fallback", Bytes::all(fallback.on().iter().map(FallbackCause::as_str))));
    }
    fields.extend(shadow.as_ref().map(shadow_fields).into_iter().flatten());
    fields.extend((!comparing.is_default()).then(|| ("compare", comparing_bytes(comparing))));
    fields
}

fn shadow_fields(shadow: &Shadow) -> [Field; 5] {
    let Shadow { share, max_body, timeout, strip_headers, writes } = shadow;
    [
        ("shadow", Bytes::number(&share.thousandths())),
        ("shadow.max_body", Bytes::number(max_body)),
        ("shadow.timeout", Bytes::time(*timeout)),
        ("shadow.strip_headers", Bytes::all(strip_headers)),
        ("shadow.writes", Bytes::default().and(writes.as_str())),
    ]
}

fn comparing_bytes(comparing: &Comparing) -> Bytes {
    // `said` is all of `rules` and `redact`.
    let Comparing { rules: _, noise, recheck_after, redact: _, said } = comparing;
    let times = Bytes::number(&noise.thousandths()).and(recheck_after.as_nanos().to_string());
    said.iter().fold(times, |bytes, (key, text)| bytes.and(key).and(text))
}

/// A condition as in the file has all of its meaning.
fn condition_text(condition: &Condition) -> String {
    condition.to_string()
}

fn path_kind(path: &crate::pattern::PathPattern) -> &'static str {
    if matches!(path, crate::pattern::PathPattern::Regex(_)) { "path_regex" } else { "path" }
}

fn host_bytes(host: &HostPattern) -> Bytes {
    match host {
        HostPattern::Any => Bytes::default(),
        HostPattern::Exact(name) => Bytes::default().and(name.as_bytes()),
        HostPattern::Suffix(suffix) => Bytes::default().and(format!("*{suffix}")),
    }
}

fn method_bytes(methods: &MethodSet) -> Bytes {
    match methods {
        MethodSet::Any => Bytes::default(),
        MethodSet::Only(methods) => Bytes::set(methods.iter().map(http::Method::as_str)),
    }
}

/// Absent where answers are rewritten, so that a table without the key has the identity it had before there was one.
fn answers_field(rewrite: &Rewrite) -> Option<Field> {
    (!rewrite.answers).then(|| ("rewrite_answers", Bytes::number(&false)))
}

/// Absent where there is no limit, for the same reason.
fn most_field(key: &'static str, most: Option<impl ToString>) -> Option<Field> {
    most.map(|most| (key, Bytes::number(&most)))
}

/// Without the answers, which have a key of their own.
fn rewrite_bytes(rewrite: &Rewrite) -> Bytes {
    let Rewrite { host, prefix, answers: _ } = rewrite;
    let host = match host {
        RewriteHost::Keep => Bytes::default(),
        RewriteHost::Upstream => Bytes::default().and("upstream"),
        RewriteHost::Fixed(host) => Bytes::default().and("fixed").and(host.as_bytes()),
    };
    // Case is ignored where the route's path ignores it, which has a key of its own.
    let Some(PrefixRewrite { strip, add, ignore_case: _ }) = prefix else { return host };
    host.and("strip").and(strip.as_bytes()).and("add").and(add.as_bytes())
}

fn sunset_bytes(sunset: Option<&Sunset>) -> Bytes {
    let Some(Sunset { date, link }) = sunset else { return Bytes::default() };
    Bytes::all([Some(date), link.as_ref()].into_iter().flatten().map(HeaderValue::as_bytes))
}

fn breaker_bytes(breaker: &Breaker) -> Bytes {
    let Breaker { error_percent, window, min_requests, open_for } = breaker;
    Bytes::all([
        error_percent.to_string(),
        window.as_nanos().to_string(),
        min_requests.to_string(),
        open_for.as_nanos().to_string(),
    ])
}

fn tls_bytes(tls: &UpstreamTls) -> Bytes {
    let UpstreamTls { ca_file, client, server_name, verifies } = tls;
    let client = client.as_ref().map(|ClientFiles { certificate, key }| [&**certificate, &**key]);
    // Each with what it is, since each may be absent.
    let named = [
        ("ca", ca_file.as_deref()),
        ("certificate", client.map(|client| client[0])),
        ("key", client.map(|client| client[1])),
        ("name", server_name.as_deref()),
        ("unverified", (!verifies).then_some("")),
    ];
    let named = named.into_iter().filter_map(|(what, value)| Some([what, value?]));
    Bytes::all(named.flatten())
}

fn health_bytes(health: Option<&HealthCheck>) -> Bytes {
    let Some(health) = health else { return Bytes::default() };
    let HealthCheck { path, every, timeout, unhealthy_after, healthy_after } = health;
    Bytes::all([
        path.clone(),
        every.as_nanos().to_string(),
        timeout.as_nanos().to_string(),
        unhealthy_after.to_string(),
        healthy_after.to_string(),
    ])
}
