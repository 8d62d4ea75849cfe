//! A real Prometheus asks a running proxy, and every query of the dashboard has data.

use std::collections::BTreeSet;
use std::path::Path;

use banyan_gateway::METRICS;
use http::Request;

use crate::application::Application;
use crate::banyan::{Banyan, moving};
use crate::bodies::{AnyBody, empty};
use crate::client::{Answer, request};
use crate::load::{AfterClose, Load};
use crate::process::{Process, free_address, program, run};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PROMETHEUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus");
const RULES: [&str; 2] = ["rules.yml", "alerts.yml"];

fn by_a_user(number: u64) -> Request<AnyBody> {
    // Most go by the route, some by none; not as fast as they can, the other side has work to do.
    let path = if number.is_multiple_of(10) { "/?ms=20" } else { "/api/page?ms=20" };
    let mut request = request("GET", path, empty());
    request.headers_mut().insert("x-user-id", number.into());
    request
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_dashboard_has_data() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let banyan = Banyan::start(&moving(&legacy, &candidate, "50")).await;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address();
    let shipped = std::fs::read_to_string(Path::new(ROOT).join("deploy/prometheus/prometheus.yml")).unwrap();
    let adapted = adapt(&shipped, &banyan.admin.to_string());
    std::fs::write(folder.path().join("prometheus.yml"), adapted).unwrap();
    for rules in RULES {
        std::fs::copy(Path::new(PROMETHEUS).join(rules), folder.path().join(rules)).unwrap();
    }
    let mut command = program("prometheus");
    command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Process::start("prometheus", &mut command, folder.path());
    prometheus.listens_on(address).await;

    let load = Load::start(banyan.address, 4, AfterClose::Reconnect, by_a_user, is_good);
    let (asked, measured) = (format!("http://{address}"), format!("http://{}/metrics", banyan.admin));
    let check = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(Path::new(ROOT).join("scripts/check-dashboard"));
        run(command.args(["--prometheus", &asked, "--metrics", &measured, "--wait", "60"]))
    });
    let said = check.await.unwrap();
    load.stop().await.assert_clean();
    eprintln!("{}", said.trim());
    assert!(said.contains(", 0 problems"), "{said}");
}

/// Asks this proxy, and more often than a person would wait for.
fn adapt(shipped: &str, admin: &str) -> String {
    let mut adapted = shipped.to_owned();
    for (from, to) in [
        ("127.0.0.1:9900", admin),
        ("scrape_interval: 5s", "scrape_interval: 1s"),
        ("scrape_timeout: 4s", "scrape_timeout: 1s"),
    ] {
        assert!(adapted.contains(from), "no `{from}` in deploy/prometheus/prometheus.yml");
        adapted = adapted.replace(from, to);
    }
    adapted
}

/// What is tested fires with exactly the labels and words that are written there, and with no other alert of its name.
#[test]
fn every_alert_fires_where_it_should_and_nowhere_else() {
    let promtool = |arguments: &[&str]| {
        let mut command = program("promtool");
        run(command.current_dir(PROMETHEUS).args(arguments))
    };
    promtool(&["check", "rules", "rules.yml", "alerts.yml"]);
    promtool(&["test", "rules", "tests/alerts_test.yml"]);
    let read = |name: &str| std::fs::read_to_string(Path::new(PROMETHEUS).join(name)).unwrap();
    let (alerts, tests) = (read("alerts.yml"), read("tests/alerts_test.yml"));
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n");
        assert!(tests.contains(&fires), "{name} never fires in tests/alerts_test.yml");
    }
}

#[test]
fn the_rules_name_only_metrics_that_exist() {
    for rules in RULES {
        names_only_metrics(&std::fs::read_to_string(Path::new(PROMETHEUS).join(rules)).unwrap(), 4);
    }
}

#[test]
fn the_dashboard_names_only_metrics_that_exist() {
    names_only_metrics(
        &std::fs::read_to_string(Path::new(ROOT).join("deploy/grafana/banyan-migration.json")).unwrap(),
        10,
    );
}

fn names_only_metrics(text: &str, at_least: usize) {
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    // What rules record has a colon: `job_route:banyan_compared:increase15m`.
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    let names: BTreeSet<&str> = text
        .split(|letter| !is_part(letter))
        .filter(|word| word.starts_with("banyan_") || word.starts_with("process_"))
        .filter(|word| !word.contains(':'))
        .collect();
    assert!(names.len() > at_least, "{names:?}");
    let ending = ["_bucket", "_sum", "_count"];
    for name in names {
        let family = ending.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        assert!(known.contains(name) || known.contains(family), "{name} is not in banyan_gateway::METRICS");
    }
}
