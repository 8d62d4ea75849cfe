//! What routes.toml means. Values here are valid by construction and have no setters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use ipnet::IpNet;
use regex::Regex;

use crate::decide::{Arm, Decision};
use crate::failing::{Breaker, Fallback};
use crate::index::Index;
use crate::meaning;
use crate::pattern::PathPattern;
use crate::problem::Report;
use crate::rewrite::PrefixRewrite;
use crate::shadowing::{Comparing, Shadow};
use crate::source::{FileSet, Variables};

/// Position of a route in [`RouteTable::routes`]; `None` wherever a route is optional means `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteIndex(pub u32);

/// Position of an upstream in [`RouteTable::upstreams`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamIndex(pub u32);

/// Position of a store in [`RouteTable::stores`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreIndex(pub u32);

/// Position of a cohort in [`RouteTable::cohorts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CohortIndex(pub u32);

/// Every decision of one configuration: immutable, shared behind an `Arc`, swapped whole.
#[derive(Debug)]
pub struct RouteTable {
    pub(crate) legacy: UpstreamIndex,
    pub(crate) timeouts: Timeouts,
    pub(crate) max_body: Option<u64>,
    pub(crate) trusted_proxies: Box<[IpNet]>,
    pub(crate) allow_empty: bool,
    /// Of requests that no route matches.
    pub(crate) rewrite: Rewrite,
    pub(crate) routes: Box<[Route]>,
    pub(crate) upstreams: Box<[Upstream]>,
    pub(crate) stores: Box<[Store]>,
    pub(crate) cohorts: Box<[Cohort]>,
    pub(crate) hash: TableHash,
    pub(crate) index: Arc<Index>,
}

impl RouteTable {
    /// Reads a file set whole: a table only when there is no error; the report holds all problems, warnings too.
    pub fn parse(files: &FileSet, variables: &Variables) -> (Option<Self>, Report) {
        meaning::parse(files, variables)
    }

    /// The table of `banyan run --legacy URL`: no routes, everything to one upstream.
    ///
    /// `url` is `http://host:port` or `https://host:port`; the report names what is wrong with it.
    pub fn legacy_only(url: &str) -> (Option<Self>, Report) {
        meaning::legacy_only(url)
    }

    /// The upstream that answers whatever no route has taken.
    pub fn legacy(&self) -> UpstreamIndex {
        self.legacy
    }

    /// `[defaults]` timeouts: those of requests that no route matches.
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// `[defaults]` `max_body`: most bytes of the body of a request that no route matches.
    pub fn max_body(&self) -> Option<u64> {
        self.max_body
    }

    /// Peers whose `X-Forwarded-*` and `Forwarded` fields are believed.
    pub fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted_proxies
    }

    /// Whether an empty set of routes may replace one that is not empty.
    pub fn allow_empty(&self) -> bool {
        self.allow_empty
    }

    /// What changes on the way of a request of this route, or of one that no route matches.
    pub fn rewrite(&self, route: Option<RouteIndex>) -> &Rewrite {
        route.map_or(&self.rewrite, |index| &self.route(index).rewrite)
    }

    /// How the path of a decided request is rewritten: legacy knows the public path, the candidate may not.
    pub fn prefix_rewrite(&self, decision: &Decision) -> Option<&PrefixRewrite> {
        let rewrite = self.rewrite(decision.route);
        rewrite.prefix.as_ref().filter(|_| decision.arm == Arm::Candidate)
    }

    /// Routes in file order: the main file, then includes by name.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Upstreams in order of their names.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    /// Stores in order of their names.
    pub fn stores(&self) -> &[Store] {
        &self.stores
    }

    /// Cohorts in order of their names.
    pub fn cohorts(&self) -> &[Cohort] {
        &self.cohorts
    }

    /// One route by its place.
    pub fn route(&self, index: RouteIndex) -> &Route {
        &self.routes[index.0 as usize]
    }

    /// One upstream by its place.
    pub fn upstream(&self, index: UpstreamIndex) -> &Upstream {
        &self.upstreams[index.0 as usize]
    }

    /// The identity of a configuration: equal for equal meanings, whatever the layout and the comments.
    pub fn hash(&self) -> &TableHash {
        &self.hash
    }

    /// Equal while comparisons of a route are about the same: its two upstreams, by name and targets, and the rules of
    /// `compare`. None where nothing is split.
    pub fn compared(&self, route: &Route) -> Option<String> {
        crate::identity::compared(self, route)
    }
}

/// Hash of a resolved table: 16 hexadecimal characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableHash(pub(crate) String);

impl TableHash {
    /// The hash as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// File and line where a thing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the file as given in the [`FileSet`].
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
}

