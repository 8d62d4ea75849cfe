//! A whole run: what the system's signals do.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use banyan_control::api::{Config, ReloadResult};
use banyan_control::{Drained, ExitReason, Registry, run};

use crate::site::{LONG, ask, options, routes};

/// Sent to this very process: `run` has its handlers in place when it tells its addresses.
fn signal(name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &std::process::id().to_string()]).status();
    assert!(sent.unwrap().success());
}

fn config(admin: std::net::SocketAddr) -> Config {
    let answer = ask(admin, "GET /api/v1/config HTTP/1.1\r\nHost: localhost\r\n", "");
    serde_json::from_str(&answer.body).unwrap()
}

/// The only test that sends signals: they belong to the whole process.
#[test]
fn hangup_reloads_and_terminate_drains() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes(0)).unwrap();
    let (told, addresses) = mpsc::sync_channel(1);
    let options = options(folder.path());
    let running = thread::spawn(move || {
        run(options, &Registry::new(), |addresses| told.send(addresses.clone()).unwrap()).unwrap()
    });
    let addresses = addresses.recv_timeout(LONG).unwrap();
    assert!(TcpStream::connect(addresses.listen[0]).is_ok(), "ready means that clients are served");

    signal("HUP");
    let start = std::time::Instant::now();
    while config(addresses.admin).last_reload.result != ReloadResult::Unchanged {
        assert!(start.elapsed() < LONG, "SIGHUP reloaded nothing");
        thread::sleep(std::time::Duration::from_millis(5));
    }
    signal("USR1");
    assert_eq!(config(addresses.admin).generation, 1, "SIGUSR1 ends nothing");

    signal("TERM");
    assert_eq!(running.join().unwrap(), ExitReason::Stopped(Drained::Clean));
    assert!(TcpStream::connect(addresses.listen[0]).is_err());
    assert!(TcpStream::connect(addresses.admin).is_err());
}
