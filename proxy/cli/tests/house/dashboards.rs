//! Grafana's dashboards: what `banyan dashboards export` writes, by the rules of Grafana's linter and its own types.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::metadata;

const FILES: [&str; 3] = ["banyan-migration.json", "banyan-route.json", "banyan-proxy.json"];

#[test]
fn the_dashboards_are_what_the_command_exports() {
    let metadata = metadata();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
    let told =
        command.args(["dashboards", "export", "--out"]).arg(folder.path().join("new")).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    let read = |folder: &Path, file: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
    };
    for (file, told) in FILES.iter().zip(String::from_utf8(told.stdout).unwrap().lines()) {
        let exported = folder.path().join("new");
        assert_eq!(told, exported.join(file).to_str().unwrap());
        let kept = read(metadata.workspace_root.join("deploy/grafana").as_std_path(), file);
        let hint = "hint: cargo run -p banyan -- dashboards export --out deploy/grafana";
        assert!(read(&exported, file) == kept, "deploy/grafana/{file} is not what is exported now\n{hint}");
    }
}

#[test]
fn the_dashboards_keep_every_rule() {
    let (passed, said) = check(&[]);
    assert!(passed && said.starts_with("3 dashboards: "), "{said}");
}

/// A rule that finds nothing is no rule: each is broken once, by the least that breaks it.
#[test]
fn each_rule_finds_what_it_is_for() {
    let whole = metadata().workspace_root.join("deploy/grafana/banyan-proxy.json");
    let whole: Value = serde_json::from_str(&std::fs::read_to_string(whole).unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let broken = breaches().into_iter().enumerate().map(|(number, (rule, place, value))| {
        let mut dashboard = whole.clone();
        *dashboard.pointer_mut(place).unwrap_or_else(|| panic!("nothing at {place}")) = value;
        let file = folder.path().join(number.to_string()).join("banyan-proxy.json");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, dashboard.to_string()).unwrap();
        (rule, place, file)
    });
    let broken: Vec<_> = broken.collect();
    let (passed, said) = check(&broken.iter().map(|(_, _, file)| file.as_path()).collect::<Vec<_>>());
    assert!(!passed, "{said}");
    for (rule, place, file) in broken {
        assert!(said.contains(&format!("error: {}: {rule}: ", file.display())), "{rule} at {place}:\n{said}");
    }
}

/// A rule, a place in banyan-proxy.json, and what breaks the rule there. The first panel is a heading.
fn breaches() -> Vec<(&'static str, &'static str, Value)> {
    let query = "/panels/2/targets/0/expr";
    vec![
        ("fixed-uid", "/uid", json!("another")),
        ("uneditable-dashboard", "/editable", json!(true)),
        ("template-datasource-rule", "/templating/list/0/label", json!("Prometheus")),
        ("template-job-rule", "/templating/list/1/allValue", json!(".*")),
        ("template-instance-rule", "/templating/list/2/multi", json!(false)),
        ("template-on-time-change-reload-rule", "/templating/list/2/refresh", json!(1)),
        ("template-label-promql-rule", "/templating/list/1/query/query", json!("label_values(up{, job)")),
        ("panel-title-description-rule", "/panels/1/description", json!("")),
        ("panel-datasource-rule", "/panels/1/datasource/uid", json!("prometheus-1")),
        ("panel-datasource-rule", "/annotations/list/0/datasource/uid", json!("prometheus-1")),
        ("panel-units-rule", "/panels/1/fieldConfig/defaults/unit", json!("pieces")),
        ("panel-no-targets-rule", "/panels/1/targets", json!([])),
        ("no-overlap", "/panels/2/gridPos/x", json!(3)),
        ("no-overlap", "/panels/2/gridPos/x", json!(22)),
        ("unique-ids", "/panels/2/id", json!(2)),
        ("target-promql-rule", query, json!("sum(rate(banyan_requests_total{")),
        ("target-job-rule", query, json!("banyan_workers{instance=~\"$instance\"}")),
        ("target-instance-rule", query, json!("banyan_workers{job=~\"$job\"}")),
        (
            "target-rate-interval-rule",
            query,
            json!("rate(banyan_panics_total{job=~\"$job\", instance=~\"$instance\"}[5m])"),
        ),
        (
            "target-counter-agg-rule",
            query,
            json!("banyan_panics_total{job=~\"$job\", instance=~\"$instance\"}"),
        ),
        ("schema", "/refresh", json!(10)),
        ("schema", "/panels/1/options/colorMode", json!("loud")),
        ("schema", "/panels/1/gridPos", json!({ "h": 4, "w": 4, "x": 0, "y": 1, "z": 0 })),
        ("schema", "/templating/list/1/sort", json!(70)),
    ]
}

/// Whether scripts/check-dashboards is content, and what it says.
fn check(files: &[&Path]) -> (bool, String) {
    let script = metadata().workspace_root.join("scripts/check-dashboards");
    let done = Command::new(script).args(files).output().unwrap();
    (
        done.status.success(),
        [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat(),
    )
}
