//! Ranges longer than the proxy remembers, asked of Prometheus (`query_range`). What goes wrong is said with the answer: an empty
//! chart would look like calm.
//!
//! Time and size are bounded: [`WITHIN`] for all queries of a chart together, [`ANSWER_BYTES_MAX`] for each, and
//! [`AT_ONCE_MAX`] charts at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::Deserialize;

use crate::api::{API_VERSION, Series, SeriesArm};
use crate::clock;

/// Longest wait for all queries of a chart.
const WITHIN: Duration = Duration::from_secs(10);

/// Longest answer of a query.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Charts at a time.
const AT_ONCE_MAX: usize = 4;

/// Rates over less than four scrapes, as they usually are, would be holes.
const WINDOW_SECONDS_MIN: u64 = 60;

/// Most points of one answer; Prometheus refuses more than 11 000.
const POINTS_MAX: usize = 2_000;

/// Where Prometheus is, and the client to ask it with.
#[derive(Clone)]
pub struct PrometheusOptions {
    /// `http://127.0.0.1:9090`, with a path if it has one.
    pub url: String,
    /// The caller says whom TLS trusts.
    pub agent: ureq::Agent,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for PrometheusOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PrometheusOptions").finish_non_exhaustive()
    }
}

/// Asks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ranges {
    options: PrometheusOptions,
    under_way: Arc<AtomicUsize>,
}

/// One moment in seconds since 1970, and the number then.
type Points = BTreeMap<u64, f64>;

/// By the value of a label.
type Labelled = BTreeMap<String, Points>;

/// `query_range`, as far as it is read.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Begin, end and step of a chart, in seconds.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
    step: u64,
}

impl Range {
    /// Whole steps, so that a chart that moves on keeps its points.
    fn new((from, to): (SystemTime, SystemTime), points_max: usize) -> Self {
        let points = points_max.clamp(2, POINTS_MAX) as u64;
        let (from, to) = (clock::ms(from) / 1000, clock::ms(to) / 1000);
        let step = to.saturating_sub(from).div_ceil(points - 1).max(1);
        Self { from: (from / step + 1) * step, to: to / step * step, step }
    }

    fn times(self) -> Vec<u64> {
        (self.from..=self.to).step_by(usize::try_from(self.step).unwrap_or(usize::MAX)).collect()
    }
}

impl Ranges {
    pub(crate) fn new(options: PrometheusOptions) -> Self {
        Self { options, under_way: Arc::default() }
    }

    /// A route over time; always an answer, with the problem in it if there is one. Without marks. Blocks.
    pub(crate) fn series(&self, route: &str, between: (SystemTime, SystemTime), points_max: usize) -> Series {
        let range = Range::new(between, points_max);
        let mut series = empty(route, range);
        let busy = self.under_way.fetch_add(1, Ordering::Relaxed) >= AT_ONCE_MAX;
        let asked = if busy {
            Err("Prometheus is being asked for other charts, try again".to_owned())
        } else {
            self.fill(&mut series, route, range)
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        series.problem = asked.err();
        series
    }

    fn fill(&self, series: &mut Series, route: &str, range: Range) -> Result<(), String> {
        let until = Instant::now() + WITHIN;
        let (route, window) = (quoted(route), range.step.max(WINDOW_SECONDS_MIN));
        let ask = |label: &str, query: String| self.ask(&query, label, range, until);
        let rate = |metric: &str, more: &str| format!("rate({metric}{{route={route}{more}}}[{window}s])");
        let by = |label: &str, what: String| ask(label, format!("sum by ({label}) ({what})"));
        let requests = by("arm", rate("banyan_requests_total", ""))?;
        if requests.values().all(BTreeMap::is_empty) {
            return Err("Prometheus knows nothing of this route at that time".to_owned());
        }
        let failed = by("arm", rate("banyan_requests_total", ",code_class=\"5xx\""))?;
        let fallbacks = ask("", format!("sum({})", rate("banyan_fallbacks_total", "")))?;
        let buckets = format!("sum by (arm, le) ({})", rate("banyan_request_duration_seconds_bucket", ""));
        let p50 = ask("arm", format!("histogram_quantile(0.5, {buckets})"))?;
        let p99 = ask("arm", format!("histogram_quantile(0.99, {buckets})"))?;
        let shares = by("arm", rate("banyan_decisions_total", ",reason=\"share\""))?;
        let configured = ask("", format!("max(banyan_route_share_ratio{{route={route}}})"))?;
        let verdicts = by("verdict", rate("banyan_compare_total", ""))?;
        let times = &series.times;
        for (name, arm) in [
            ("legacy", &mut series.legacy),
            ("candidate", &mut series.candidate),
            ("banyan", &mut series.banyan),
        ] {
            let fell_back = (name == "candidate").then(|| fallbacks.get("")).flatten();
            let of = |all: &Labelled| column(times, all.get(name));
            arm.requests_per_second = of(&requests);
            arm.error_ratio = errors(times, requests.get(name), failed.get(name), fell_back);
            arm.p50_seconds = of(&p50);
            arm.p99_seconds = of(&p99);
        }
        series.configured_share = column(times, configured.get(""));
        series.observed_share = part(times, &shares, &["candidate"], &["legacy", "candidate"]);
        let said = ["match", "ignored", "noise", "mismatch", "transient"];
        series.mismatch_ratio = part(times, &verdicts, &["mismatch"], &said);
        series.compared = compared(times, &verdicts, &said, range.step);
        Ok(())
    }

    fn ask(&self, query: &str, label: &str, range: Range, until: Instant) -> Result<Labelled, String> {
        let failed = |error: &dyn fmt::Display| format!("Prometheus does not answer: {error}");
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let url = format!("{}/api/v1/query_range", self.options.url.trim_end_matches('/'));
        let asked = self
            .options
            .agent
            .get(&url)
            .config()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(left))
            .build()
            .query("query", query)
            .query("start", range.from.to_string())
            .query("end", range.to.to_string())
            .query("step", range.step.to_string())
            .call();
        let mut answer = asked.map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| failed(&error))?;
        let answer: Result<Answer, _> = serde_json::from_slice(&body);
        match answer {
            Ok(Answer { data: Some(data), .. }) if status.is_success() => Ok(labelled(data, label)),
            Ok(Answer { error: Some(error), .. }) => Err(format!("Prometheus refuses: {error}")),
            _ => Err(failed(&format_args!("status {}, and no answer of Prometheus", status.as_u16()))),
        }
    }
}

