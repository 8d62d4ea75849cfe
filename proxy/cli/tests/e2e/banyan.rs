//! `banyan run` as a process on free ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

use crate::application::Application;
use crate::client::{self, Client};
use crate::process::{Process, free_address};
use crate::until;

/// The program under test; ends when dropped.
pub(crate) struct Banyan {
    /// For clients.
    pub(crate) address: SocketAddr,
    /// For operators.
    pub(crate) admin: SocketAddr,
    process: Process,
    folder: TempDir,
}

/// What the system says of a process' memory, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// Most ever resident.
    pub(crate) peak: u64,
}

impl Banyan {
    /// Runs it with this routes.toml.
    pub(crate) async fn start(routes: &str) -> Self {
        Self::start_with(routes, &[]).await
    }

    /// The same with further flags.
    pub(crate) async fn start_with(routes: &str, flags: &[&str]) -> Self {
        Self::start_in(routes, flags, &[]).await
    }

    /// The same, and the flags say where the state is.
    pub(crate) async fn start_without_state(routes: &str, flags: &[&str]) -> Self {
        Self::begin(routes, flags, &[]).await
    }

    /// The same with further variables.
    pub(crate) async fn start_in(routes: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::begin(routes, &[flags, &["--state-dir", "state"]].concat(), environment).await
    }

    /// The program lies in the folder, where a test may replace it.
    async fn begin(routes: &str, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("routes.toml"), routes).unwrap();
        let (address, admin) = (free_address(), free_address());
        install(&folder.path().join("banyan"));
        let mut command = run(folder.path(), address, admin);
        command.args(flags).envs(environment.iter().copied());
        let process = Process::start("banyan", &mut command, folder.path());
        let mut banyan = Self { address, admin, process, folder };
        banyan.process.listens_on(banyan.admin).await;
        until("ready", async || banyan.is_ready().await).await;
        banyan
    }

    /// Ends it by this signal, and runs it anew with its routes.toml and its state.
    pub(crate) async fn restart_after(&mut self, signal: &str) {
        self.signal(signal);
        self.ended().await;
        let mut command = run(self.folder.path(), self.address, self.admin);
        command.args(["--state-dir", "state"]);
        self.process = Process::start("again", &mut command, self.folder.path());
        self.process.listens_on(self.admin).await;
        until("ready again", async || self.is_ready().await).await;
    }

    /// Everything to one upstream.
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::start(&legacy_at(&[upstream])).await
    }

    async fn is_ready(&self) -> bool {
        let ready = client::get(self.admin, "/readyz").await.is_ok_and(|answer| answer.status == 200);
        ready && Client::connect(self.address).await.is_ok()
    }

    /// Runs another command beside it.
    pub(crate) async fn command(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_banyan"));
        command.current_dir(self.folder.path()).args(arguments).args(["--admin", &self.admin.to_string()]);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The folder it runs in.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file it reads.
    pub(crate) fn routes(&self) -> PathBuf {
        self.folder.path().join("routes.toml")
    }

    /// Replaces its file as editors do: written beside it and renamed over it.
    pub(crate) fn save(&self, routes: &str) {
        let beside = self.folder.path().join(".routes.toml.new");
        std::fs::write(&beside, routes).unwrap();
        std::fs::rename(beside, self.routes()).unwrap();
    }

    /// `GET /api/v1/config`
    pub(crate) async fn config(&self) -> Value {
        let answer = client::get(self.admin, "/api/v1/config").await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// `POST /api/v1/reload`
    pub(crate) async fn reload(&self) -> Value {
        let request = client::post("/api/v1/reload", "{}");
        let answer = Client::connect(self.admin).await.unwrap().send(request).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The value of one series, written as in the exposition.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let answer = client::get(self.admin, "/metrics").await.unwrap();
        let text = answer.text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.trim().parse().unwrap())
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { resident: field("VmRSS"), peak: field("VmHWM") }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal, `-USR2` for example.
    pub(crate) fn signal(&self, name: &str) {
        crate::process::send(name, self.id());
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// What it has logged.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }
}

/// `banyan run` in this folder.
fn run(folder: &Path, address: SocketAddr, admin: SocketAddr) -> Command {
    let mut command = Command::new(folder.join("banyan"));
    command.current_dir(folder).arg("run").args(["--routes", "routes.toml", "--threads", "2"]);
    command.args(["--listen", &address.to_string(), "--admin", &admin.to_string()]);
    command
}

/// The program under test as a file of its own.
pub(crate) fn install(place: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_banyan"));
    // Another file system takes no link.
    if std::fs::hard_link(built, place).is_err() {
        std::fs::copy(built, place).unwrap();
    }
}

/// A routes.toml without routes.
pub(crate) fn legacy_at(targets: &[SocketAddr]) -> String {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"http://{target}\"")).collect();
    let targets = targets.join(", ");
    format!("version = 1\n[defaults]\nlegacy = \"legacy\"\n[upstreams.legacy]\ntargets = [{targets}]\n")
}

/// A routes.toml that moves `/api/*` by the header `x-user-id`.
pub(crate) fn moving(legacy: &Application, candidate: &Application, percent: &str) -> String {
    format!(
        "{}[upstreams.candidate]\ntargets = [\"http://{}\"]\n\
         [stores.db]\nmode = \"shared\"\n\
         [[route]]\nname = \"moving\"\npath = \"/api/*\"\nto = \"candidate\"\npercent = {percent}\n\
         sticky = [\"header:x-user-id\"]\nstore = \"db\"\n",
        legacy_at(&[legacy.address]),
        candidate.address
    )
}