/// A named slice of the HTTP surface and where it goes.
#[derive(Debug, Clone)]
pub struct Route {
    /// Unique; also the metric label.
    pub name: String,
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// How loosely paths are compared.
    pub path_options: PathOptions,
    /// Which methods.
    pub methods: MethodSet,
    /// Conditions on headers, cookies and query parameters, all of which must hold.
    pub when: Vec<Condition>,
    /// Where it goes.
    pub destination: Destination,
    /// The upstream of the legacy arm.
    pub legacy: UpstreamIndex,
    /// Conditions that choose an arm whatever the share; the first that holds wins.
    pub pins: Vec<Pin>,
    /// The database behind the route.
    pub store: Option<StoreIndex>,
    /// A safe method of this route changes something: treated as unsafe everywhere.
    pub side_effects: bool,
    /// Limits in time.
    pub timeouts: Timeouts,
    /// Most bytes of the body of a request; `None` is unlimited.
    pub max_body: Option<u64>,
    /// What changes on the way to the upstream and back.
    pub rewrite: Rewrite,
    /// Announced end of life (RFC 8594).
    pub sunset: Option<Sunset>,
    /// Free words for people: owner, ticket.
    pub meta: BTreeMap<String, String>,
    /// Where it was written.
    pub origin: Origin,
}

impl Route {
    /// Where this route is on its way out of the monolith, derived from its settings.
    pub fn stage(&self) -> Stage {
        match &self.destination {
            Destination::Retired(_) => Stage::Retired,
            Destination::Split(split) if split.share == Share::ALL => Stage::Extracted,
            Destination::Split(split) if split.share != Share::NONE => Stage::Canary,
            Destination::Split(split) if split.is_shadowed() => Stage::Shadow,
            Destination::Split(_) | Destination::Legacy => Stage::Legacy,
        }
    }
}

/// How loosely paths are compared. A `path_regex` is compiled with the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PathOptions {
    /// `path_case = "insensitive"`: ASCII letters match in either case.
    pub ignore_case: bool,
    /// `trailing_slash = "ignore"`: `/a` and `/a/` are the same path.
    pub ignore_trailing_slash: bool,
}

/// Where a route is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Legacy answers everybody.
    Legacy,
    /// Legacy answers everybody, copies go to the candidate.
    Shadow,
    /// Some clients are answered by the candidate.
    Canary,
    /// The candidate answers everybody.
    Extracted,
    /// 410 Gone.
    Retired,
}

impl Stage {
    /// The word used in output and documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Extracted => "extracted",
            Self::Retired => "retired",
        }
    }
}

/// Where a route goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// No `to`: the route only names a slice of legacy, for its metrics, timeouts or sunset.
    Legacy,
    /// Some share of clients goes to a candidate.
    Split(Split),
    /// 410 Gone.
    Retired(Retire),
}

/// How a route divides its clients.
#[derive(Debug, Clone)]
pub struct Split {
    /// The upstream the route moves to.
    pub candidate: UpstreamIndex,
    /// Share of clients that the candidate answers: the route's own or its cohort's.
    pub share: Share,
    /// The cohort that holds share and key, if any.
    pub cohort: Option<CohortIndex>,
    /// What is hashed together with the sticky value: name of the cohort or route, or `hash_as`.
    pub hash_name: Arc<str>,
    /// What identifies a client; the first source present wins.
    pub sticky: Arc<[StickySource]>,
    /// Name of the cookie given to clients that have none of the sticky values (`issue_cookie = true`).
    pub issue_cookie: Option<Arc<str>>,
    /// When a request that the candidate cannot answer goes to legacy.
    pub fallback: Fallback,
    /// Copies to the arm that did not answer.
    pub shadow: Option<Shadow>,
    /// How their answers are compared.
    pub comparing: Comparing,
    /// Place of the `percent` value, which `shift` edits.
    pub percent_origin: Origin,
}

impl Split {
    /// Whether any request is copied.
    fn is_shadowed(&self) -> bool {
        self.shadow.as_ref().is_some_and(|shadow| shadow.share != Share::NONE)
    }
}

/// A share of clients in thousandths of a percent, 0..=100 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(100_000);

    /// `None` above 100 %.
    pub fn from_thousandths(thousandths: u32) -> Option<Self> {
        (thousandths <= Self::ALL.0).then_some(Self(thousandths))
    }

    /// Thousandths of a percent: 12.5 % is 12 500.
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// 0..=1, for metrics.
    pub fn ratio(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

/// Percent with as many decimals as it needs: `12.5`, `0.001`, `100`.
impl std::fmt::Display for Share {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(out, "{whole}");
        }
        let decimals = format!("{rest:03}");
        write!(out, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// One thing that may identify a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StickySource {
    /// Value of a request header, if given exactly once and not empty.
    Header(HeaderName),
    /// Value of a cookie, if given exactly once and not empty.
    Cookie(Box<str>),
    /// Rightmost untrusted address, IPv6 by /64.
    ClientIp,
}

/// Which hosts a route answers for. Compared without port, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// No `host`.
    Any,
    /// One name.
    Exact(Box<str>),
    /// `*.example.com`: kept as `.example.com`; any number of labels before it, at least one.
    Suffix(Box<str>),
}

/// Which methods a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MethodSet {
    /// No `methods`.
    Any,
    /// These; GET implies HEAD.
    Only(Vec<Method>),
}