fn empty(route: &str, range: Range) -> Series {
    let times = range.times();
    let none = || vec![None; times.len()];
    let arm = || SeriesArm {
        requests_per_second: none(),
        error_ratio: none(),
        p50_seconds: none(),
        p99_seconds: none(),
    };
    Series {
        version: API_VERSION,
        route: route.to_owned(),
        from: range.from,
        to: range.to,
        step_seconds: range.step,
        source: "prometheus".to_owned(),
        memory_since: None,
        problem: None,
        configured_share: none(),
        observed_share: none(),
        legacy: arm(),
        candidate: arm(),
        banyan: arm(),
        compared: none(),
        mismatch_ratio: none(),
        marks: Vec::new(),
        times,
    }
}

/// A string of Prometheus' query language.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '\\' | '"' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// Not a number is no data: a quantile of nothing.
fn labelled(data: Data, label: &str) -> Labelled {
    let points = |values: Vec<(f64, String)>| {
        let numbers = values.into_iter().filter_map(|(at, number)| Some((at, number.parse().ok()?)));
        numbers.filter(|(_, number): &(f64, f64)| number.is_finite()).map(|(at, number)| (second(at), number))
    };
    let line = |line: Line| {
        (line.metric.get(label).cloned().unwrap_or_default(), points(line.values).collect::<Points>())
    };
    data.result.into_iter().map(line).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "moments that were asked for; what is not among them is left out"
)]
fn second(at: f64) -> u64 {
    at.round() as u64
}

fn column(times: &[u64], points: Option<&Points>) -> Vec<Option<f64>> {
    times.iter().map(|at| points?.get(at).copied()).collect()
}

/// Failures among what an arm was asked; none without requests.
fn errors(
    times: &[u64],
    requests: Option<&Points>,
    failed: Option<&Points>,
    fallbacks: Option<&Points>,
) -> Vec<Option<f64>> {
    let at = |points: Option<&Points>, at: &u64| points.and_then(|points| points.get(at)).copied();
    let ratio = |time: &u64| {
        let fell_back = at(fallbacks, time).unwrap_or(0.0);
        let asked = at(requests, time)? + fell_back;
        let failed = at(failed, time).unwrap_or(0.0) + fell_back;
        (asked > 0.0).then(|| (failed / asked).min(1.0))
    };
    times.iter().map(ratio).collect()
}

/// The sum of some among the sum of others; none where there is nothing of these.
fn part(times: &[u64], all: &Labelled, some: &[&str], others: &[&str]) -> Vec<Option<f64>> {
    let sum =
        |names: &[&str], at: &u64| -> f64 { names.iter().filter_map(|name| all.get(*name)?.get(at)).sum() };
    times.iter().map(|at| (sum(others, at) > 0.0).then(|| sum(some, at) / sum(others, at))).collect()
}

/// How many of a step, of what is told per second.
#[expect(clippy::cast_precision_loss, reason = "a step is some years at most")]
fn compared(times: &[u64], verdicts: &Labelled, said: &[&str], step: u64) -> Vec<Option<f64>> {
    let at = |at: &u64| {
        said.iter().filter_map(|name| verdicts.get(*name)?.get(at)).copied().reduce(|sum, more| sum + more)
    };
    times.iter().map(|time| at(time).map(|rate| (rate * step as f64).round())).collect()
}
