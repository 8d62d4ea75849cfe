//! `PromQL` from the names in the list of metrics: a name or a label that is not there is no query.

use std::fmt::Display;

use banyan_control::{MetricInfo, MetricKind};

/// An expression.
#[derive(Debug, Clone)]
pub(super) struct Query(String);

/// The series of one metric that a dashboard's variables choose.
#[derive(Debug, Clone)]
pub(super) struct Series {
    metric: &'static MetricInfo,
    /// What a histogram adds to its name.
    part: &'static str,
    matchers: Vec<String>,
}

/// Of the chosen jobs and instances.
pub(super) fn of(metric: &'static MetricInfo) -> Series {
    let matchers = ["job", "instance"].map(|label| format!("{label}=~\"${label}\"")).to_vec();
    Series { metric, part: "", matchers }
}

/// Of the chosen routes, too.
pub(super) fn of_routes(metric: &'static MetricInfo) -> Series {
    of(metric).matching("route", "=~", "$route")
}

impl Series {
    /// Where a label has this value.
    pub(super) fn with(self, label: &str, value: &str) -> Self {
        self.matching(label, "=", value)
    }

    /// Where it has another.
    pub(super) fn without(self, label: &str, value: &str) -> Self {
        self.matching(label, "!=", value)
    }

    /// Where it has one of these.
    pub(super) fn one_of(self, label: &str, values: &[&str]) -> Self {
        self.matching(label, "=~", &values.join("|"))
    }

    fn matching(mut self, label: &str, operator: &str, value: &str) -> Self {
        assert!(self.metric.labels.contains(&label), "{} has no label {label}", self.metric.name);
        self.matchers.push(format!("{label}{operator}\"{value}\""));
        self
    }

    /// The level of a gauge.
    pub(super) fn level(&self) -> Query {
        assert_eq!(self.metric.kind, MetricKind::Gauge, "{}", self.metric.name);
        Query(self.text())
    }

    /// What a counter rises by in a second.
    pub(super) fn rate(&self) -> Query {
        assert_eq!(self.metric.kind, MetricKind::Counter, "{}", self.metric.name);
        self.risen()
    }

    /// How often a gauge has changed in the interval of the graph.
    pub(super) fn changes(&self) -> Query {
        Query(format!("changes({}[$__rate_interval])", self.text()))
    }

    /// By how much a gauge is above what it was, with the sign right.
    pub(super) fn delta(&self) -> Query {
        Query(format!("delta({}[$__rate_interval])", self.text()))
    }

    /// A quantile of a histogram, in its unit.
    pub(super) fn quantile(&self, quantile: f64, by: &str) -> Query {
        assert_eq!(self.metric.kind, MetricKind::Histogram, "{}", self.metric.name);
        let buckets = Self { part: "_bucket", ..self.clone() }.risen().sum(&with_le(by));
        Query(format!("histogram_quantile({quantile}, {buckets})"))
    }

    fn risen(&self) -> Query {
        Query(format!("rate({}[$__rate_interval])", self.text()))
    }

    fn text(&self) -> String {
        format!("{}{}{{{}}}", self.metric.name, self.part, self.matchers.join(", "))
    }
}

fn with_le(by: &str) -> String {
    if by.is_empty() { "le".to_owned() } else { format!("{by}, le") }
}

impl Query {
    /// The sum over everything but these labels.
    pub(super) fn sum(&self, by: &str) -> Self {
        self.folded("sum", by)
    }

    /// The largest. Replicas agree about a share, so that this is the one that is in force.
    pub(super) fn max(&self, by: &str) -> Self {
        self.folded("max", by)
    }

    /// The smallest.
    pub(super) fn min(&self, by: &str) -> Self {
        self.folded("min", by)
    }

    /// The mean.
    pub(super) fn avg(&self, by: &str) -> Self {
        self.folded("avg", by)
    }

    /// How many there are.
    pub(super) fn count(&self, by: &str) -> Self {
        self.folded("count", by)
    }

    fn folded(&self, how: &str, by: &str) -> Self {
        if by.is_empty() { Self(format!("{how}({self})")) } else { Self(format!("{how} by ({by}) ({self})")) }
    }

    /// 1 where it holds, else 0: `== 1`, for example.
    pub(super) fn holds(&self, comparison: &str, number: u32) -> Self {
        Self(format!("({self} {comparison} bool {number})"))
    }

    /// Only where it does.
    pub(super) fn where_above(&self, number: u32) -> Self {
        Self(format!("{self} > {number}"))
    }

    /// Only where it is below.
    pub(super) fn where_below(&self, number: u32) -> Self {
        Self(format!("{self} < {number}"))
    }

    /// 0 where `like` has a series and this has none yet. Where there is neither there is no data, and no 0.
    pub(super) fn or_zero_of(&self, like: &Self) -> Self {
        Self(format!("({self} or 0 * {like})"))
    }

    /// Part of a whole; 0 where nothing of the part was seen yet, and no data where there is no whole.
    pub(super) fn of_all(&self, whole: &Self) -> Self {
        Self(format!("{} / {whole}", self.or_zero_of(whole)))
    }

    /// How far above another.
    pub(super) fn minus(&self, other: &Self) -> Self {
        Self(format!("{self} - {other}"))
    }

    /// From a time to now, in seconds.
    pub(super) fn until_now(&self) -> Self {
        Self(format!("time() - {self}"))
    }

    /// Both.
    pub(super) fn times(&self, other: &Self) -> Self {
        Self(format!("{self} * {other}"))
    }

    /// One by another.
    pub(super) fn over(&self, other: &Self) -> Self {
        Self(format!("{self} / {other}"))
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use banyan_control::metric;

    use super::{of, of_routes};

    #[test]
    fn a_query_names_job_instance_and_route() {
        let failed = of_routes(&metric::REQUESTS).with("code_class", "5xx").rate().sum("arm");
        assert_eq!(
            failed.to_string(),
            "sum by (arm) (rate(banyan_requests_total{job=~\"$job\", instance=~\"$instance\", \
             route=~\"$route\", code_class=\"5xx\"}[$__rate_interval]))"
        );
    }

    #[test]
    #[should_panic(expected = "banyan_requests_total has no label colour")]
    fn a_label_that_a_metric_has_not_is_found_here() {
        let _ = of(&metric::REQUESTS).with("colour", "blue");
    }

    #[test]
    #[should_panic(expected = "banyan_workers")]
    fn a_gauge_has_no_rate() {
        let _ = of(&metric::WORKERS).rate();
    }
}
