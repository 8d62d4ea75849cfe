//! The decision with the routes that nearly matched, for people.

use std::fmt;

use crate::bucket::BUCKETS;
use crate::decide::{Arm, Decision, Reason, RequestParts, matched_method};
use crate::index::plain_host;
use crate::path::{NormalPath, PathProblem, split_target};
use crate::precedence;
use crate::sticky::StickyValue;
use crate::table::{Destination, HostPattern, Route, RouteIndex, RouteTable};

/// A decision and its story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Exactly what [`RouteTable::decide`] says.
    pub decision: Decision,
    /// The path as matching saw it, when it could be read.
    pub normal_path: Option<String>,
    /// What other servers may make of the path, and the route each reading gives; empty for an ordinary path.
    pub other_readings: Vec<(String, Option<RouteIndex>)>,
    /// Which sticky source gave the bucket and, for display to whoever sent it, its value.
    pub sticky: Option<(String, String)>,
    /// The pin that held, as in the file.
    pub pin: Option<String>,
    /// Routes that matched in part, best first.
    pub losers: Vec<Loser>,
}

/// A route that nearly matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loser {
    /// Which.
    pub route: RouteIndex,
    /// Why it lost.
    pub miss: Miss,
}

/// Why a route lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// It matches, but another matching route is more specific; says in what.
    LessSpecific(&'static str),
    /// Another host.
    Host,
    /// The method is not among the route's.
    Method,
    /// A condition does not hold; printed as in the file.
    Condition(String),
}

impl fmt::Display for Miss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LessSpecific(what) => write!(out, "matches, but is less specific: {what}"),
            Self::Host => out.write_str("another host"),
            Self::Method => out.write_str("another method"),
            Self::Condition(condition) => write!(out, "condition does not hold: {condition}"),
        }
    }
}

impl RouteTable {
    /// The same code as [`RouteTable::decide`], and why other routes lost.
    pub fn explain(&self, request: &RequestParts<'_>) -> Explanation {
        let decision = self.decide(request);
        let path = split_target(request.target).0;
        let normal = NormalPath::read(path).ok();
        let other_readings =
            normal.as_ref().map_or_else(Vec::new, |normal| self.other_readings(normal, path, request));
        let losers =
            normal.as_ref().map_or_else(Vec::new, |normal| self.losers(normal.as_str(), request, &decision));
        let route = decision.route.map(|index| self.route(index));
        Explanation {
            decision,
            normal_path: normal.map(|normal| normal.to_string()),
            other_readings,
            sticky: route.and_then(|route| sticky(route, request, &decision)),
            pin: route
                .filter(|_| decision.reason == Reason::Pin)
                .and_then(|route| route.pin(request))
                .map(ToString::to_string),
            losers,
        }
    }

    fn other_readings(
        &self,
        normal: &NormalPath<'_>,
        path: &str,
        request: &RequestParts<'_>,
    ) -> Vec<(String, Option<RouteIndex>)> {
        let reading = |other: Result<NormalPath<'_>, PathProblem>| match other {
            Ok(other) => (other.to_string(), self.matching(other.as_str(), request)),
            Err(problem) => (problem.to_string(), None),
        };
        let mut readings: Vec<_> = normal.other_readings(path).map(reading).collect();
        readings.sort();
        readings.dedup();
        readings
    }

    fn losers(&self, path: &str, request: &RequestParts<'_>, decision: &Decision) -> Vec<Loser> {
        let mut buffer = [0; 256];
        let host = plain_host(request.host, &mut buffer);
        let others = self.index.by_rank().iter().filter(|&&index| Some(index) != decision.route);
        others
            .filter(|&&index| self.route(index).path.matches(path, self.route(index).path_options))
            .filter_map(|&index| {
                let miss = miss(self.route(index), host, request).or_else(|| {
                    let winner = self.route(decision.route?);
                    Some(Miss::LessSpecific(precedence::first_difference(winner, self.route(index))))
                });
                Some(Loser { route: index, miss: miss? })
            })
            .collect()
    }
}