/// A test on one part of the request.
#[derive(Debug, Clone)]
pub struct Condition {
    /// What is looked at.
    pub subject: Subject,
    /// What must be true of it.
    pub check: Check,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A header: any of its lines may satisfy the check.
    Header(HeaderName),
    /// A cookie.
    Cookie(Box<str>),
    /// A query parameter, percent-decoded.
    Query(Box<str>),
    /// The client address; only with [`Check::Within`].
    ClientIp,
}

/// What must be true.
#[derive(Debug, Clone)]
pub enum Check {
    /// `equals = "..."`
    Equals(Box<str>),
    /// `prefix = "..."`
    Prefix(Box<str>),
    /// `regex = "..."`, anchored at both ends.
    Regex(Regex),
    /// `present = true` or `false`
    Present(bool),
    /// `within = ["10.0.0.0/8"]`
    Within(Box<[IpNet]>),
}

/// A condition that chooses an arm whatever the share.
#[derive(Debug, Clone)]
pub struct Pin {
    /// What must hold.
    pub condition: Condition,
    /// `true` for the candidate, `false` for legacy.
    pub to_candidate: bool,
}

/// 410 Gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retire {
    /// Where to read more: ready-made `Link` value, `<...>; rel="deprecation"` (RFC 9745).
    pub link: Option<HeaderValue>,
}

/// An announced end (RFC 8594): answers carry `Sunset` and `Link: <...>; rel="sunset"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sunset {
    /// HTTP date.
    pub date: HeaderValue,
    /// Ready-made `Link` value.
    pub link: Option<HeaderValue>,
}

/// Limits in time of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From the end of the request to the head of the answer.
    pub response: Duration,
    /// Longest silence within a body or an upgraded stream.
    pub idle: Duration,
}

/// What changes on the way to the upstream and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// Which Host the upstream sees, whichever arm it is.
    pub host: RewriteHost,
    /// Which path the candidate is asked for. Legacy is always asked for the public one.
    pub prefix: Option<PrefixRewrite>,
    /// Whether addresses and cookies in answers are made to fit the public ones.
    pub answers: bool,
}

impl Default for Rewrite {
    fn default() -> Self {
        Self { host: RewriteHost::Keep, prefix: None, answers: true }
    }
}

/// Which Host the upstream sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RewriteHost {
    /// The client's.
    #[default]
    Keep,
    /// The target's own authority.
    Upstream,
    /// A fixed one.
    Fixed(HeaderValue),
}

/// Where answers come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Unique; also the metric label.
    pub name: String,
    /// At least one.
    pub targets: Vec<Target>,
    /// Active check; none means every target counts as healthy.
    pub health: Option<HealthCheck>,
    /// Longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Most connections to each target, over all threads; `None` is unlimited.
    pub max_connections: Option<u32>,
    /// Most requests at a time, over all targets and threads; `None` is unlimited.
    pub max_requests: Option<u32>,
    /// When requests of candidates leave it alone; legacy's pass unasked.
    pub breaker: Option<Breaker>,
    /// `https://`; `None` is without TLS.
    pub tls: Option<UpstreamTls>,
    /// HTTP/2: with TLS it is offered, without TLS it is spoken.
    pub http2: bool,
    /// Where it was written.
    pub origin: Origin,
}

/// TLS to the targets of an upstream. Files are named as they were written: from the folder of the file that names them,
/// which is that of [`Upstream::origin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Authorities that are believed (PEM); the system's when absent.
    pub ca_file: Option<Box<str>>,
    /// What is shown to an upstream that asks for a certificate.
    pub client: Option<ClientFiles>,
    /// Name that is asked for and verified; the target's host when absent.
    pub server_name: Option<Box<str>>,
    /// False believes any certificate.
    pub verifies: bool,
}

impl Default for UpstreamTls {
    fn default() -> Self {
        Self { ca_file: None, client: None, server_name: None, verifies: true }
    }
}

/// A certificate to show, and its key; both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The certificate first, then its chain.
    pub certificate: Box<str>,
    /// Without a password.
    pub key: Box<str>,
}

/// One server of an upstream: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address, IPv6 without brackets.
    pub host: Box<str>,
    /// TCP port.
    pub port: u16,
    /// `host:port` as it goes into a Host header and a metric label (IPv6 in brackets, the scheme's own port left
    /// out).
    pub authority: HeaderValue,
}

/// An active health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path asked with GET; 2xx is healthy.
    pub path: String,
    /// Time between two questions.
    pub every: Duration,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy_after: u32,
    /// Successes in a row that make it healthy again.
    pub healthy_after: u32,
}

/// A database behind routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Unique.
    pub name: String,
    /// Shared or separate.
    pub mode: StoreMode,
}

/// Who writes where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// Both arms write one database.
    Shared,
    /// Each arm has its own; one is the writer of record.
    Separate(Writer),
}

/// The writer of record of a separate store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// Before the cut.
    Legacy,
    /// After the cut.
    Candidate,
}

/// Routes that share one percentage and one bucket assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// Unique among cohorts and routes: it is a hash name.
    pub name: String,
    /// Share of clients.
    pub share: Share,
    /// Where `percent` was written.
    pub percent_origin: Origin,
}
