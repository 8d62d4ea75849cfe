//! What a service manager is told, and the second signal.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::application::Application;
use crate::banyan::{Banyan, legacy_at};
use crate::bodies::empty;
use crate::client::{self, Client, request};
use crate::load::{AfterClose, Load};
use crate::upgrading::upgraded;
use crate::{PATIENCE, until};

/// What systemd would be: the socket of `NOTIFY_SOCKET`.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn in_folder(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, path }
    }

    /// The next message, one `NAME=value` by line.
    async fn hears(&self) -> Vec<String> {
        let socket = self.socket.try_clone().unwrap();
        let message = tokio::task::spawn_blocking(move || {
            let mut text = [0; 4096];
            let length = socket.recv(&mut text).expect("the service manager is told something");
            String::from_utf8(text[..length].to_vec()).unwrap()
        });
        message.await.unwrap().lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_is_told_what_happens() {
    let legacy = Application::start("legacy").await;
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::in_folder(folder.path());
    let environment = [("NOTIFY_SOCKET", manager.path.to_str().unwrap())];
    let routes = legacy_at(&[legacy.address]);
    let mut banyan = Banyan::start_in(&routes, &["--drain-timeout", "5s"], &environment).await;
    let ready = manager.hears().await;
    assert_eq!(ready[0], "READY=1", "{ready:?}");
    assert_eq!(ready[1], format!("STATUS=listening on {}", banyan.address));
    assert_eq!(client::get(banyan.address, "/").await.unwrap().status, 200);

    banyan.signal("-HUP");
    let reloading = manager.hears().await;
    assert_eq!(reloading[0], "RELOADING=1", "{reloading:?}");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(manager.hears().await, ["READY=1", "STATUS=generation 1"]);

    let later = upgraded(&banyan).await;
    assert_eq!(manager.hears().await, [format!("MAINPID={}", later.0)]);
    assert_eq!(manager.hears().await[0], "READY=1", "said by the new process");
    assert_eq!(banyan.ended().await.code(), Some(0), "{}", banyan.said());

    later.send("-TERM");
    assert_eq!(manager.hears().await[0], "STOPPING=1", "the old process has said nothing of the kind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_fails_before_the_listeners_close() {
    let legacy = Application::start("legacy").await;
    let flags = ["--unready-before-stop", "2s"];
    let mut banyan = Banyan::start_with(&legacy_at(&[legacy.address]), &flags).await;
    let load = Load::start(
        banyan.address,
        4,
        AfterClose::Stop,
        |_| request("GET", "/", empty()),
        |answer| answer.status == 200,
    );
    banyan.terminate();
    until("unready", async || client::get(banyan.admin, "/readyz").await.unwrap().status == 503).await;
    let ready = banyan.command(&["status", "--ready"]).await;
    assert_eq!((ready.status.code(), ready.stdout.as_slice()), (Some(5), b"draining\n".as_slice()));
    assert_eq!(client::get(banyan.address, "/").await.unwrap().status, 200, "still served");
    load.ended().await.assert_clean();
    assert_eq!(banyan.ended().await.code(), Some(0), "{}", banyan.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let legacy = Application::start("legacy").await;
    let mut banyan = Banyan::start_with(&legacy_at(&[legacy.address]), &["--drain-timeout", "10m"]).await;
    let mut client = Client::connect(banyan.address).await.unwrap();
    let waiting = tokio::spawn(async move { client.send(request("GET", "/?ms=600000", empty())).await });
    let inflight = "banyan_inflight_requests{upstream=\"legacy\"}";
    until("in flight", async || banyan.metric(inflight).await == Some(1.0)).await;
    banyan.terminate();
    until("draining", async || banyan.said().contains("a second signal ends at once")).await;
    banyan.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(20), banyan.ended()).await;
    assert_eq!(ended.expect("at once").code(), Some(1), "{}", banyan.said());
    assert!(waiting.await.unwrap().is_err());
}
