//! A real Prometheus asks a running proxy, and every query of the dashboards has data.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use banyan_gateway::METRICS;
use http::Request;
use serde_json::Value;
use tempfile::TempDir;

use crate::application::Application;
use crate::banyan::{Banyan, legacy_at};
use crate::bodies::{AnyBody, empty};
use crate::client::{self, Answer, request};
use crate::load::{AfterClose, Load};
use crate::process::{Process, free_address, program, run};
use crate::until;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PROMETHEUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus");
const RULES: [&str; 2] = ["rules.yml", "alerts.yml"];

/// Most go by the route that moves, one in ten by none, and some to what is broken; not as fast as they can, the other side
/// has work to do.
fn by_a_user(number: u64) -> Request<AnyBody> {
    let path = match number % 10 {
        0 => "/?ms=20",
        1 => "/broken/page?ms=20",
        2 => "/copied/page?ms=20",
        3 => "/api/page?ms=20&candidate=503",
        _ => "/api/page?ms=20",
    };
    let mut request = request("GET", path, empty());
    request.headers_mut().insert("x-user-id", number.into());
    request
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200
}

/// A route that moves with everything that a route can have; one whose candidate is gone and whose breaker opens; one whose
/// copies find nobody.
fn with_everything(legacy: &Application, candidates: [&Application; 2], percent: &str) -> String {
    let gone = free_address();
    let [one, other] = candidates.map(|candidate| candidate.address);
    format!(
        r#"{}
[upstreams.candidate]
targets = ["http://{one}", "http://{other}"]
health = {{ path = "/", every = "1s" }}
breaker = {{ error_percent = 90 }}
[upstreams.gone]
targets = ["http://{gone}"]
breaker = {{ min_requests = 3, open_for = "60s" }}
[upstreams.away]
targets = ["http://{gone}"]
[stores.db]
mode = "shared"
[[route]]
name = "moving"
path = "/api/*"
to = "candidate"
percent = {percent}
sticky = ["header:x-user-id"]
store = "db"
shadow = {{ percent = 50 }}
compare = {{ noise_percent = 2 }}
fallback = {{ on = ["503"] }}
[[route]]
name = "broken"
path = "/broken/*"
methods = ["GET"]
to = "gone"
percent = 100
sticky = ["header:x-user-id"]
fallback = {{ on = ["connect-error", "breaker-open"] }}
[[route]]
name = "copied"
path = "/copied/*"
methods = ["GET"]
to = "away"
percent = 0
sticky = ["header:x-user-id"]
shadow = {{ percent = 50 }}
"#,
        legacy_at(&[legacy.address])
    )
}

/// With both arms, copies, fallbacks, retries, an open breaker and two shifts, so that nothing is empty for want of a cause.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_dashboards_has_data() {
    let legacy = Application::start("legacy").await;
    let candidates = [Application::start("candidate").await, Application::start("candidate").await];
    let at = |percent| with_everything(&legacy, [&candidates[0], &candidates[1]], percent);
    let banyan = Banyan::start(&at("50")).await;
    let prometheus = Prometheus::start(banyan.admin).await;
    let load = Load::start(banyan.address, 4, AfterClose::Reconnect, by_a_user, is_good);
    for percent in ["50", "75", "25"] {
        banyan.save(&at(percent));
        let seen = percent.parse::<f64>().unwrap() / 100.0;
        prometheus.has(r#"banyan_route_share_ratio{route="moving"}"#, seen).await;
    }
    let (asked, measured) =
        (format!("http://{}", prometheus.address), format!("http://{}/metrics", banyan.admin));
    let check = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(Path::new(ROOT).join("scripts/check-dashboards"));
        run(command.args(["--prometheus", &asked, "--metrics", &measured, "--wait", "60"]))
    });
    let said = check.await.unwrap();
    load.stop().await.assert_clean();
    eprintln!("{}", said.trim());
    assert!(said.starts_with("3 dashboards: ") && said.contains(", 0 problems"), "{said}");
}

/// Debian's, with the configuration that is shipped.
struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    async fn start(admin: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let shipped =
            std::fs::read_to_string(Path::new(ROOT).join("deploy/prometheus/prometheus.yml")).unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), adapt(&shipped, &admin.to_string())).unwrap();
        for rules in RULES {
            std::fs::copy(Path::new(PROMETHEUS).join(rules), folder.path().join(rules)).unwrap();
        }
        let mut command = program("prometheus");
        command.current_dir(folder.path()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={address}"));
        let mut process = Process::start("prometheus", &mut command, folder.path());
        process.listens_on(address).await;
        Self { address, _process: process, _folder: folder }
    }

    /// Waits until it has seen this value of one series.
    async fn has(&self, series: &str, value: f64) {
        let query = form_urlencoded(series);
        until(&format!("Prometheus has {value} of {series}"), async || {
            let Ok(answer) = client::get(self.address, &format!("/api/v1/query?query={query}")).await else {
                return false;
            };
            let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let seen =
                answer["data"]["result"][0]["value"][1].as_str().and_then(|seen| seen.parse::<f64>().ok());
            seen == Some(value)
        })
        .await;
    }
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
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
    // A test says where an alert fires; without that, that it does not.
    let tested: Vec<(&str, bool)> = tests
        .split("alertname: ")
        .skip(1)
        .map(|test| {
            let (name, rest) = test.split_once('\n').unwrap();
            (name, rest.trim_start().starts_with("exp_alerts:"))
        })
        .collect();
    for name in names {
        assert!(tested.contains(&(name, true)), "{name} never fires in tests/alerts_test.yml");
        assert!(tested.contains(&(name, false)), "{name} is never silent in tests/alerts_test.yml");
    }
}

#[test]
fn the_rules_name_only_metrics_that_exist() {
    for rules in RULES {
        names_only_metrics(&std::fs::read_to_string(Path::new(PROMETHEUS).join(rules)).unwrap(), 4);
    }
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
