//! What is written, and what happens when it cannot be.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use banyan_routes::{Arm, Reason};
use http::Request;

use super::output::Output;
use super::{AccessLog, AccessLogTarget, Entry, MAX_TEXT, line};
use crate::message::RequestHead;

const PATIENCE: Duration = Duration::from_secs(10);

fn entry(target: &str) -> Box<Entry> {
    let request = Request::get(target)
        .header("authorization", "Bearer hunter2")
        .header("cookie", "session=hunter2")
        .body(())
        .expect("the test's own request");
    let (head, ()) = RequestHead::of_http2(request);
    let client = [192, 0, 2, 7].into();
    let mut entry = Entry::begin(&head, "shop.example", client, "orders".into());
    entry.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_769_903_999_123);
    entry
}

fn written(entry: &Entry) -> serde_json::Value {
    let mut buffer = Vec::new();
    line::write(&mut buffer, entry);
    assert_eq!(buffer.pop(), Some(b'\n'));
    assert!(!buffer.contains(&b'\n'));
    serde_json::from_slice(&buffer).expect("JSON")
}

fn paths_in(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("the log");
    let path_of = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        line["path"].as_str().expect("a path").to_owned()
    };
    text.lines().map(path_of).collect()
}

fn log_to(file: &Path) -> (AccessLog, Arc<AtomicU64>) {
    let dropped = Arc::<AtomicU64>::default();
    let target = AccessLogTarget::File(file.to_owned());
    (AccessLog::open(&target, Arc::clone(&dropped)).expect("a folder of our own"), dropped)
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_line_has_every_field() {
    let mut full = entry("/api/orders/7?token=hunter2");
    full.status = 200;
    full.arm = Arm::Candidate;
    full.reason = Some(Reason::Share);
    full.bucket = Some(4711);
    full.upstream = Some("orders".into());
    full.target = Some("127.0.0.1:4001".into());
    full.duration = Duration::from_micros(12_345);
    full.upstream_time = Some(Duration::from_millis(10));
    (full.bytes_in, full.bytes_out, full.retries, full.generation) = (1, 2, 1, 3);
    full.banyan_reason = Some("timeout");
    full.fallback = Some("timeout".into());
    full.aborted = Some("client-left");
    assert_eq!(
        written(&full),
        serde_json::json!({
            "time": "2026-01-31T23:59:59.123Z",
            "client": "192.0.2.7",
            "method": "GET",
            "host": "shop.example",
            "path": "/api/orders/7",
            "status": 200,
            "route": "orders",
            "arm": "candidate",
            "reason": "share",
            "bucket": 4711,
            "upstream": "orders",
            "target": "127.0.0.1:4001",
            "duration_ms": 12.345,
            "upstream_ms": 10.0,
            "bytes_in": 1,
            "bytes_out": 2,
            "retries": 1,
            "generation": 3,
            "banyan_reason": "timeout",
            "fallback": "timeout",
            "aborted": "client-left",
        })
    );
}

#[test]
fn what_is_absent_is_left_out() {
    let line = written(&entry("/"));
    let names: Vec<&String> = line.as_object().expect("an object").keys().collect();
    assert!(!names.iter().any(|name| ["upstream", "bucket", "reason", "trace_id"].contains(&name.as_str())));
    assert_eq!(line["arm"], "banyan");
}

#[test]
fn secrets_do_not_reach_a_line() {
    let line = written(&entry("/reset?token=hunter2&x=%22")).to_string();
    assert!(!line.contains("hunter2") && !line.contains("session") && !line.contains('?'), "{line}");
}

#[test]
fn clients_cannot_make_a_line_long_or_two() {
    let long = entry(&format!("/{}", "é".repeat(MAX_TEXT)));
    let path = written(&long)["path"].as_str().expect("a path").to_owned();
    assert!(path.len() <= MAX_TEXT && path.len() > MAX_TEXT - 4, "{}", path.len());
    let odd = entry("/a%0a\"b\\");
    assert_eq!(written(&odd)["path"], "/a%0a\"b\\");
}

#[test]
fn lines_are_there_soon_and_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("access.log");
    let (log, dropped) = log_to(&file);
    log.write(entry("/1"));
    until("a line without a close", || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    log.write(entry("/2"));
    log.write(entry("/3"));
    assert!(log.close(PATIENCE));
    assert_eq!(paths_in(&file), ["/1", "/2", "/3"]);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    log.write(entry("/late"));
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[cfg(unix)]
#[test]
fn others_may_not_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("access.log");
    let _log = log_to(&file);
    assert_eq!(fs::metadata(&file).expect("the log").permissions().mode() & 0o007, 0);
}

#[test]
fn a_rotated_file_is_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let (log, dropped) = log_to(&file);
    log.write(entry("/before"));
    until("the first line", || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
    fs::rename(&file, &rotated).expect("rotate");
    log.reopen();
    until("a new file", || file.exists());
    log.write(entry("/after"));
    assert!(log.close(PATIENCE));
    assert_eq!(paths_in(&rotated), ["/before"]);
    assert_eq!(paths_in(&file), ["/after"]);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = AccessLogTarget::File(folder.path().join("missing").join("access.log"));
    assert!(AccessLog::open(&target, Arc::default()).is_err());
}

/// A pipe that nobody reads: the writer blocks, requests do not.
#[test]
fn a_full_queue_drops_and_counts() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let dropped = Arc::<AtomicU64>::default();
    let log =
        AccessLog::start(Output::new(file_of(writer), None), 16, Arc::clone(&dropped)).expect("a thread");
    let lines = 20_000_u64;
    for _ in 0..lines {
        log.write(entry("/x"));
    }
    let lost = dropped.load(Ordering::Relaxed);
    assert!(lost > 0);
    assert!(!log.close(Duration::from_millis(50)), "the pipe is full: the writer cannot have ended");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let mut reader = reader;
        reader.read_to_string(&mut text).expect("text");
        text.lines().count() as u64
    });
    assert!(log.close(PATIENCE));
    drop(log);
    assert_eq!(reading.join().expect("reading") + dropped.load(Ordering::Relaxed), lines);
}

