//! The file and the proxy do not agree, or somebody else is at work.

use std::fs::{self, File};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use banyan_control::api::{Config, Reload, ReloadResult};
use serde_json::Value;

use crate::banyan;
use crate::running::Running;
use crate::scripted::Scripted;

/// Far less than the 10 s that an edit may wait for another.
const EMERGENCY: Duration = Duration::from_secs(6);

fn run(admin: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        banyan().args(arguments).args(["--admin", admin]).output().unwrap();
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code(), text)
}

fn percent_in_force(running: &Running, route: &str) -> String {
    let (_, text) = run(&running.admin(), &["status", "--json"]);
    let status: Value = serde_json::from_str(&text).unwrap();
    let routes = status["routes"]["routes"].as_array().unwrap();
    let found = routes.iter().find(|found| found["name"] == route).unwrap();
    found["percent"].as_str().unwrap().to_owned()
}

/// What a proxy tells that reads this file with this hash.
fn config(file: &Path, text_hash: &str) -> Config {
    let last_reload = Reload {
        at: "2026-05-01T00:00:00Z".to_owned(),
        result: ReloadResult::Applied,
        generation: 1,
        hash: "0123456789abcdef".to_owned(),
        text_hash: text_hash.to_owned(),
        report: String::new(),
        problems: Vec::new(),
    };
    Config {
        version: 1,
        generation: 1,
        hash: last_reload.hash.clone(),
        since: last_reload.at.clone(),
        file: Some(file.display().to_string()),
        last_reload,
        floor: false,
        text_hash: text_hash.to_owned(),
        state_dir: None,
        history_problem: None,
        process: 1,
        upgrade_problem: None,
    }
}

fn elsewhere(file: &Path) -> Scripted {
    let config = config(file, "of another file");
    let reload = serde_json::to_string(&config.last_reload).unwrap();
    Scripted::start(vec![("/config", 200, serde_json::to_string(&config).unwrap()), ("/reload", 200, reload)])
}

#[test]
fn a_file_that_the_proxy_does_not_read_is_not_edited() {
    let folder = tempfile::tempdir().unwrap();
    let routes = folder.path().join("routes.toml");
    let text = include_str!("live/routes.toml");
    fs::write(&routes, text).unwrap();
    let (code, told) = run(&elsewhere(&routes).admin(), &["shift", "orders", "50"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("reads another file than"), "{told}");
    assert_eq!(fs::read_to_string(&routes).unwrap(), text);
}

/// The file is good for the command, which has the variable, and refused by the proxy, which has not.
fn refused_by_the_proxy(orders: &str) -> Running {
    let running = Running::start();
    let text = fs::read_to_string(running.routes()).unwrap();
    let text = text.replace("percent = 10 ", &format!("percent = {orders} "));
    let text = text.replace(
        "[stores.orders]",
        "[upstreams.more]\ntargets = [\"${BANYAN_TEST_URL}\"]\n\n[stores.orders]",
    );
    fs::write(running.routes(), text).unwrap();
    running.wait_until_refused();
    running
}

fn with_url(running: &Running, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = banyan();
    command.env("BANYAN_TEST_URL", "http://127.0.0.1:9").args(arguments).args(["--admin", &running.admin()]);
    let ended = command.output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap() + &String::from_utf8(ended.stderr).unwrap();
    (ended.status.code(), text)
}

#[test]
fn what_the_file_does_not_bring_about_is_held_in_memory() {
    let running = refused_by_the_proxy("50");
    let (code, told) = with_url(&running, &["shift", "orders", "50"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("says so, but the proxy refuses it"), "{told}");
    let (code, told) = with_url(&running, &["rollback", "--all"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(percent_in_force(&running, "orders"), "0", "{told}");
}

#[test]
fn a_zero_in_the_file_is_no_zero_in_force() {
    let running = refused_by_the_proxy("0");
    let (code, told) = with_url(&running, &["rollback", "orders"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(percent_in_force(&running, "orders"), "0", "{told}");
}

#[test]
fn a_rollback_does_not_wait_for_somebody_elses_edit() {
    let running = Running::start();
    said_already(&running);
    let folder = File::open(running.routes().parent().unwrap()).unwrap();
    folder.lock().unwrap();
    let start = Instant::now();
    let (code, told) = run(&running.admin(), &["rollback", "orders"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(start.elapsed() < EMERGENCY, "{:?}", start.elapsed());
    assert_eq!(percent_in_force(&running, "orders"), "0", "{told}");
    assert_eq!(percent_in_force(&running, "cart"), "5", "{told}");
}

/// What is so already is told to programs, too.
fn said_already(running: &Running) {
    let (code, told) = run(&running.admin(), &["shift", "orders", "10", "--json"]);
    assert_eq!(code, Some(0), "{told}");
    let json = told.replace("orders is at 10 % already", "");
    let edited: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&edited["generation"], &edited["shifts"]), (&1.into(), &Value::Array(Vec::new())), "{told}");
}

fn refusal(code: &str) -> String {
    format!(r#"{{"version":1,"code":"{code}","message":"not you"}}"#)
}

#[test]
fn a_host_name_that_the_proxy_does_not_know_is_no_matter_of_tokens() {
    let proxy = Scripted::start(vec![("/config", 403, refusal("foreign-host"))]);
    let (code, told) = run(&proxy.admin(), &["status"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("--admin-host NAME"), "{told}");
    assert!(!told.contains("token"), "{told}");
}

/// Whoever rolled back must not read that nothing was done.
#[test]
fn a_proxy_that_says_nothing_may_still_act() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, told) = run(&silent.local_addr().unwrap().to_string(), &["rollback", "--all"]);
    assert_eq!(code, Some(6), "{told}");
    assert!(told.contains("within 5 s; it may still act"), "{told}");
}

#[test]
fn the_token_of_a_flag_counts_before_the_variable() {
    let proxy = Scripted::start(vec![("/config", 401, refusal("token"))]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "from-the-flag\n").unwrap();
    let mut command = banyan();
    command.env("BANYAN_ADMIN_TOKEN", "from-the-variable").args(["status", "--admin", &proxy.admin()]);
    command.arg("--admin-token-file").arg(&file).output().unwrap();
    let heads = proxy.heads();
    assert!(heads[0].contains("Bearer from-the-flag"), "{heads:?}");
}
