//! A state directory whose disk hangs: traffic, rollbacks and readers do not wait for it.
//!
//! The disk hangs where a file set is written: a pipe that nobody reads stands there.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::api::KeptSet;

use crate::site::{LONG, SOON, Site, routes};

/// The hash of this text as a file set.
fn text_hash(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.toml");
    fs::write(&path, text).unwrap();
    banyan_control::text_hash(&banyan_control::read(&path, &banyan_control::Variables::new()).unwrap())
}

/// The disk hangs when this text has come into force.
fn hang_at(site: &Site, text: &str) -> PathBuf {
    let pipe = site.path(&format!("state/sets/{}.new", text_hash(text)));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

/// The disk goes on, after an error for what hung.
fn mend(pipe: &Path) {
    let mut reader = File::open(pipe).unwrap();
    fs::remove_file(pipe).unwrap();
    thread::spawn(move || reader.read_to_end(&mut Vec::new()));
}

fn lines(site: &Site) -> usize {
    fs::read_to_string(site.path("state/history.jsonl")).unwrap().lines().count()
}

#[test]
fn a_disk_that_hangs_holds_up_nobody() {
    let site = Site::start(&routes(0));
    let pipe = hang_at(&site, &routes(10));
    site.write("routes.toml", &routes(10));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    let start = Instant::now();
    assert_eq!(site.post("/api/v1/rollback", "{\"who\":\"ann\",\"why\":null}").status, 200);
    assert!(start.elapsed() < SOON, "a rollback took {:?}", start.elapsed());

    let entries = site.history().entries;
    assert_eq!((entries.len(), entries[0].who.as_str()), (3, "ann"), "told before it is on the disk");
    let set: KeptSet = site.get(&format!("/api/v1/history/sets/{}", entries[1].text_hash));
    assert_eq!(set.main.text, routes(10));
    assert_eq!(lines(&site), 1);

    mend(&pipe);
    site.until(LONG, "on the disk", |site| lines(site) == 3);
    assert_eq!(site.metric("banyan_history_dropped_total"), 0);
}

#[test]
fn what_waits_for_the_disk_is_bounded_and_counted() {
    let site = Site::start(&routes(0));
    let pipe = hang_at(&site, &routes(10));
    site.write("routes.toml", &routes(10));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    for _ in 0..20 {
        for path in ["/api/v1/rollback", "/api/v1/rollback/end"] {
            assert_eq!(site.post(path, "{\"who\":\"ann\",\"why\":null}").status, 200);
        }
    }
    assert!(site.metric("banyan_history_dropped_total") >= 20);
    assert!(site.config().history_problem.is_some_and(|problem| problem.contains("too slow")));
    assert_eq!(site.history().entries.len(), 42, "in memory all the same");
    mend(&pipe);
    site.write("routes.toml", &routes(20));
    site.until(LONG, "forgiven", |site| site.config().history_problem.is_none());
}

#[test]
fn the_end_waits_for_the_disk_but_not_for_ever() {
    let site = Site::start(&routes(0));
    hang_at(&site, &routes(10));
    site.write("routes.toml", &routes(10));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    let start = Instant::now();
    site.proxy.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
