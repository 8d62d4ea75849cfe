//! Memory does not follow the size of bodies, and an idle connection costs little.

use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::application::Application;
use crate::banyan::Banyan;
use crate::bodies::{empty, many};
use crate::client::{Client, get, request};
use crate::process::allow_descriptors;
use crate::{LONG, is_full, until};

const MIB: u64 = 1024 * 1024;
/// Allowed growth.
const GROWTH_KIB: u64 = 16 * 1024;

fn body_bytes() -> u64 {
    if is_full() { 1024 * MIB } else { 64 * MIB }
}

/// Everything that is made once has been made.
async fn warmed(banyan: &Banyan) {
    for _ in 0..50 {
        get(banyan.address, "/").await.unwrap();
    }
    send(banyan, MIB).await;
    receive(banyan, MIB).await;
}

async fn send(banyan: &Banyan, bytes: u64) {
    let mut client = Client::connect(banyan.address).await.unwrap();
    let answer = client.begin(request("POST", "/up", many(bytes))).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), bytes.to_string());
}

async fn receive(banyan: &Banyan, bytes: u64) {
    let mut client = Client::connect(banyan.address).await.unwrap();
    let path = format!("/down?bytes={bytes}");
    let mut body = client.begin(request("GET", &path, empty())).await.unwrap().into_body();
    let mut came = 0;
    while let Some(frame) = body.frame().await {
        came += frame.unwrap().data_ref().map_or(0, bytes::Bytes::len) as u64;
    }
    assert_eq!(came, bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_stream_through() {
    let legacy = Application::start("legacy").await;
    let banyan = Banyan::before(legacy.address).await;
    warmed(&banyan).await;
    let before = banyan.memory();
    timeout(LONG, send(&banyan, body_bytes())).await.expect("the upload ends in time");
    let sent = banyan.memory();
    timeout(LONG, receive(&banyan, body_bytes())).await.expect("the download ends in time");
    let received = banyan.memory();
    eprintln!(
        "{} MiB up and down: {} KiB resident before, peak {} KiB after the upload, {} KiB after the download",
        body_bytes() / MIB,
        before.resident,
        sent.peak,
        received.peak
    );
    assert!(received.peak < before.resident + GROWTH_KIB, "{before:?} {sent:?} {received:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_held() {
    let count: u64 = if is_full() { 5000 } else { 500 };
    let legacy = Application::start("legacy").await;
    let banyan = Banyan::before(legacy.address).await;
    allow_descriptors(banyan.id(), 2 * count + 1000);
    allow_descriptors(std::process::id(), 2 * count + 1000);
    warmed(&banyan).await;
    let before = banyan.memory().resident;
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(banyan.address).await.unwrap();
        assert_eq!(client.send(request("GET", "/", empty())).await.unwrap().status, 200);
        idle.push(client);
    }
    let open = async || banyan.metric("banyan_open_connections").await.unwrap();
    let wanted = u32::try_from(count).unwrap().into();
    until("all are open", async || open().await >= wanted).await;
    let grown = banyan.memory().resident.saturating_sub(before);
    let each = grown * 1024 / count;
    eprintln!("{count} idle connections: {grown} KiB, {each} bytes each");
    // Every one of them still works.
    for client in &mut idle {
        assert_eq!(client.send(request("GET", "/", empty())).await.unwrap().status, 200);
    }
    assert!(each < 64 * 1024, "{each} bytes for an idle connection");
}
