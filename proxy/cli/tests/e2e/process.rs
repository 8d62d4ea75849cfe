//! Programs that are started here and stopped by their id.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{PATIENCE, until};

/// A running program; ends when dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts it; all it says goes to `NAME.log` in the folder.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| missing(command, &error));
        Self { child, name: name.to_owned(), log }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it takes connections.
    pub(crate) async fn listens_on(&mut self, address: SocketAddr) {
        let what = format!("{} listens on {address}", self.name);
        until(&what, async || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended: {status}\n{}", self.name, self.said());
            }
            tokio::net::TcpStream::connect(address).await.is_ok()
        })
        .await;
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        send("-TERM", self.id());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut ended = None;
        until(&format!("{} has ended", self.name), async || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        })
        .await;
        ended.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
            let limit = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, last_lines(&self.said()));
        }
    }
}

/// Runs a program to its end; it must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| missing(command, &error));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out + &err
}

/// Sends a signal to one process.
pub(crate) fn send(signal: &str, id: u32) {
    let _ = Command::new("kill").args([signal, &id.to_string()]).stderr(Stdio::null()).status();
}

/// A program of Debian's, also where users do not look.
pub(crate) fn program(name: &str) -> Command {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file());
    Command::new(found.unwrap_or_else(|| panic!("{name} is missing\nhint: scripts/setup --test")))
}

/// A port of loopback that is free now, outside of the range that outgoing connections take theirs from.
pub(crate) fn free_address() -> SocketAddr {
    let limit = Instant::now() + PATIENCE;
    while Instant::now() < limit {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(15_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between 15000 and 32000");
}

/// Lets a process, and what it will start, have many descriptors.
pub(crate) fn allow_descriptors(id: u32, number: u64) {
    run(program("prlimit").args(["--pid", &id.to_string(), &format!("--nofile={number}:")]));
}

fn missing(command: &Command, error: &std::io::Error) -> ! {
    panic!("cannot start {}: {error}\nhint: scripts/setup --test", command.get_program().display())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
