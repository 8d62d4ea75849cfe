//! The answer to "which route, which arm, and why", for the admin API and for `banyan explain` on a file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use banyan_routes::{
    Decision, Destination, Explanation, Miss, Origin, Reason, RequestParts, Route, RouteTable, Split,
};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::api::{API_VERSION, ExplainRequest, Explained};

/// Name of the route of requests that no route takes.
pub(crate) const DEFAULT_ROUTE: &str = "default";

/// What is wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadQuestion {
    /// The method is no token (RFC 9110, 5.6.2).
    Method(String),
    /// The name of a header is no token.
    HeaderName(String),
    /// The value of a header holds a control character.
    HeaderValue {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for BadQuestion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method(found) => write!(out, "not a method: `{found}`"),
            Self::HeaderName(found) => write!(out, "not a header name: `{found}`"),
            Self::HeaderValue { name } => write!(out, "control character in the value of header `{name}`"),
        }
    }
}

impl std::error::Error for BadQuestion {}

/// Decides the request of the question and tells the story of the decision.
pub fn explain(table: &RouteTable, question: &ExplainRequest) -> Result<Explained, BadQuestion> {
    let method = Method::from_bytes(question.method.as_bytes())
        .map_err(|_| BadQuestion::Method(question.method.clone()))?;
    let headers = header_map(&question.headers)?;
    let parts = RequestParts {
        method: &method,
        host: &question.host,
        target: &question.target,
        headers: &headers,
        client: question.client.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        fresh_id: 0,
    };
    Ok(told(table, table.explain(&parts)))
}

fn header_map(pairs: &[(String, String)]) -> Result<HeaderMap, BadQuestion> {
    pairs.iter().try_fold(HeaderMap::new(), |mut headers, (name, value)| {
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadQuestion::HeaderName(name.clone()))?;
        let value =
            HeaderValue::from_str(value).map_err(|_| BadQuestion::HeaderValue { name: name.clone() })?;
        headers.append(header, value);
        Ok(headers)
    })
}

fn told(table: &RouteTable, explanation: Explanation) -> Explained {
    let decision = explanation.decision;
    let route = decision.route.map(|index| table.route(index));
    let split = route.and_then(split);
    let name_of = |loser: &banyan_routes::Loser| table.route(loser.route).name.clone();
    Explained {
        version: API_VERSION,
        route: route.map_or_else(|| DEFAULT_ROUTE.to_owned(), |route| route.name.clone()),
        origin: route.map(|route| place(&route.origin)),
        arm: decision.arm.as_str().to_owned(),
        upstream: decision.upstream.map(|index| table.upstream(index).name.clone()),
        bucket: decision.bucket,
        percent: split.map(|split| split.share.to_string()),
        reason: decision.reason.as_str().to_owned(),
        sentence: sentence(&decision, split, explanation.sticky.as_ref()),
        normal_path: explanation.normal_path,
        sticky: explanation.sticky.map(|(source, _)| source),
        losers: explanation.losers.iter().map(|loser| (name_of(loser), why_lost(&loser.miss))).collect(),
    }
}

/// `routes.toml:12`
pub(crate) fn place(origin: &Origin) -> String {
    format!("{}:{}", origin.file, origin.line)
}

/// How a route divides its clients, if it does.
pub(crate) fn split(route: &Route) -> Option<&Split> {
    match &route.destination {
        Destination::Split(split) => Some(split),
        Destination::Legacy | Destination::Retired(_) => None,
    }
}

fn sentence(decision: &Decision, split: Option<&Split>, sticky: Option<&(String, String)>) -> String {
    let arm = decision.arm.as_str();
    match decision.reason {
        Reason::Unmatched => "no route takes this request: legacy".to_owned(),
        Reason::NoDestination => "the route has no `to`: legacy".to_owned(),
        Reason::Retired => "the route is retired: 410 Gone".to_owned(),
        Reason::Pin => format!("a pin sends this request to {arm}, whatever the share"),
        Reason::Share => by_share(decision, split, sticky.map_or("client", |(source, _)| source)),
        Reason::NoStickyValue => "nothing in the request identifies the client: legacy".to_owned(),
        Reason::AmbiguousPath => "the path means different routes to different readers: 400".to_owned(),
        Reason::InvalidPath => "the path cannot be read: 400".to_owned(),
    }
}

fn by_share(decision: &Decision, split: Option<&Split>, source: &str) -> String {
    let arm = decision.arm.as_str();
    let (Some(bucket), Some(split)) = (decision.bucket, split) else { return format!("by share: {arm}") };
    let (limit, percent) = (split.share.thousandths(), split.share);
    let side = if bucket < limit { "below" } else { "not below" };
    format!("by {source} the client has bucket {bucket}, {side} {limit} ({percent} %): {arm}")
}

fn why_lost(miss: &Miss) -> String {
    match miss {
        Miss::LessSpecific(what) => format!("less specific {what}"),
        Miss::Host => "another host".to_owned(),
        Miss::Method => "another method".to_owned(),
        Miss::Condition(condition) => format!("condition does not hold: {condition}"),
    }
}
