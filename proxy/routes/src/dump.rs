//! A table as text: one line per fact, in a stable order, for tests and for people who ask what is in force.

use std::fmt::{self, Formatter};
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::failing::FallbackCause;
use crate::pattern::PathPattern;
use crate::shadowing::{Comparing, Shadow, ShadowWrites};
use crate::table::{
    Destination, HostPattern, MethodSet, PathOptions, RewriteHost, Route, RouteTable, Split, StickySource,
    StoreMode, Timeouts, Upstream, UpstreamTls, Writer,
};

impl fmt::Display for RouteTable {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        writeln!(out, "legacy: {}", self.upstream(self.legacy).name)?;
        timeouts(out, "", &self.timeouts)?;
        max_body(out, "", self.max_body)?;
        for network in &self.trusted_proxies {
            writeln!(out, "trusted proxy: {network}")?;
        }
        if self.allow_empty {
            writeln!(out, "allow empty: yes")?;
        }
        if !self.rewrite.answers {
            writeln!(out, "rewrite answers: no")?;
        }
        self.upstreams.iter().try_for_each(|entry| upstream(out, entry))?;
        for store in &self.stores {
            writeln!(out, "\nstore {}\n  mode: {}", store.name, mode(store.mode))?;
        }
        for cohort in &self.cohorts {
            writeln!(out, "\ncohort {}\n  percent: {}", cohort.name, cohort.share)?;
        }
        self.routes.iter().try_for_each(|entry| route(out, self, entry))
    }
}

fn upstream(out: &mut Formatter<'_>, upstream: &Upstream) -> fmt::Result {
    writeln!(out, "\nupstream {} ({}:{})", upstream.name, upstream.origin.file, upstream.origin.line)?;
    for target in &upstream.targets {
        writeln!(out, "  target: {} port {} as {}", target.host, target.port, text(&target.authority))?;
    }
    if let Some(health) = &upstream.health {
        let (every, timeout) = (duration(health.every), duration(health.timeout));
        write!(out, "  health: {} every {every} within {timeout}, ", health.path)?;
        writeln!(out, "unhealthy after {}, healthy after {}", health.unhealthy_after, health.healthy_after)?;
    }
    writeln!(out, "  connect timeout: {}", duration(upstream.connect_timeout))?;
    writeln!(out, "  keep alive: {}", duration(upstream.keep_alive))?;
    if let Some(most) = upstream.max_connections {
        writeln!(out, "  max connections: {most}")?;
    }
    if let Some(most) = upstream.max_requests {
        writeln!(out, "  max requests: {most}")?;
    }
    tls(out, upstream.tls.as_ref(), upstream.http2)?;
    let Some(breaker) = &upstream.breaker else { return Ok(()) };
    let (window, open) = (duration(breaker.window), duration(breaker.open_for));
    write!(out, "  breaker: opens for {open} at {} % errors ", breaker.error_percent)?;
    writeln!(out, "of at least {} requests in {window}", breaker.min_requests)
}

fn tls(out: &mut Formatter<'_>, tls: Option<&UpstreamTls>, http2: bool) -> fmt::Result {
    let Some(tls) = tls else {
        return if http2 { writeln!(out, "  http2: prior knowledge") } else { Ok(()) };
    };
    let authorities = match (tls.verifies, &tls.ca_file) {
        (false, _) => "nobody, any certificate is believed",
        (true, None) => "the system",
        (true, Some(file)) => file,
    };
    writeln!(out, "  tls: verified by {authorities}")?;
    if let Some(name) = &tls.server_name {
        writeln!(out, "  tls server name: {name}")?;
    }
    if let Some(client) = &tls.client {
        writeln!(out, "  tls client certificate: {} with {}", client.certificate, client.key)?;
    }
    writeln!(out, "  http2: {}", if http2 { "alpn" } else { "off" })
}

fn route(out: &mut Formatter<'_>, table: &RouteTable, route: &Route) -> fmt::Result {
    writeln!(out, "\nroute {} ({}:{})", route.name, route.origin.file, route.origin.line)?;
    host(out, &route.host)?;
    path(out, &route.path, route.path_options)?;
    if let MethodSet::Only(methods) = &route.methods {
        let words: Vec<_> = methods.iter().map(http::Method::as_str).collect();
        writeln!(out, "  methods: {}", words.join(" "))?;
    }
    for held in &route.when {
        writeln!(out, "  when: {held}")?;
    }
    writeln!(out, "  stage: {}", route.stage().as_str())?;
    destination(out, table, &route.destination)?;
    writeln!(out, "  legacy: {}", table.upstream(route.legacy).name)?;
    for pin in &route.pins {
        let arm = if pin.to_candidate { "candidate" } else { "legacy" };
        writeln!(out, "  pin: {} to {arm}", pin.condition)?;
    }
    if let Some(store) = route.store {
        writeln!(out, "  store: {}", table.stores[store.0 as usize].name)?;
    }
    if route.side_effects {
        writeln!(out, "  side effects: yes")?;
    }
    timeouts(out, "  ", &route.timeouts)?;
    max_body(out, "  ", route.max_body)?;
    match &route.rewrite.host {
        RewriteHost::Keep => {}
        RewriteHost::Upstream => writeln!(out, "  rewrite host: upstream")?,
        RewriteHost::Fixed(name) => writeln!(out, "  rewrite host: {}", text(name))?,
    }
    if let Some(prefix) = &route.rewrite.prefix {
        writeln!(out, "  rewrite path: `{}` becomes `{}`", prefix.strip(), prefix.add())?;
    }
    if !route.rewrite.answers {
        writeln!(out, "  rewrite answers: no")?;
    }
    if let Some(sunset) = &route.sunset {
        writeln!(out, "  sunset: {}", text(&sunset.date))?;
        link(out, sunset.link.as_ref())?;
    }
    route.meta.iter().try_for_each(|(key, word)| writeln!(out, "  meta {key}: {word}"))
}

