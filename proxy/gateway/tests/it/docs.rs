//! docs/metrics.md is made from the list of metrics.

use std::fmt::Write as _;

use banyan_gateway::{METRICS, MetricKind};

use crate::pages;

fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Served at `/metrics` on the admin listener, in Prometheus' text format. Label values come from the\n\
         configuration and from fixed sets, never from requests. `arm` is who answered: `legacy`, `candidate`, or\n\
         `banyan` for answers of our own. Requests that no route matches are route `default`.\n\n\
         The observed share of a route is `banyan_decisions_total{arm=\"candidate\",reason=\"share\"}` over all\n\
         decisions with reason `share`.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        writeln!(page, "| `{}` | {kind} | {} | {} |", metric.name, metric.labels.join(", "), metric.help)
            .unwrap();
    }
    page
}

#[test]
fn the_page_of_metrics_is_current() {
    pages::check("metrics.md", "docs", &page());
}
