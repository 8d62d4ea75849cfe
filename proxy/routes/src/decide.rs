//! The decision: which route, which arm, which upstream, and why.

use std::net::IpAddr;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderName, HeaderValue, ORIGIN};

use crate::bucket::bucket;
use crate::index::plain_host;
use crate::path::{NormalPath, PathProblem, split_target};
use crate::sticky::StickyValue;
use crate::table::{Destination, Pin, Route, RouteIndex, RouteTable, Share, Split, UpstreamIndex};

/// Header fields, as whoever asks for a decision keeps them.
pub trait Fields {
    /// The values of all lines of this name, in order.
    fn values<'f>(&'f self, name: &HeaderName) -> impl Iterator<Item = &'f [u8]>;
}

impl Fields for HeaderMap {
    fn values<'f>(&'f self, name: &HeaderName) -> impl Iterator<Item = &'f [u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }
}

/// What a decision needs to see of a request.
#[derive(Debug)]
pub struct RequestParts<'r, F = HeaderMap> {
    /// The method as sent.
    pub method: &'r Method,
    /// Host of the request, in any case, with or without port; empty when there is none (HTTP/1.0).
    pub host: &'r str,
    /// Path and query as sent, origin-form; `*` for `OPTIONS *`.
    pub target: &'r str,
    /// All headers.
    pub headers: &'r F,
    /// Client address: rightmost untrusted one.
    pub client: IpAddr,
    /// A random number, used as the identity of a client that has none when the route issues cookies.
    pub fresh_id: u64,
}

impl<F> Clone for RequestParts<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for RequestParts<'_, F> {}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arm {
    /// What has not moved.
    Legacy,
    /// What a route moves to.
    Candidate,
    /// Banyan itself.
    Banyan,
}

impl Arm {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Candidate => "candidate",
            Self::Banyan => "banyan",
        }
    }
}

/// Why this arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No route matched: legacy.
    Unmatched,
    /// The route has no `to`: legacy.
    NoDestination,
    /// The route is retired: 410 by Banyan.
    Retired,
    /// A pin held.
    Pin,
    /// The client's bucket against the share.
    Share,
    /// No sticky value in the request: legacy.
    NoStickyValue,
    /// The path means different routes to different parsers: 400 by Banyan.
    AmbiguousPath,
    /// The path cannot be read at all: 400 by Banyan.
    InvalidPath,
}

impl Reason {
    /// Every reason, for metrics made ready.
    pub const ALL: [Self; 8] = [
        Self::Unmatched,
        Self::NoDestination,
        Self::Retired,
        Self::Pin,
        Self::Share,
        Self::NoStickyValue,
        Self::AmbiguousPath,
        Self::InvalidPath,
    ];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unmatched => "unmatched",
            Self::NoDestination => "no-destination",
            Self::Retired => "retired",
            Self::Pin => "pin",
            Self::Share => "share",
            Self::NoStickyValue => "no-sticky-value",
            Self::AmbiguousPath => "ambiguous-path",
            Self::InvalidPath => "invalid-path",
        }
    }
}

/// Where one request goes, and why. Made without allocating.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The route; `None` is the route `default`.
    pub route: Option<RouteIndex>,
    /// Who answers.
    pub arm: Arm,
    /// The upstream asked; `None` when Banyan answers.
    pub upstream: Option<UpstreamIndex>,
    /// The client's bucket, where one was computed.
    pub bucket: Option<u32>,
    /// Why.
    pub reason: Reason,
    /// The client must be given `fresh_id` in the cookie that the route's split names.
    pub issue_cookie: bool,
    /// What is wrong with the path, when the reason says so.
    pub path_problem: Option<PathProblem>,
}

impl RouteTable {
    /// Decides one request.
    ///
    /// For one table and one sticky value the answer is always the same. It allocates nothing, except for
    /// odd spellings longer than 256 bytes: paths that are not in normal form, query values that a condition
    /// of the route must decode.
    // By itself, so that `scripts/instructions` can tell what it costs.
    #[inline(never)]
    pub fn decide<F: Fields>(&self, request: &RequestParts<'_, F>) -> Decision {
        match self.find(request) {
            Ok(Some(index)) => self.judge(index, request),
            Ok(None) => Decision::new(None, Arm::Legacy, Some(self.legacy), Reason::Unmatched),
            Err(problem) => Decision::refused(problem),
        }
    }

