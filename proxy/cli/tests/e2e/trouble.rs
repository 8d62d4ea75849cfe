//! What the system refuses a running proxy: disk space, a reader of its log, a folder to write to, the right time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::application::Application;
use crate::banyan::{Banyan, legacy_at, moving};
use crate::bodies::empty;
use crate::client::{self, request};
use crate::load::{AfterClose, Load};
use crate::process::{allow_descriptors, free_address, program};
use crate::{PATIENCE, until};

async fn is_served(banyan: &Banyan) {
    let load = Load::start(
        banyan.address,
        4,
        AfterClose::Reconnect,
        |_| request("GET", "/", empty()),
        |answer| answer.status == 200,
    );
    load.answers(200).await;
    load.stop().await.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_log_lines_and_no_request() {
    let legacy = Application::start("legacy").await;
    // Every write to this file fails as on a full disk.
    let flags = ["--access-log", "/dev/full"];
    let banyan = Banyan::start_with(&legacy_at(&[legacy.address]), &flags).await;
    is_served(&banyan).await;
    until("lost lines are counted", async || {
        banyan.metric("banyan_access_log_dropped_total").await.is_some_and(|dropped| dropped >= 100.0)
    })
    .await;
    assert!(banyan.said().contains("access log cannot be written"), "{}", banyan.said());
}

/// A limit on the length of files does to every file what a full disk does, and can be taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_costs_history_and_no_change() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let banyan = Banyan::start(&moving(&legacy, &candidate, "10")).await;
    limit_files(banyan.id(), "1");
    banyan.save(&moving(&legacy, &candidate, "20"));
    until("in force all the same", async || banyan.config().await["generation"] == 2).await;
    until("the problem is told", async || !banyan.config().await["history_problem"].is_null()).await;
    is_served(&banyan).await;
    let undone = banyan.command(&["undo"]).await;
    let told = String::from_utf8_lossy(&undone.stderr).into_owned();
    assert!(undone.status.success(), "what is in memory can be undone: {told}");
    limit_files(banyan.id(), "unlimited");
    banyan.save(&moving(&legacy, &candidate, "30"));
    until("the problem is over", async || banyan.config().await["history_problem"].is_null()).await;
}

pub(crate) fn limit_files(id: u32, bytes: &str) {
    let status = program("prlimit").args(["--pid", &id.to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_that_cannot_be_written_is_told() {
    let legacy = Application::start("legacy").await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // A file where the folder should be stops root, too.
    fs::write(&state, "").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let flags = ["--state-dir", state.to_str().unwrap()];
    let banyan = Banyan::start_without_state(&legacy_at(&[legacy.address]), &flags).await;
    is_served(&banyan).await;
    let config = banyan.config().await;
    let problem = config["history_problem"].as_str().unwrap();
    assert!(problem.contains("cannot use state directory"), "{problem}");
    let status = banyan.command(&["status"]).await;
    assert!(String::from_utf8_lossy(&status.stdout).contains("history is not written"), "{status:?}");
}

/// `banyan run 2>&1 | head -1`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_reader_stops_nothing() {
    let legacy = Application::start("legacy").await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), legacy_at(&[legacy.address])).unwrap();
    let (listen, admin) = (free_address(), free_address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
    command.current_dir(folder.path()).args(["run", "--access-log", "stdout", "--log", "debug"]);
    command.args(["--listen", &listen.to_string(), "--admin", &admin.to_string()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty());
    drop(child.stdout.take());
    until("ready", async || client::get(admin, "/readyz").await.is_ok_and(|answer| answer.status == 200))
        .await;
    for _ in 0..50 {
        assert_eq!(client::get(listen, "/").await.unwrap().status, 200);
    }
    // Every reload logs.
    for _ in 0..3 {
        crate::process::send("-HUP", child.id());
    }
    assert_eq!(client::get(admin, "/api/v1/config").await.unwrap().status, 200);
    crate::process::send("-TERM", child.id());
    let ended = tokio::task::spawn_blocking(move || {
        let limit = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            if std::time::Instant::now() > limit {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(ended.await.unwrap().expect("it ends when told").code(), Some(0));
}

/// Time that a process has had on a processor, in hundredths of a second.
fn ticks(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

fn descriptors(id: u32) -> u64 {
    fs::read_dir(format!("/proc/{id}/fd")).unwrap().count() as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn descriptors_are_waited_for_and_not_spun_on() {
    let legacy = Application::start("legacy").await;
    let banyan = Banyan::before(legacy.address).await;
    let mut inside = client::Client::connect(banyan.address).await.unwrap();
    assert_eq!(inside.send(request("GET", "/", empty())).await.unwrap().status, 200);
    let most = descriptors(banyan.id()) + 8;
    allow_descriptors(banyan.id(), most);
    // The system takes connections for a listener that does not.
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(tokio::net::TcpStream::connect(banyan.address).await.unwrap());
    }
    until("there are none left", async || descriptors(banyan.id()) >= most).await;
    // What is measured is a time without anything to do.
    let before = ticks(banyan.id());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let spent = ticks(banyan.id()) - before;
    assert!(spent < 100, "{spent} of 300 hundredths of a second");
    assert_eq!(inside.send(request("GET", "/", empty())).await.unwrap().status, 200, "who is in is served");
    drop(crowd);
    until("others are served again", async || {
        tokio::time::timeout(PATIENCE, client::get(banyan.address, "/"))
            .await
            .is_ok_and(|answer| answer.is_ok_and(|answer| answer.status == 200))
    })
    .await;
}

/// Every file that somebody opens in the folder of routes.toml makes an event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_folder_costs_little_and_hides_no_change() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let banyan = Banyan::start(&moving(&legacy, &candidate, "10")).await;
    let (page, stop) = (banyan.folder().join("page.html"), Arc::new(AtomicBool::new(false)));
    fs::write(&page, "of the application").unwrap();
    let (stopped, busy) = (Arc::clone(&stop), page.clone());
    let others = std::thread::spawn(move || {
        let mut opened = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            drop(fs::File::open(&busy).unwrap());
            opened += 1;
        }
        opened
    });
    let before = ticks(banyan.id());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let spent = ticks(banyan.id()) - before;
    banyan.save(&moving(&legacy, &candidate, "20"));
    until("in force all the same", async || banyan.config().await["generation"] == 2).await;
    stop.store(true, Ordering::Relaxed);
    let opened = others.join().unwrap();
    assert!(spent < 50, "{spent} of 200 hundredths of a second, while others opened {opened} files");
}
