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

#[test]
fn the_dashboard_names_only_metrics_that_exist() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("deploy/grafana/banyan-migration.json")).unwrap();
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let names: BTreeSet<&str> = text
        .split(|letter| !is_part(letter))
        .filter(|word| word.starts_with("banyan_") || word.starts_with("process_"))
        .collect();
    assert!(names.len() > 10, "{names:?}");
    let ending = ["_bucket", "_sum", "_count"];
    for name in names {
        let family = ending.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
        assert!(known.contains(name) || known.contains(family), "{name} is not in banyan_gateway::METRICS");
    }
}
