//! What was in force when, by whom, and what survives a restart.

use std::fs::{self, OpenOptions};
use std::io::Write;

use banyan_control::api::{HistoryKind, KeptSet};
use banyan_control::{RunError, StateDirError};

use crate::site::{LONG, SOON, Site, options, refused, routes};

fn saved(site: &Site, percent: u32) {
    let generation = site.config().generation;
    site.write("routes.toml", &routes(percent));
    site.until(SOON, "in force", |site| site.config().generation > generation);
}

/// Stops the proxy and starts another on the same folder.
fn restarted(site: Site) -> Site {
    let Site { proxy, folder, .. } = site;
    proxy.stop().unwrap();
    Site::start_in(folder)
}

#[test]
fn survives_a_restart_and_a_torn_line() {
    let site = Site::start(&routes(0));
    saved(&site, 10);
    let line = &site.history().entries[0];
    assert_eq!(
        (line.changes.as_slice(), line.who.as_str()),
        (&["orders 0 % -> 10 % (10 % of clients move to the candidate)".to_owned()][..], "file")
    );
    let mut file = OpenOptions::new().append(true).open(site.path("state/history.jsonl")).unwrap();
    file.write_all(b"{\"at\":\"2026-").unwrap();
    let site = restarted(site);
    assert_eq!(site.history().entries.len(), 2, "the torn line is skipped, an unchanged start adds none");
    saved(&site, 20);
    let site = restarted(site);
    let entries = site.history().entries;
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].changes, ["orders 10 % -> 20 % (10 % of clients move to the candidate)"]);
    assert_eq!(entries[0].before.as_ref(), Some(&entries[1].after));
}

#[test]
fn a_change_while_no_proxy_ran_is_in_the_history() {
    let site = Site::start(&routes(10));
    site.write("other", "");
    let Site { proxy, folder, .. } = site;
    proxy.stop().unwrap();
    fs::write(folder.path().join("routes.toml"), routes(30)).unwrap();
    let entries = Site::start_in(folder).history().entries;
    assert_eq!((entries[0].kind, entries.len()), (HistoryKind::Start, 2));
    assert_eq!(entries[0].changes, ["orders 10 % -> 30 % (20 % of clients move to the candidate)"]);
}

#[test]
fn the_files_of_every_swap_are_kept() {
    let site = Site::start(&routes(0));
    saved(&site, 10);
    let entry = site.history().entries.remove(0);
    let before: KeptSet = site.get(&format!("/api/v1/history/sets/{}", entry.text_hash_before.unwrap()));
    let after: KeptSet = site.get(&format!("/api/v1/history/sets/{}", entry.text_hash));
    assert_eq!((before.main.text, after.main.text), (routes(0), routes(10)));
    assert_eq!(after.main.name, "routes.toml");
    for hash in ["..%2fhistory.jsonl", "0", &"a".repeat(64)] {
        let head = format!("GET /api/v1/history/sets/{hash} HTTP/1.1\r\nHost: localhost\r\n");
        assert_eq!(crate::site::ask(site.admin, &head, "").status, 404);
    }
}

#[test]
fn kept_files_are_bounded() {
    let site = Site::start(&routes(0));
    let first = site.config().text_hash;
    for number in 0..300 {
        site.write(&format!("state/sets/{number:064x}.json"), "{}");
    }
    saved(&site, 10);
    site.until(LONG, "the oldest gone", |site| fs::read_dir(site.path("state/sets")).unwrap().count() == 200);
    let now = site.config().text_hash;
    let set: KeptSet = site.get(&format!("/api/v1/history/sets/{now}"));
    assert_eq!(set.main.text, routes(10));
    assert!(!site.path(&format!("state/sets/{first}.json")).exists(), "the oldest goes first");
}

