//! The answer to "which route, which arm, and why", for the admin API and for `banyan explain` on a file.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use banyan_routes::{Destination, Explanation, Origin, RequestParts, Route, RouteTable, Split};
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
    Ok(told(table, &table.explain(&parts)))
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

fn told(table: &RouteTable, explanation: &Explanation) -> Explained {
    let decision = &explanation.decision;
    let route = decision.route.map(|index| table.route(index));
    let split = route.and_then(split);
    let name_of = |index| table.route(index).name.clone();
    let losers = explanation.losers.iter().map(|loser| (name_of(loser.route), loser.miss.to_string()));
    let readings = explanation.other_readings.iter();
    Explained {
        version: API_VERSION,
        route: route.map_or_else(|| DEFAULT_ROUTE.to_owned(), |route| route.name.clone()),
        origin: route.map(|route| place(&route.origin)),
        arm: decision.arm.as_str().to_owned(),
        upstream: decision.upstream.map(|index| table.upstream(index).name.clone()),
        bucket: decision.bucket,
        percent: split.map(|split| split.share.to_string()),
        reason: decision.reason.as_str().to_owned(),
        sentence: explanation.sentence(table),
        normal_path: explanation.normal_path.clone(),
        other_readings: readings.map(|(path, route)| (path.clone(), route.map(name_of))).collect(),
        pin: explanation.pin.clone(),
        sticky: explanation.sticky.as_ref().map(|(source, _)| source.clone()),
        losers: losers.collect(),
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

/// Whether a pin sends clients to the candidate whatever the share.
pub(crate) fn pins_candidate(route: &Route) -> bool {
    route.pins.iter().any(|pin| pin.to_candidate)
}