    /// The route of a request, when every reading of its path gives the same.
    fn find<F: Fields>(&self, request: &RequestParts<'_, F>) -> Result<Option<RouteIndex>, PathProblem> {
        let path = split_target(request.target).0;
        if path == "*" && request.method == Method::OPTIONS {
            return Ok(None);
        }
        let normal = NormalPath::read(path)?;
        let route = self.matching(normal.as_str(), request);
        if normal.is_odd() {
            for other in normal.other_readings(path) {
                let other = other.map_err(|_| PathProblem::Ambiguous)?;
                if self.matching(other.as_str(), request) != route {
                    return Err(PathProblem::Ambiguous);
                }
            }
            // Whichever arm: a client must not learn by the answer which one it is.
            if let Some(prefix) = self.rewrite(route).prefix.as_ref() {
                prefix.check(&normal)?;
            }
        }
        Ok(route)
    }

    /// The most specific route for a path in normal form.
    pub(crate) fn matching<F: Fields>(
        &self,
        path: &str,
        request: &RequestParts<'_, F>,
    ) -> Option<RouteIndex> {
        let mut buffer = [0; 256];
        let host = plain_host(request.host, &mut buffer);
        let method = matched_method(request);
        self.index.find(&self.routes, host, path, |route| {
            route.methods.takes(method) && route.when.iter().all(|condition| condition.holds(request))
        })
    }

    /// What a route does with a request: retire, then the first pin that holds, then the bucket.
    fn judge<F: Fields>(&self, index: RouteIndex, request: &RequestParts<'_, F>) -> Decision {
        let route = self.route(index);
        let decision = |arm, upstream, reason| Decision::new(Some(index), arm, upstream, reason);
        match &route.destination {
            Destination::Legacy => decision(Arm::Legacy, Some(route.legacy), Reason::NoDestination),
            Destination::Retired(_) => decision(Arm::Banyan, None, Reason::Retired),
            Destination::Split(split) => {
                let (arm, verdict) = match route.pin(request) {
                    Some(pin) if pin.to_candidate => (Arm::Candidate, Verdict::PINNED),
                    Some(_) => (Arm::Legacy, Verdict::PINNED),
                    None => split.arm(request),
                };
                let upstream = if arm == Arm::Candidate { split.candidate } else { route.legacy };
                let Verdict { reason, bucket, issue_cookie } = verdict;
                Decision { bucket, issue_cookie, ..decision(arm, Some(upstream), reason) }
            }
        }
    }
}

impl Route {
    /// The first pin that holds.
    pub(crate) fn pin<F: Fields>(&self, request: &RequestParts<'_, F>) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.condition.holds(request))
    }
}

impl Split {
    /// By bucket. A client that nothing identifies has none: it stays with legacy until everybody has moved.
    fn arm<F: Fields>(&self, request: &RequestParts<'_, F>) -> (Arm, Verdict) {
        let found = StickyValue::find(&self.sticky, request).map(|(_, value)| value);
        let issue_cookie = found.is_none() && self.issue_cookie.is_some();
        let value = found.or_else(|| issue_cookie.then(|| StickyValue::fresh(request.fresh_id)));
        let bucket = value.map(|value| bucket(&self.hash_name, value.as_bytes()));
        let arm = match bucket {
            Some(bucket) if bucket < self.share.thousandths() => Arm::Candidate,
            None if self.share == Share::ALL => Arm::Candidate,
            _ => Arm::Legacy,
        };
        let decided = bucket.is_some() || arm == Arm::Candidate;
        let reason = if decided { Reason::Share } else { Reason::NoStickyValue };
        (arm, Verdict { reason, bucket, issue_cookie })
    }
}

/// Why a split gave an arm.
struct Verdict {
    reason: Reason,
    bucket: Option<u32>,
    issue_cookie: bool,
}

impl Verdict {
    const PINNED: Self = Self { reason: Reason::Pin, bucket: None, issue_cookie: false };
}

impl Decision {
    fn new(route: Option<RouteIndex>, arm: Arm, upstream: Option<UpstreamIndex>, reason: Reason) -> Self {
        Self { route, arm, upstream, bucket: None, reason, issue_cookie: false, path_problem: None }
    }

    fn refused(problem: PathProblem) -> Self {
        let ambiguous = matches!(problem, PathProblem::Ambiguous | PathProblem::LeavesPrefix);
        let reason = if ambiguous { Reason::AmbiguousPath } else { Reason::InvalidPath };
        Self { path_problem: Some(problem), ..Self::new(None, Arm::Banyan, None, reason) }
    }
}

/// The method that routes are matched by: of a CORS preflight the one it asks for (Fetch, section 3.3.2).
pub(crate) fn matched_method<'r, F: Fields>(request: &RequestParts<'r, F>) -> &'r str {
    let first = |name| request.headers.values(name).next();
    let is_preflight = request.method == Method::OPTIONS && first(&ORIGIN).is_some();
    let asked = if is_preflight { first(&ACCESS_CONTROL_REQUEST_METHOD) } else { None };
    asked
        .and_then(|value| str::from_utf8(value).ok().filter(|text| text.is_ascii()))
        .unwrap_or(request.method.as_str())
}