#[test]
fn an_announced_change_has_a_name() {
    let site = Site::start(&routes(0));
    let hash = {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("routes.toml"), routes(10)).unwrap();
        let path = folder.path().join("routes.toml");
        banyan_control::text_hash(&banyan_control::read(&path, &banyan_control::Variables::new()).unwrap())
    };
    let body = format!("{{\"who\":\"ann\",\"why\":\"first step\",\"after_hash\":\"{hash}\"}}");
    assert_eq!(site.post("/api/v1/announce", &body).status, 204);
    saved(&site, 10);
    saved(&site, 0);
    saved(&site, 10);
    let who: Vec<_> = site.history().entries.into_iter().map(|entry| (entry.who, entry.why)).collect();
    let by_file = ("file".to_owned(), None);
    let by_ann = ("ann".to_owned(), Some("first step".to_owned()));
    assert_eq!(who, [by_file.clone(), by_file.clone(), by_ann, by_file]);
}

#[test]
fn two_proxies_do_not_share_a_state_directory() {
    let site = Site::start(&routes(0));
    let error = refused(options(site.folder.path()));
    assert!(matches!(error, RunError::StateDir(StateDirError::InUse { .. })), "{error}");
    let words = error.to_string();
    assert!(words.contains(&std::process::id().to_string()) && words.contains("state"), "{words}");
}

#[test]
fn without_a_place_to_write_the_proxy_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    fs::write(folder.path().join("state"), "a file where the folder should be").unwrap();
    let site = Site::start_in(folder);
    let config = site.config();
    assert!(
        config.history_problem.is_some_and(|problem| problem.contains("state")) && config.state_dir.is_none()
    );
    saved(&site, 10);
    assert_eq!(
        site.history().entries[0].changes,
        ["orders 0 % -> 10 % (10 % of clients move to the candidate)"]
    );
}

#[test]
fn a_disk_that_fails_later_is_told_and_forgiven() {
    let site = Site::start(&routes(0));
    fs::rename(site.path("state/sets"), site.path("state/gone")).unwrap();
    saved(&site, 10);
    site.until(LONG, "told", |site| site.config().history_problem.is_some());
    fs::rename(site.path("state/gone"), site.path("state/sets")).unwrap();
    saved(&site, 20);
    site.until(LONG, "forgiven", |site| site.config().history_problem.is_none());
    assert_eq!(site.history().entries.len(), 3);
}

/// The tour in the README has no state directory, and undoes.
#[test]
fn without_a_state_directory_the_last_sets_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let mut options = options(folder.path());
    options.state_dir = None;
    let proxy = banyan_control::Proxy::start(options, &banyan_control::Registry::new()).unwrap();
    let site = Site { admin: proxy.addresses().admin, proxy, folder };
    for percent in 1..=21 {
        saved(&site, percent);
    }
    let entries = site.history().entries;
    let set: KeptSet = site.get(&format!("/api/v1/history/sets/{}", entries[1].text_hash));
    assert_eq!(set.main.text, routes(20));
    let oldest = &entries[21].text_hash;
    let head = format!("GET /api/v1/history/sets/{oldest} HTTP/1.1\r\nHost: localhost\r\n");
    assert_eq!(crate::site::ask(site.admin, &head, "").status, 404, "twenty are kept");
}

#[test]
fn a_floor_ends_with_the_process_and_the_history_says_so() {
    let site = Site::start(&routes(50));
    assert_eq!(site.post("/api/v1/rollback", "{\"who\":\"ann\",\"why\":null}").status, 200);
    let Site { proxy, folder, .. } = site;
    proxy.stop().unwrap();
    // The same table as the floor.
    fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let entry = Site::start_in(folder).history().entries.remove(0);
    assert_eq!(entry.kind, HistoryKind::Start);
    assert_eq!(
        entry.changes,
        [
            "the rollback held in memory ended with the restart",
            "orders 50 % -> 0 % (50 % of clients move to legacy)"
        ]
    );
}

#[test]
fn names_and_reasons_are_printable_and_bounded() {
    let site = Site::start(&routes(50));
    let long = "é".repeat(2000);
    let body = format!("{{\"who\":\"a\\u001b[2Jnn\",\"why\":\"{long}\"}}");
    assert_eq!(site.post("/api/v1/rollback", &body).status, 200);
    let entry = site.history().entries.remove(0);
    assert_eq!((entry.who.as_str(), entry.why.unwrap().len()), ("a[2Jnn", 1024));
    assert_eq!(entry.at.len(), "2026-01-01T00:00:00.000Z".len());
}
