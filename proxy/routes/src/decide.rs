//! The decision: which route, which arm, which upstream, and why.

use std::net::IpAddr;

use http::Method;
use http::header::HeaderMap;

use crate::path::PathProblem;
use crate::table::{RouteIndex, RouteTable, UpstreamIndex};

/// What a decision needs to see of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'r> {
    /// The method as sent.
    pub method: &'r Method,
    /// Host of the request, in any case, with or without port; empty when there is none (HTTP/1.0).
    pub host: &'r str,
    /// Path and query as sent, origin-form; `*` for `OPTIONS *`.
    pub target: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
    /// Client address: rightmost untrusted one.
    pub client: IpAddr,
    /// A random number, used as the identity of a client that has none when the route issues cookies.
    pub fresh_id: u64,
}

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
    pub fn decide(&self, _request: &RequestParts<'_>) -> Decision {
        Decision {
            route: None,
            arm: Arm::Legacy,
            upstream: Some(self.legacy),
            bucket: None,
            reason: Reason::Unmatched,
            issue_cookie: false,
            path_problem: None,
        }
    }
}
