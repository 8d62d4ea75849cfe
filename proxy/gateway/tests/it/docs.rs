//! docs/metrics.md is made from the list of metrics, docs/limits.md holds the defaults.

use std::fmt::Write as _;

use banyan_gateway::{Limits, METRICS, MetricKind};

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

/// The default of a limit in docs/limits.md, by its flag.
fn documented(page: &str, flag: &str) -> String {
    let row = page.lines().find(|line| line.contains(&format!("| `{flag}` |")));
    let row = row.unwrap_or_else(|| panic!("docs/limits.md has no row for `{flag}`"));
    row.split('|').nth(2).unwrap().trim().to_owned()
}

#[test]
fn the_page_of_limits_has_the_defaults() {
    let page = include_str!("../../../../docs/limits.md");
    let Limits {
        head_bytes,
        fields,
        target_bytes,
        head_timeout,
        keep_alive,
        requests_per_connection,
        connections,
        connections_per_address,
    } = Limits::default();
    let most = |limit: Option<u64>| limit.map_or("none".to_owned(), |limit| limit.to_string());
    for (flag, default) in [
        ("--max-head-bytes", format!("{}KiB", head_bytes >> 10)),
        ("--max-fields", fields.to_string()),
        ("--max-target-bytes", format!("{}KiB", target_bytes >> 10)),
        ("--head-timeout", format!("{}s", head_timeout.as_secs())),
        ("--keep-alive-timeout", format!("{}s", keep_alive.as_secs())),
        ("--max-requests-per-connection", most(requests_per_connection)),
        ("--max-connections", most(connections)),
        ("--max-connections-per-address", most(connections_per_address)),
    ] {
        assert_eq!(documented(page, flag), default, "{flag}");
    }
}
