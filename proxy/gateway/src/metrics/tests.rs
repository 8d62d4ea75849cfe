//! What a scrape says, and what a request costs.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use banyan_routes::{Arm, FallbackCause, FileSet, Reason, RouteTable, SourceFile, Variables};
use prometheus::{Registry, TextEncoder};

use super::{
    ARMS, Arc, DEFAULT_ROUTE, Duration, Failure, METRICS, MetricKind, Metrics, Named, Outcome, list,
};
use crate::guard::RefusedReason;
use crate::targets::Servers;

const MS: Duration = Duration::from_millis(1);

fn fresh() -> (Arc<Metrics>, Registry) {
    let (metrics, registry) = (Metrics::new(2), Registry::new());
    metrics.register(&registry).expect("nothing else is registered");
    (metrics, registry)
}

fn scrape(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).expect("text")
}

/// Value of one series, `None` when it is not there.
fn sample(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

/// Servers of an upstream with two targets and a breaker.
fn servers() -> Arc<Servers> {
    let text = "version = 1\n[defaults]\nlegacy = \"a\"\n[upstreams.a]\ntargets = [\"http://a\"]\n\
                [upstreams.b]\ntargets = [\"http://b:1\", \"http://b:2\"]\nbreaker = {}\n";
    let main = SourceFile { name: "routes.toml".to_owned(), text: text.to_owned() };
    let files = FileSet { main, included: Vec::new() };
    let (table, report) = RouteTable::parse(&files, &Variables::new());
    let table = table.unwrap_or_else(|| panic!("{report}"));
    Arc::new(Servers::new(&table.upstreams()[1], 1))
}

/// Everything that can be written, written once. What it returns is asked at each scrape, while it is there.
fn write_everything(metrics: &Metrics) -> Arc<Servers> {
    let orders = metrics.route("orders", "monolith", Some("orders"));
    let upstream = metrics.upstream("monolith");
    metrics.route(DEFAULT_ROUTE, "monolith", None);
    metrics.fallbacks("orders", &[FallbackCause::Timeout]).count(0, FallbackCause::Timeout);
    let shadows = metrics.shadowing("orders");
    shadows.result(0, super::ShadowResult::Sent);
    shadows.incomparable(0, banyan_compare::IncomparableReason::Broken);
    let servers = servers();
    upstream.watch(&servers);
    for arm in ARMS {
        for reason in Reason::ALL {
            orders.decided(0, arm, reason);
        }
        for status in [101, 200, 302, 404, 503] {
            orders.answered(0, arm, status, MS);
        }
        orders.attempt(0, arm, Outcome::Answered, MS);
        for failure in Failure::ALL {
            orders.attempt(0, arm, Outcome::Failed(failure), MS);
        }
    }
    orders.retried(0);
    orders.cookie_collided(0);
    orders.cookie_unwatched(0);
    for kind in Failure::ALL {
        upstream.error(0, kind);
    }
    upstream.began(0);
    upstream.set_healthy("127.0.0.1:3000", true);
    for reason in RefusedReason::ALL {
        metrics.refused(0, reason);
    }
    metrics.connection_opened(0);
    metrics.informational_dropped(0);
    metrics.panicked(0);
    metrics.access_log_dropped().fetch_add(1, Ordering::Relaxed);
    let mut named = Named::default();
    named.route(DEFAULT_ROUTE, None, &["monolith"]);
    named.route("orders", Some(0.125), &["monolith", "orders"]);
    named.fallbacks.insert(("orders", FallbackCause::Timeout));
    named.shadows.insert("orders");
    named.upstreams.insert("monolith", BTreeSet::from(["127.0.0.1:3000"]));
    metrics.keep(&named);
    servers
}

#[test]
fn the_list_names_exactly_what_is_scraped() {
    let (metrics, registry) = fresh();
    let _servers = write_everything(&metrics);
    let scraped: BTreeSet<(String, String)> = registry
        .gather()
        .iter()
        .map(|family| (family.name().to_owned(), format!("{:?}", family.get_field_type())))
        .collect();
    let of_others =
        ["banyan_config_", "banyan_history_", "banyan_admin_", "banyan_evidence_", "banyan_timeline_"];
    let of_others = |info: &&super::MetricInfo| of_others.iter().any(|part| info.name.starts_with(part));
    let listed: BTreeSet<(String, String)> = METRICS
        .iter()
        .filter(|info| !of_others(info))
        .map(|info| (info.name.to_owned(), format!("{:?}", info.kind).to_uppercase()))
        .collect();
    assert_eq!(scraped, listed);
    for family in registry.gather() {
        let info = METRICS.iter().find(|info| info.name == family.name()).expect("listed");
        assert_eq!(info.help, family.help());
        for metric in family.get_metric() {
            let labels: Vec<&str> =
                metric.get_label().iter().map(prometheus::proto::LabelPair::name).collect();
            assert_eq!(labels, info.labels, "{}", info.name);
        }
    }
    // For `promtool check metrics` by hand.
    if let Some(path) = std::env::var_os("BANYAN_TEST_SCRAPE") {
        std::fs::write(path, scrape(&registry)).expect("the path given is writable");
    }
}

#[test]
fn names_follow_the_conventions() {
    assert_eq!(METRICS[list::OURS - 1], list::BUILD_INFO);
    for info in METRICS {
        assert_eq!(info.name.ends_with("_total"), info.kind == MetricKind::Counter, "{}", info.name);
        assert!(!info.help.is_empty() && info.help.ends_with('.'), "{}", info.name);
    }
}

#[test]
fn workers_are_summed() {
    let (metrics, registry) = fresh();
    let route = metrics.route("orders", "monolith", Some("orders"));
    for worker in [0, 1, 1] {
        route.decided(worker, Arm::Candidate, Reason::Share);
        route.answered(worker, Arm::Candidate, 201, 3 * MS);
        route.attempt(worker, Arm::Candidate, Outcome::Answered, 2 * MS);
    }
    let text = scrape(&registry);
    for (series, value) in [
        (r#"banyan_requests_total{route="orders",arm="candidate",code_class="2xx"}"#, 3.0),
        (r#"banyan_requests_total{route="orders",arm="legacy",code_class="2xx"}"#, 0.0),
        (r#"banyan_decisions_total{route="orders",arm="candidate",reason="share"}"#, 3.0),
        (r#"banyan_decisions_total{route="orders",arm="legacy",reason="share"}"#, 0.0),
        (r#"banyan_attempts_total{route="orders",arm="candidate",outcome="answered"}"#, 3.0),
        (r#"banyan_request_duration_seconds_bucket{route="orders",arm="candidate",le="0.0025"}"#, 0.0),
        (r#"banyan_request_duration_seconds_bucket{route="orders",arm="candidate",le="0.005"}"#, 3.0),
        (r#"banyan_request_duration_seconds_bucket{route="orders",arm="candidate",le="+Inf"}"#, 3.0),
        (r#"banyan_request_duration_seconds_count{route="orders",arm="candidate"}"#, 3.0),
        (r#"banyan_request_duration_seconds_sum{route="orders",arm="candidate"}"#, 0.009),
        (r#"banyan_upstream_duration_seconds_count{route="orders",upstream="orders"}"#, 3.0),
        (r#"banyan_upstream_duration_seconds_count{route="orders",upstream="monolith"}"#, 0.0),
    ] {
        let found = sample(&text, series).unwrap_or(f64::NAN);
        assert!((found - value).abs() < 1e-9, "{series}: {found}, expected {value}");
    }
}

#[test]
fn arms_that_a_route_does_not_have_stay_away_until_they_answer() {
    let (metrics, registry) = fresh();
    let route = metrics.route("slice", "monolith", None);
    assert!(!scrape(&registry).contains(r#"route="slice",arm="candidate""#));
    assert!(!scrape(&registry).contains(r#"route="slice",arm="banyan""#));
    route.answered(0, Arm::Banyan, 502, MS);
    let series = r#"banyan_requests_total{route="slice",arm="banyan",code_class="5xx"}"#;
    assert_eq!(sample(&scrape(&registry), series), Some(1.0));
}

#[test]
fn counts_go_on_across_reloads_and_end_with_the_route() {
    let (metrics, registry) = fresh();
    let series = r#"banyan_requests_total{route="orders",arm="legacy",code_class="2xx"}"#;
    let old = metrics.route("orders", "monolith", None);
    old.answered(0, Arm::Legacy, 200, MS);
    let new = metrics.route("orders", "monolith", Some("orders"));
    new.answered(1, Arm::Legacy, 200, MS);
    assert_eq!(sample(&scrape(&registry), series), Some(2.0));

    metrics.keep(&Named::default());
    assert!(!scrape(&registry).contains("orders"));
    // A request in flight still holds the old handle.
    old.answered(0, Arm::Legacy, 200, MS);
    assert!(!scrape(&registry).contains("orders"));

    metrics.route("orders", "monolith", None).answered(0, Arm::Legacy, 200, MS);
    assert_eq!(sample(&scrape(&registry), series), Some(1.0));
}

#[test]
fn another_candidate_is_another_series() {
    let (metrics, registry) = fresh();
    metrics.route("orders", "monolith", Some("one")).attempt(0, Arm::Candidate, Outcome::Answered, MS);
    metrics.route("orders", "monolith", Some("two")).attempt(0, Arm::Candidate, Outcome::Answered, MS);
    let mut named = Named::default();
    named.route("orders", Some(0.5), &["monolith", "two"]);
    metrics.keep(&named);
    let text = scrape(&registry);
    assert!(!text.contains(r#"upstream="one""#));
    let series = r#"banyan_upstream_duration_seconds_count{route="orders",upstream="two"}"#;
    assert_eq!(sample(&text, series), Some(1.0));
    assert_eq!(sample(&text, r#"banyan_route_share_ratio{route="orders"}"#), Some(0.5));
}

#[test]
fn fallbacks_are_there_for_each_cause_listed_and_leave_with_it() {
    let (metrics, registry) = fresh();
    metrics.route("orders", "monolith", Some("orders"));
    let on = [FallbackCause::Timeout, FallbackCause::Status(http::StatusCode::NOT_FOUND)];
    let fallbacks = metrics.fallbacks("orders", &on);
    fallbacks.count(0, on[1]);
    fallbacks.count(1, on[1]);
    fallbacks.count(0, FallbackCause::Reset);
    let series = |cause: &str| format!(r#"banyan_fallbacks_total{{route="orders",reason="{cause}"}}"#);
    let text = scrape(&registry);
    assert_eq!(sample(&text, &series("404")), Some(2.0));
    assert_eq!(sample(&text, &series("timeout")), Some(0.0));
    assert_eq!(sample(&text, &series("reset")), None);
    let counts = metrics.counts("orders", Arm::Candidate);
    assert_eq!((counts.fallbacks, counts.errors, counts.requests), (2, 2, 0));
    let mut named = Named::default();
    named.route("orders", Some(0.5), &["monolith", "orders"]);
    named.fallbacks.insert(("orders", on[1]));
    metrics.keep(&named);
    assert_eq!(sample(&scrape(&registry), &series("timeout")), None);
    assert_eq!(sample(&scrape(&registry), &series("404")), Some(2.0));
}

#[test]
fn one_upstream_for_both_arms_is_one_series() {
    let (metrics, registry) = fresh();
    let route = metrics.route("orders", "monolith", Some("monolith"));
    route.attempt(0, Arm::Legacy, Outcome::Answered, MS);
    route.attempt(0, Arm::Candidate, Outcome::Answered, MS);
    let text = scrape(&registry);
    let series = r#"banyan_upstream_duration_seconds_count{route="orders",upstream="monolith"}"#;
    assert_eq!(sample(&text, series), Some(2.0));
    assert_eq!(text.matches(series).count(), 1);
}

#[test]
fn removed_targets_and_upstreams_leave() {
    let (metrics, registry) = fresh();
    let orders = metrics.upstream("orders");
    orders.set_healthy("a:1", true);
    orders.set_healthy("b:2", false);
    metrics.upstream("gone").error(0, Failure::Connect);
    let mut named = Named::default();
    named.upstreams.insert("orders", BTreeSet::from(["b:2"]));
    metrics.keep(&named);
    let text = scrape(&registry);
    assert_eq!(sample(&text, r#"banyan_upstream_healthy{upstream="orders",target="a:1"}"#), None);
    assert_eq!(sample(&text, r#"banyan_upstream_healthy{upstream="orders",target="b:2"}"#), Some(0.0));
    assert!(!text.contains("gone"));
}

#[test]
fn gauges_fall_on_another_worker() {
    let (metrics, registry) = fresh();
    let upstream = metrics.upstream("orders");
    upstream.began(0);
    upstream.began(0);
    upstream.ended(1);
    metrics.connection_opened(0);
    metrics.connection_closed(1);
    let text = scrape(&registry);
    assert_eq!(sample(&text, r#"banyan_inflight_requests{upstream="orders"}"#), Some(1.0));
    assert_eq!(sample(&text, "banyan_open_connections"), Some(0.0));
}

#[test]
fn the_admin_api_reads_what_was_counted() {
    let metrics = Metrics::new(2);
    let route = metrics.route("orders", "monolith", Some("orders"));
    route.decided(0, Arm::Candidate, Reason::Share);
    route.decided(1, Arm::Candidate, Reason::Pin);
    route.answered(0, Arm::Candidate, 200, 7 * MS);
    route.answered(1, Arm::Candidate, 500, 7 * MS);
    let counts = metrics.counts("orders", Arm::Candidate);
    assert_eq!((counts.requests, counts.errors, counts.share_decisions), (2, 1, 1));
    assert_eq!(counts.durations.quantile(0.5), Some(0.0075));
    assert_eq!(metrics.counts("orders", Arm::Legacy), crate::gateway::ArmCounts::default());
    assert_eq!(metrics.counts("nobody", Arm::Legacy), crate::gateway::ArmCounts::default());
}

#[test]
fn a_status_without_class_counts_as_an_error() {
    let metrics = Metrics::new(1);
    let route = metrics.route("orders", "monolith", None);
    route.answered(0, Arm::Legacy, 0, MS);
    route.answered(0, Arm::Legacy, 999, MS);
    assert_eq!(metrics.counts("orders", Arm::Legacy).errors, 2);
}

#[test]
fn places_are_those_of_the_lists() {
    for (place, reason) in Reason::ALL.into_iter().enumerate() {
        assert_eq!(super::place_of_reason(reason), place);
    }
    for (place, arm) in ARMS.into_iter().enumerate() {
        assert_eq!(super::place_of_arm(arm), place);
    }
    for (place, failure) in Failure::ALL.into_iter().enumerate() {
        assert_eq!(failure as usize, place);
    }
    for (place, result) in super::ShadowResult::ALL.into_iter().enumerate() {
        assert_eq!(result as usize, place);
    }
    for (place, verdict) in super::shadowing::ShadowVerdict::ALL.into_iter().enumerate() {
        assert_eq!(verdict as usize, place);
    }
}

#[test]
fn counting_goes_on_while_it_is_scraped() {
    let (metrics, registry) = fresh();
    let route = metrics.route("orders", "monolith", Some("orders"));
    let scraping = std::thread::spawn(move || (0..20).map(|_| scrape(&registry).len()).sum::<usize>());
    let requests = 50_000;
    for _ in 0..requests {
        route.answered(0, Arm::Candidate, 200, MS);
    }
    assert!(scraping.join().expect("scraping") > 0);
    assert_eq!(metrics.counts("orders", Arm::Candidate).requests, requests);
}

#[test]
fn counting_allocates_nothing_after_the_first_time() {
    let metrics = Metrics::new(1);
    let (route, upstream) = (metrics.route("orders", "monolith", Some("orders")), metrics.upstream("orders"));
    let one_request = || {
        route.decided(0, Arm::Candidate, Reason::Share);
        upstream.began(0);
        route.attempt(0, Arm::Candidate, Outcome::Answered, MS);
        upstream.ended(0);
        route.answered(0, Arm::Candidate, 200, MS);
    };
    one_request();
    assert_eq!(allocation_counter::measure(one_request).count_total, 0);
}
