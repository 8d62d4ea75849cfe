//! The program replaced while it serves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http::header::CONNECTION;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::application::Application;
use crate::banyan::{Banyan, install, legacy_at, moving};
use crate::bodies::{AnyBody, empty};
use crate::client::{Answer, request};
use crate::load::{AfterClose, Load};
use crate::{PATIENCE, until};

/// How long the old process may drain.
const DRAIN: Duration = Duration::from_secs(6);
const DRAIN_FLAGS: &[&str] = &["--drain-timeout", "6s"];

fn kept(_: u64) -> Request<AnyBody> {
    request("GET", "/?ms=5", empty())
}

fn anew(_: u64) -> Request<AnyBody> {
    let mut request = kept(0);
    request.headers_mut().insert(CONNECTION, "close".parse().unwrap());
    request
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200 && answer.body == "legacy"
}

/// A process that was not started here, by its id. Ends with this.
pub(crate) struct Later(pub(crate) u64);

impl Later {
    fn is_running(&self) -> bool {
        // One that waits to be fetched by its parent runs no more.
        let status = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        status.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
    }

    pub(crate) fn send(&self, signal: &str) {
        let _ = Command::new("kill").args([signal, &self.0.to_string()]).status();
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.send("-TERM");
        self.send("-TERM");
        let limit = Instant::now() + Duration::from_secs(5);
        while self.is_running() && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        if self.is_running() {
            self.send("-KILL");
        }
    }
}

/// Upgrades; the new process answers.
pub(crate) async fn upgraded(banyan: &Banyan) -> Later {
    let ended = banyan.command(&["upgrade", "--json"]).await;
    assert!(ended.status.success(), "{}\n{}", told(&ended), banyan.said());
    let json: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let later = Later(json["after"].as_u64().unwrap());
    assert_eq!(process(banyan).await, later.0, "{json}");
    later
}

