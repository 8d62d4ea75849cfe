//! What comparisons of shadowed requests leave behind: counts and samples, across an upgrade and on a full disk.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::application::Application;
use crate::banyan::{Banyan, moving};
use crate::bodies::empty;
use crate::client::{Client, request};
use crate::trouble::limit_files;
use crate::until;
use crate::upgrading::upgraded;

/// Both arms with a secret in what they say, and every request copied.
async fn shadowing() -> (Application, Application, Banyan) {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let routes = moving(&legacy, &candidate, "0")
        + "shadow = { percent = 100 }\ncompare = { recheck_after = \"1ms\" }\n";
    let banyan = Banyan::start(&routes).await;
    (legacy, candidate, banyan)
}

async fn ask(banyan: &Banyan, times: usize) {
    let mut client = Client::connect(banyan.address).await.unwrap();
    for number in 0..times {
        let mut request = request("GET", &format!("/api/order?n={number}&token=hunter2"), empty());
        request.headers_mut().insert("cookie", "sid=hunter2".parse().unwrap());
        assert_eq!(client.send(request).await.unwrap().status, 200);
    }
}

async fn evidence(banyan: &Banyan) -> Value {
    let ended = banyan.command(&["mismatches", "moving", "--json"]).await;
    serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{}", told(&ended)))
}

/// Until so many are counted, and their samples are there.
async fn counted(banyan: &Banyan, mismatches: u64) {
    until("all are compared", async || {
        let evidence = evidence(banyan).await;
        let samples = evidence["signatures"][0]["samples"].as_array().map_or(0, Vec::len);
        evidence["counts"]["mismatch"] == mismatches && samples > 0
    })
    .await;
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_differs_is_told_and_survives_an_upgrade() {
    let (_legacy, _candidate, mut banyan) = shadowing().await;
    let nothing = evidence(&banyan).await;
    assert!(nothing["mismatch_ratio"].is_null() && nothing["shadows"] == true, "{nothing}");
    ask(&banyan, 20).await;
    counted(&banyan, 20).await;
    let tree = told(&banyan.command(&["mismatches", "moving"]).await);
    assert!(tree.contains("20 compared") && tree.contains("/lines/*/by value  100.0 %"), "{tree}");
    let id = evidence(&banyan).await["signatures"][0]["samples"][0].to_string();
    let sides = told(&banyan.command(&["mismatches", "moving", "--sample", &id]).await);
    assert!(sides.contains("\"by\": \"legacy\"") && sides.contains("\"by\": \"candidate\""), "{sides}");
    assert!(sides.contains("token=[redacted]") && !sides.contains("hunter2"), "{sides}");

    let later = upgraded(&banyan).await;
    assert!(banyan.ended().await.success(), "{}", banyan.said());
    let evidence_after = evidence(&banyan).await;
    assert_eq!(evidence_after["counts"]["mismatch"], 20, "{}", banyan.said());
    assert_eq!(evidence_after["kept"]["place"], "disk", "{}", banyan.said());
    ask(&banyan, 5).await;
    counted(&banyan, 25).await;
    let reset = told(&banyan.command(&["mismatches", "moving", "--reset"]).await);
    assert!(reset.contains("forgotten"), "{reset}");
    let nothing = evidence(&banyan).await;
    assert!(nothing["mismatch_ratio"].is_null() && nothing["kept"]["samples"] == 0, "{nothing}");
    drop(later);
    for file in fs::read_dir(banyan.folder().join("state")).unwrap().map(|file| file.unwrap().path()) {
        if file.is_file() {
            assert!(!fs::read(&file).unwrap().windows(7).any(|found| found == b"hunter2"), "{file:?}");
        }
    }
}

/// An end in order loses nothing. A kill loses what was counted in the last seconds, and no sample.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_survives_a_restart_and_a_kill() {
    let (_legacy, _candidate, mut banyan) = shadowing().await;
    ask(&banyan, 10).await;
    counted(&banyan, 10).await;
    banyan.restart_after("-TERM").await;
    let before = evidence(&banyan).await;
    assert_eq!(before["counts"]["mismatch"], 10, "{}", banyan.said());
    banyan.restart_after("-KILL").await;
    let after = evidence(&banyan).await;
    assert_eq!(after["kept"]["place"], "disk", "{}", banyan.said());
    assert_eq!(after["counts"], before["counts"]);
    assert_eq!(after["signatures"][0]["samples"], before["signatures"][0]["samples"]);
    assert!(!banyan.said().contains("damaged"), "{}", banyan.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_is_replayed_without_the_proxy() {
    let (legacy, candidate, banyan) = shadowing().await;
    let recording =
        banyan.command(&["record", "moving", "--out", "orders.jsonl", "--count", "3", "--for", "30s"]);
    let asking = async {
        let mut client = Client::connect(banyan.address).await.unwrap();
        // Recording begins some time after it was started.
        until("three are written down", async || {
            client.send(request("GET", "/api/order", empty())).await.unwrap();
            let lines = fs::read_to_string(banyan.folder().join("orders.jsonl")).unwrap_or_default();
            lines.lines().count() >= 3
        })
        .await;
    };
    let (recorded, ()) = tokio::join!(recording, asking);
    assert!(recorded.status.success(), "{}", told(&recorded));
    let (old, new) = (format!("http://{}", legacy.address), format!("http://{}", candidate.address));
    let against = ["replay", "--legacy", &old, "--candidate", &new, "--json"];
    let replay = async |arguments: &[&str]| {
        let ended = banyan.command(&[&against, arguments].concat()).await;
        let json: Value =
            serde_json::from_slice(&ended.stdout).unwrap_or_else(|_| panic!("{}", told(&ended)));
        (ended.status.code(), json)
    };
    let (code, replayed) = replay(&["--jsonl", "orders.jsonl"]).await;
    assert_eq!((code, replayed["counts"]["mismatch"].as_u64()), (Some(1), Some(3)));
    assert_eq!(replayed["signatures"][0]["signature"], "/lines/*/by value");
    until("a sample is kept", async || evidence(&banyan).await["kept"]["samples"] != 0).await;
    let (code, replayed) = replay(&["--stored", "moving", "--fail-over", "1"]).await;
    assert_eq!(code, Some(0), "{replayed}");
}

/// A limit on the length of files does to every file what a full disk does, and can be taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_samples_and_no_request() {
    let (_legacy, _candidate, banyan) = shadowing().await;
    ask(&banyan, 1).await;
    counted(&banyan, 1).await;
    limit_files(banyan.id(), "1");
    ask(&banyan, 20).await;
    let dropped = "banyan_evidence_samples_dropped_total{reason=\"disk\"}";
    let full = "banyan_evidence_samples_dropped_total{reason=\"full\"}";
    until("it is counted", async || {
        banyan.metric(dropped).await.unwrap_or(0.0) + banyan.metric(full).await.unwrap_or(0.0) > 0.0
    })
    .await;
    counted(&banyan, 21).await;
    let kept = evidence(&banyan).await["kept"].clone();
    assert!(kept["problem"].is_string(), "{kept}");
    limit_files(banyan.id(), "unlimited");
    until("the problem is over", async || {
        ask(&banyan, 1).await;
        evidence(&banyan).await["kept"]["problem"].is_null()
    })
    .await;
}
