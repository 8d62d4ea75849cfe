//! `banyan run` as a process: it starts, serves, takes an edit by `banyan shift`, and ends on SIGTERM.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::banyan;
use crate::running::{Running, application, free_address};

/// Everything that is waited for comes far sooner.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it and waits for the line that says where it listens.
fn start(arguments: &[&str]) -> Process {
    start_told(arguments).0
}

/// The same, with that line.
pub(crate) fn start_told(arguments: &[&str]) -> (Process, String) {
    let mut child = banyan().arg("run").args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (told, listening) = std::sync::mpsc::sync_channel(1);
    thread::spawn(move || {
        // Read to the end, so that the process never waits for us.
        for line in lines.map_while(Result::ok) {
            if line.contains("listening on") {
                let _ = told.try_send(line);
            }
        }
    });
    let process = Process(child);
    let line = listening.recv_timeout(DEADLINE).expect("`banyan run` says that it listens");
    (process, line)
}

fn get(url: &str) -> String {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match ureq::get(url).header("x-user-id", "42").call() {
            Ok(mut answer) => return answer.body_mut().read_to_string().unwrap(),
            Err(error) => assert!(Instant::now() < deadline, "{url}: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn legacy_alone_needs_no_file() {
    let (listen, admin) = (free_address().to_string(), free_address().to_string());
    let legacy = format!("http://{}", application("legacy"));
    let _running = start(&["--listen", &listen, "--admin", &admin, "--legacy", &legacy]);
    assert_eq!(get(&format!("http://{listen}/anything")), "legacy");
}

/// What stands after `name` in a line, up to the next space.
fn after<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(name).unwrap_or_else(|| panic!("`{name}` in: {line}"));
    rest.split(' ').next().unwrap()
}

#[test]
fn free_ports_are_told_and_serve() {
    let legacy = format!("http://{}", application("legacy"));
    let any = "127.0.0.1:0";
    let (_running, line) = start_told(&["--listen", any, "--admin", any, "--legacy", &legacy]);
    let (listen, admin) = (after(&line, "listening on "), after(&line, "admin="));
    assert_eq!(get(&format!("http://{listen}/anything")), "legacy");
    assert_eq!(get(&format!("http://{admin}/readyz")), "ready\n");
}

#[test]
fn a_watch_goes_on_until_it_is_interrupted() {
    let running = Running::start();
    let mut child = banyan()
        .args(["status", "--watch", "--every", "20ms", "--admin", &running.admin()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut watch = Process(child);
    let (told, looks) = std::sync::mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in lines.map_while(Result::ok).filter(|line| line.starts_with("generation ")) {
            let _ = told.try_send(line);
        }
    });
    for _ in 0..3 {
        looks.recv_timeout(DEADLINE).expect("it looks again");
    }
    let pid = watch.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let deadline = Instant::now() + DEADLINE;
    while watch.0.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "Ctrl-C does not end it");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_shift_is_in_force_when_the_command_returns_and_a_stop_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("live/routes.toml");
    let text = text.replace("127.0.0.1:3000", &application("legacy").to_string());
    let text = text.replace("127.0.0.1:4001", &application("candidate").to_string());
    let routes = folder.path().join("routes.toml");
    std::fs::write(&routes, text).unwrap();
    let routes = routes.to_str().unwrap();
    let (listen, admin) = (free_address().to_string(), free_address().to_string());
    let mut running = start(&["--routes", routes, "--listen", &listen, "--admin", &admin]);
    let url = format!("http://{listen}/api/orders/7");
    for (percent, arm) in [("0", "legacy"), ("100", "candidate"), ("0", "legacy")] {
        let shift = banyan().args(["shift", "orders", percent, "--admin", &admin]).output().unwrap();
        assert!(shift.status.success(), "{}", String::from_utf8_lossy(&shift.stderr));
        assert_eq!(get(&url), arm, "at {percent} %");
    }
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let deadline = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_taken_port_is_told_with_the_flag_that_names_another() {
    let listener = std::net::TcpListener::bind(free_address()).unwrap();
    let (taken, free) = (listener.local_addr().unwrap().to_string(), free_address().to_string());
    for (listen, admin, flag) in [(&free, &taken, "--admin"), (&taken, &free, "--listen")] {
        let arguments = ["run", "--legacy", "http://127.0.0.1:9", "--listen", listen, "--admin", admin];
        let ended = banyan().args(arguments).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("hint: name another with `{flag} ")), "{told}");
    }
}