async fn process(banyan: &Banyan) -> u64 {
    banyan.config().await["process"].as_u64().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// As an installation does it: written beside it and renamed over it, while the old file is being run.
fn replace(program: &Path) {
    let beside = program.with_extension("new");
    install(&beside);
    fs::rename(beside, program).unwrap();
}

async fn says_and_hears(socket: &mut WebSocketStream<TcpStream>) {
    let message = Message::text("still there");
    socket.send(message.clone()).await.expect("the WebSocket takes a message");
    let heard = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    assert_eq!(heard.expect("the WebSocket is open").expect("a message"), message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_upgrades_under_load_lose_no_request() {
    let legacy = Application::start("legacy").await;
    let mut banyan = Banyan::start_with(&legacy_at(&[legacy.address]), DRAIN_FLAGS).await;
    let kept = Load::start(banyan.address, 16, AfterClose::Reconnect, kept, is_good);
    let anew = Load::start(banyan.address, 16, AfterClose::Reconnect, anew, is_good);
    let stream = TcpStream::connect(banyan.address).await.unwrap();
    let (mut socket, _) = client_async(format!("ws://{}/socket", banyan.address), stream).await.unwrap();
    says_and_hears(&mut socket).await;
    anew.answers(200).await;

    let began = Instant::now();
    let second = upgraded(&banyan).await;
    says_and_hears(&mut socket).await;
    kept.answers(200).await;
    anew.answers(200).await;
    replace(&banyan.folder().join("banyan"));
    let third = upgraded(&banyan).await;
    kept.answers(200).await;
    anew.answers(200).await;
    until("the second process has drained", async || !second.is_running()).await;

    // The stream stays where it began, until the first process may wait no longer.
    if began.elapsed() + Duration::from_secs(1) < DRAIN {
        says_and_hears(&mut socket).await;
    }
    let status = banyan.ended().await;
    assert_eq!(status.code(), Some(6), "{}", banyan.said());
    let closed = tokio::time::timeout(PATIENCE, socket.next()).await.expect("in time");
    assert!(!matches!(closed, Some(Ok(_))), "{closed:?}");
    assert!(began.elapsed() >= DRAIN, "{:?}", began.elapsed());

    let (kept, anew) = (kept.stop().await, anew.stop().await);
    kept.assert_clean();
    anew.assert_clean();
    let lock = fs::read_to_string(banyan.folder().join("state/lock")).unwrap();
    assert_eq!(lock.trim(), third.0.to_string());
    eprintln!(
        "two upgrades: {} requests on kept connections, {} on new ones, 0 failed",
        kept.answered, anew.answered
    );
}

/// The new process watches the files and keeps the history; the old one does neither any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_new_process_takes_the_operations_along() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let mut banyan = Banyan::start_with(&moving(&legacy, &candidate, "10"), DRAIN_FLAGS).await;
    banyan.save(&moving(&legacy, &candidate, "20"));
    until("the change is in force", async || banyan.config().await["generation"] == 2).await;
    let later = upgraded(&banyan).await;
    let status = banyan.ended().await;
    assert_eq!(status.code(), Some(0), "{}", banyan.said());
    assert_eq!(banyan.config().await["generation"], 1, "generations count by process");
    let ready = banyan.command(&["status", "--ready"]).await;
    assert_eq!((ready.status.code(), told(&ready).trim()), (Some(0), "ready"));
    let shifted = banyan.command(&["shift", "moving", "30", "--why", "after the upgrade"]).await;
    assert!(shifted.status.success(), "{}", told(&shifted));
    let history = banyan.command(&["history", "--json"]).await;
    let history: serde_json::Value = serde_json::from_slice(&history.stdout).unwrap();
    assert_eq!(kinds(&history), ["reload", "reload", "start"], "an upgrade is no change: {history}");
    drop(later);
}

fn kinds(history: &serde_json::Value) -> Vec<&str> {
    history["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

/// The disk hangs in the old process: at a pipe that nobody reads, where a file set is to be written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_old_process_writes_last_is_read_by_the_new_one() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let banyan = Banyan::start_with(&moving(&legacy, &candidate, "10"), DRAIN_FLAGS).await;
    let changed = moving(&legacy, &candidate, "20");
    let pipe = banyan.folder().join(format!("state/sets/{}.new", text_hash(&changed)));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    banyan.save(&changed);
    until("the change is in force", async || banyan.config().await["generation"] == 2).await;

    let (later, ()) = tokio::join!(upgraded(&banyan), async {
        until("the new process serves", async || started(&banyan).is_some_and(serves)).await;
        let reader = fs::File::open(&pipe).unwrap();
        fs::remove_file(&pipe).unwrap();
        std::thread::spawn(move || std::io::copy(&mut &reader, &mut std::io::sink()));
    });
    let history = banyan.command(&["history", "--json"]).await;
    let history: serde_json::Value = serde_json::from_slice(&history.stdout).unwrap();
    assert_eq!(kinds(&history), ["reload", "start"], "{history}\n{}", banyan.said());
    drop(later);
}

/// The process that an upgrade has started, as the log names it.
fn started(banyan: &Banyan) -> Option<u32> {
    let said = banyan.said();
    let (_, id) = said.split_once("upgrade: started the new process process=")?;
    id.lines().next()?.trim().parse().ok()
}

/// Its workers have begun, and with them all that comes before.
fn serves(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok())
        .any(|name| name == "gateway\n")
}

/// The hash of this text as a file set, which is what names it in the state directory.
fn text_hash(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routes.toml");
    fs::write(&path, text).unwrap();
    banyan_control::text_hash(&banyan_control::read(&path, &banyan_control::Variables::new()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_fails_changes_nothing() {
    let legacy = Application::start("legacy").await;
    let banyan = Banyan::start_with(&legacy_at(&[legacy.address]), DRAIN_FLAGS).await;
    let load = Load::start(banyan.address, 8, AfterClose::Stop, kept, is_good);
    let process_before = process(&banyan).await;
    let program = banyan.folder().join("banyan");

    // A configuration that the new process refuses: the old one still has the good one.
    let good = fs::read_to_string(banyan.routes()).unwrap();
    banyan.save("version = 1\nnonsense = 1\n");
    let ended = banyan.command(&["upgrade"]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", told(&ended));
    assert!(told(&ended).contains("the proxy goes on as it was: the new process ended (exit status: 3)"));
    banyan.save(&good);

    // A file that is no program.
    fs::remove_file(&program).unwrap();
    fs::write(&program, "no program").unwrap();
    let ended = banyan.command(&["upgrade"]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", told(&ended));
    assert!(told(&ended).contains("cannot start"), "{}", told(&ended));
    replace(&program);

    assert_eq!(process(&banyan).await, process_before);
    load.answers(100).await;
    load.stop().await.assert_clean();
    let later = upgraded(&banyan).await;
    assert_ne!(later.0, process_before);
}

/// A rollback at night must not end because somebody installs a new version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_held_in_memory_is_not_upgraded_away() {
    let (legacy, candidate) = (Application::start("legacy").await, Application::start("candidate").await);
    let banyan = Banyan::start_with(&moving(&legacy, &candidate, "50"), DRAIN_FLAGS).await;
    let order =
        crate::client::post("/api/v1/rollback", r#"{"who":"ann","route":null,"why":null,"force":false}"#);
    let answer = crate::client::Client::connect(banyan.admin).await.unwrap().send(order).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ended = banyan.command(&["upgrade"]).await;
    assert_eq!(ended.status.code(), Some(1), "{}", told(&ended));
    assert!(told(&ended).contains("a rollback is held in memory"), "{}", told(&ended));
    assert_eq!(process(&banyan).await, u64::from(banyan.id()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_signal_does_the_same() {
    let legacy = Application::start("legacy").await;
    let mut banyan = Banyan::start_with(&legacy_at(&[legacy.address]), DRAIN_FLAGS).await;
    let old = u64::from(banyan.id());
    banyan.signal("-USR2");
    until("another process serves", async || {
        let answer = crate::client::get(banyan.admin, "/api/v1/config").await;
        let config =
            answer.ok().and_then(|answer| serde_json::from_slice::<serde_json::Value>(&answer.body).ok());
        config.is_some_and(|config| config["process"] != old)
    })
    .await;
    let later = Later(process(&banyan).await);
    assert_eq!(banyan.ended().await.code(), Some(0), "{}", banyan.said());
    assert!(later.is_running());
}