/// Why a route whose path matches does not match; `None` when it does.
fn miss(route: &Route, host: &str, request: &RequestParts<'_>) -> Option<Miss> {
    if !host_holds(&route.host, host) {
        return Some(Miss::Host);
    }
    if !route.methods.takes(matched_method(request)) {
        return Some(Miss::Method);
    }
    let condition = route.when.iter().find(|condition| !condition.holds(request))?;
    Some(Miss::Condition(condition.to_string()))
}

fn host_holds(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(name) => **name == *host,
        HostPattern::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
    }
}

/// What gave the bucket.
fn sticky(route: &Route, request: &RequestParts<'_>, decision: &Decision) -> Option<(String, String)> {
    let Destination::Split(split) = &route.destination else { return None };
    decision.bucket?;
    let text = |value: StickyValue<'_>| String::from_utf8_lossy(value.as_bytes()).into_owned();
    match StickyValue::find(&split.sticky, request) {
        Some((source, value)) => Some((source.to_string(), text(value))),
        None => Some(("fresh id".to_owned(), text(StickyValue::fresh(request.fresh_id)))),
    }
}

impl Explanation {
    /// The decision in one sentence. Holds no value of the request but its path.
    pub fn sentence(&self, table: &RouteTable) -> String {
        let decision = &self.decision;
        let answers = decision.upstream.map_or_else(String::new, |upstream| {
            let asked = self.asked(table).map_or_else(String::new, |path| format!(", asked for {path}"));
            format!("{} `{}` answers{asked}", decision.arm.as_str(), table.upstream(upstream).name)
        });
        let Some(route) = decision.route.map(|index| table.route(index)) else {
            return match decision.path_problem {
                Some(PathProblem::Ambiguous) => self.ambiguous(table),
                Some(problem) => format!("banyan refuses it with 400: {problem}"),
                None => format!("no route matches, so {answers}"),
            };
        };
        let name = &route.name;
        match decision.reason {
            Reason::NoDestination => format!("route `{name}` has no `to`, so {answers}"),
            Reason::Retired => format!("route `{name}` is retired, so banyan answers 410"),
            Reason::Pin => {
                format!(
                    "route `{name}` has the pin {}, so {answers}",
                    self.pin.as_deref().unwrap_or_default()
                )
            }
            Reason::NoStickyValue => {
                format!("nothing that route `{name}` looks for identifies the client, so {answers}")
            }
            _ => format!("route `{name}` {}, so {answers}", self.share(route)),
        }
    }

    /// The path the upstream is asked for, where it is another than the client's.
    fn asked(&self, table: &RouteTable) -> Option<String> {
        table.prefix_rewrite(&self.decision)?.forward(self.normal_path.as_deref()?).ok()
    }

    fn share(&self, route: &Route) -> String {
        let Destination::Split(split) = &route.destination else { return String::new() };
        let share = split.share;
        let (Some(bucket), Some((source, _))) = (self.decision.bucket, &self.sticky) else {
            return format!("gives {share} % of clients to the candidate");
        };
        let below = if self.decision.arm == Arm::Candidate { "below" } else { "not below" };
        format!(
            "gives {share} % of clients to the candidate and this one, by {source}, has bucket {bucket} of {BUCKETS}, \
             {below} {}",
            share.thousandths()
        )
    }

    fn ambiguous(&self, table: &RouteTable) -> String {
        let name = |index: &Option<RouteIndex>| {
            index
                .map_or_else(|| "no route".to_owned(), |index| format!("route `{}`", table.route(index).name))
        };
        let readings: Vec<_> =
            self.other_readings.iter().map(|(path, route)| format!("{path} ({})", name(route))).collect();
        let normal = self.normal_path.as_deref().unwrap_or_default();
        format!("banyan refuses it with 400: {normal} can also be read as {}", readings.join(", "))
    }
}
