//! A proxy in this process with two small applications behind it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::{AdminOptions, Limits, Proxy, Registry, RunOptions, Settings, Source, environment};

/// Everything that is waited for comes far sooner.
const DEADLINE: Duration = Duration::from_secs(20);

/// Stops when dropped.
pub(crate) struct Running {
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Running {
    /// With `live/routes.toml`, its upstreams replaced by applications started here.
    pub(crate) fn start() -> Self {
        Self::with(include_str!("live/routes.toml"))
    }

    /// With this file, its upstreams replaced by applications started here.
    pub(crate) fn with(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = text.replace("127.0.0.1:3000", &application("legacy").to_string());
        let text = text.replace("127.0.0.1:4001", &application("candidate").to_string());
        let routes = folder.path().join("routes.toml");
        std::fs::write(&routes, text).unwrap();
        let options = RunOptions {
            source: Source::File(routes),
            variables: environment(),
            gateway: Settings {
                listen: vec![loopback()],
                listen_tls: Vec::new(),
                tls: None,
                h2c: true,
                proxy_protocol_from: Vec::new(),
                limits: Limits::default(),
                threads: 1,
                drain_timeout: Duration::from_secs(1),
                access_log: None,
                via: false,
            },
            admin: AdminOptions {
                address: loopback(),
                token: None,
                read_token: None,
                read_only: false,
                hosts: Vec::new(),
                certificate: None,
            },
            state_dir: Some(folder.path().join("state")),
            unready_before_stop: Duration::ZERO,
            sample_every: banyan_control::SAMPLE_EVERY,
            prometheus: None,
        };
        let proxy = Proxy::start(options, &Registry::new()).unwrap();
        Self { proxy, folder }
    }

    /// Where it is asked.
    pub(crate) fn admin(&self) -> String {
        self.proxy.addresses().admin.to_string()
    }

    /// The file it reads.
    pub(crate) fn routes(&self) -> PathBuf {
        self.folder.path().join("routes.toml")
    }

    /// Takes the right to write the file away, or gives it back.
    pub(crate) fn set_readonly(&self, readonly: bool) {
        let mut mode = std::fs::metadata(self.routes()).unwrap().permissions();
        mode.set_readonly(readonly);
        std::fs::set_permissions(self.routes(), mode).unwrap();
    }

    /// One request of one user through the proxy.
    pub(crate) fn get(&self, path: &str, user: u32) {
        let address = self.proxy.addresses().listen[0];
        let deadline = Instant::now() + DEADLINE;
        let answer = loop {
            let request = ureq::get(format!("http://{address}{path}")).header("x-user-id", user.to_string());
            match request.call() {
                // The listener opens on its own thread.
                Err(ureq::Error::Io(error)) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(20));
                    drop(error);
                }
                answer => break answer,
            }
        };
        answer.unwrap();
    }

    /// Until the admin API tells of a refused file.
    pub(crate) fn wait_until_refused(&self) {
        let url = format!("http://{}/api/v1/config", self.admin());
        let deadline = Instant::now() + DEADLINE;
        loop {
            let text = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
            let config: banyan_control::api::Config = serde_json::from_str(&text).unwrap();
            if config.last_reload.result == banyan_control::api::ReloadResult::Refused {
                return;
            }
            assert!(Instant::now() < deadline, "the proxy never refused the file: {text}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port of loopback that was free a moment ago, below those that the system hands out by itself.
pub(crate) fn free_address() -> SocketAddr {
    loop {
        // By chance: tests run as processes whose numbers are neighbours, and must not look at the same ports.
        let address = SocketAddr::from(([127, 0, 0, 1], fastrand::u16(10_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Answers every request with its name, one connection after the other, until the process ends.
pub(crate) fn application(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || answer(client, name));
        }
    });
    address
}

fn answer(mut client: TcpStream, name: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
    let length = name.len();
    // The client may have gone: nothing to do about it.
    let _ = write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}");
}