fn host(out: &mut Formatter<'_>, host: &HostPattern) -> fmt::Result {
    match host {
        HostPattern::Any => Ok(()),
        HostPattern::Exact(name) => writeln!(out, "  host: {name}"),
        HostPattern::Suffix(parent) => writeln!(out, "  host: *{parent}"),
    }
}

fn path(out: &mut Formatter<'_>, path: &PathPattern, options: PathOptions) -> fmt::Result {
    let kind = match path {
        PathPattern::Exact(_) => "exact",
        PathPattern::Prefix(_) => "prefix",
        PathPattern::Template(_) => "template",
        PathPattern::Regex(_) => "regex",
    };
    let case = if options.ignore_case { ", case ignored" } else { "" };
    let slash = if options.ignore_trailing_slash { ", trailing slash ignored" } else { "" };
    writeln!(out, "  path: {kind} {path}{case}{slash}")
}

fn destination(out: &mut Formatter<'_>, table: &RouteTable, destination: &Destination) -> fmt::Result {
    match destination {
        Destination::Legacy => Ok(()),
        Destination::Split(split) => self::split(out, table, split),
        Destination::Retired(retire) => link(out, retire.link.as_ref()),
    }
}

fn split(out: &mut Formatter<'_>, table: &RouteTable, split: &Split) -> fmt::Result {
    writeln!(out, "  to: {}", table.upstream(split.candidate).name)?;
    let line = split.percent_origin.line;
    writeln!(out, "  percent: {} ({}:{line})", split.share, split.percent_origin.file)?;
    if let Some(cohort) = split.cohort {
        writeln!(out, "  cohort: {}", table.cohorts[cohort.0 as usize].name)?;
    }
    writeln!(out, "  hash name: {}", split.hash_name)?;
    let sources: Vec<_> = split.sticky.iter().map(sticky).collect();
    writeln!(out, "  sticky: {}", sources.join(", "))?;
    if let Some(name) = &split.issue_cookie {
        writeln!(out, "  issue cookie: {name}")?;
    }
    match split.fallback.on() {
        [] => {}
        on => writeln!(out, "  falls back on: {}", words(on))?,
    }
    split.shadow.as_ref().map_or(Ok(()), |shadow| self::shadow(out, shadow))?;
    comparing(out, &split.comparing)
}

fn shadow(out: &mut Formatter<'_>, shadow: &Shadow) -> fmt::Result {
    let (share, most, time) = (shadow.share, shadow.max_body, duration(shadow.timeout));
    writeln!(out, "  shadow: {share} % of requests, bodies up to {most} bytes, within {time}")?;
    if shadow.writes != ShadowWrites::Never {
        writeln!(out, "  shadow writes: {}", shadow.writes.as_str())?;
    }
    if shadow.strip_headers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = shadow.strip_headers.iter().map(HeaderName::as_str).collect();
    writeln!(out, "  shadow without: {}", names.join(", "))
}

/// Only what is not so anyway.
fn comparing(out: &mut Formatter<'_>, comparing: &Comparing) -> fmt::Result {
    for (key, text) in &*comparing.said {
        writeln!(out, "  compare {key}: {text}")?;
    }
    let default = Comparing::default();
    if comparing.noise != default.noise {
        writeln!(out, "  compare noise: {} % asked twice", comparing.noise)?;
    }
    if comparing.recheck_after != default.recheck_after {
        writeln!(out, "  compare recheck: after {}", duration(comparing.recheck_after))?;
    }
    Ok(())
}

fn sticky(source: &StickySource) -> String {
    match source {
        StickySource::Header(name) => format!("header:{name}"),
        StickySource::Cookie(name) => format!("cookie:{name}"),
        StickySource::ClientIp => "client-ip".to_owned(),
    }
}

/// `timeout, 503`
pub(crate) fn words(causes: &[FallbackCause]) -> String {
    causes.iter().map(FallbackCause::as_str).collect::<Vec<_>>().join(", ")
}

fn mode(mode: StoreMode) -> &'static str {
    match mode {
        StoreMode::Shared => "shared",
        StoreMode::Separate(Writer::Legacy) => "separate, written by legacy",
        StoreMode::Separate(Writer::Candidate) => "separate, written by candidate",
    }
}

fn timeouts(out: &mut Formatter<'_>, indent: &str, timeouts: &Timeouts) -> fmt::Result {
    let (response, idle) = (duration(timeouts.response), duration(timeouts.idle));
    writeln!(out, "{indent}timeouts: response {response}, idle {idle}")
}

fn max_body(out: &mut Formatter<'_>, indent: &str, most: Option<u64>) -> fmt::Result {
    most.map_or(Ok(()), |most| writeln!(out, "{indent}max body: {most} bytes"))
}

fn link(out: &mut Formatter<'_>, link: Option<&HeaderValue>) -> fmt::Result {
    link.map_or(Ok(()), |link| writeln!(out, "  link: {}", text(link)))
}

/// In whole milliseconds, which is all that can be written.
fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