#[test]
fn a_closed_pipe_only_costs_lines() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let dropped = Arc::<AtomicU64>::default();
    let log =
        AccessLog::start(Output::new(file_of(writer), None), 16, Arc::clone(&dropped)).expect("a thread");
    for count in 1..=3 {
        log.write(entry("/x"));
        until("the loss counted", || dropped.load(Ordering::Relaxed) == count);
    }
    assert!(log.close(PATIENCE));
}

/// `/dev/full` answers every write with "no space left on device".
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_lines_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let full = OpenOptions::new().write(true).open("/dev/full").expect("linux");
    let mut output = Output::new(full, Some(path.clone()));
    let now = Instant::now();
    let put = |output: &mut Output, path: &str| line::write(output.buffer(), &entry(path));

    put(&mut output, "/1");
    put(&mut output, "/2");
    assert_eq!(output.flush(now), 2);
    // The first look for another file comes with the next lines, and finds one.
    put(&mut output, "/3");
    assert_eq!(output.flush(now + Duration::from_millis(1)), 0);
    assert_eq!(paths_in(&path), ["/3"]);
}

#[test]
fn a_torn_line_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    fs::write(&path, b"{\"begin\":").expect("a torn line");
    let mut output = Output::open(&AccessLogTarget::File(path.clone())).expect("the file");
    output.mark_torn();
    line::write(output.buffer(), &entry("/next"));
    assert_eq!(output.flush(Instant::now()), 0);
    line::write(output.buffer(), &entry("/last"));
    assert_eq!(output.flush(Instant::now()), 0);
    let text = fs::read_to_string(&path).expect("the log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "{\"begin\":");
    assert!(serde_json::from_str::<serde_json::Value>(lines[1]).is_ok());
}

fn file_of(writer: std::io::PipeWriter) -> File {
    File::from(std::os::fd::OwnedFd::from(writer))
}
