//! SIGTERM while requests are in flight.

use http::Request;

use crate::application::Application;
use crate::banyan::Banyan;
use crate::bodies::{AnyBody, empty};
use crate::client::{Answer, request};
use crate::load::{AfterClose, Load};

const CLIENTS: u64 = 32;

fn slow(_: u64) -> Request<AnyBody> {
    request("GET", "/?ms=2000", empty())
}

fn brief(_: u64) -> Request<AnyBody> {
    request("GET", "/?ms=10", empty())
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200 && answer.body == "legacy"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_end_well() {
    let legacy = Application::start("legacy").await;
    let mut banyan = Banyan::before(legacy.address).await;
    let load = Load::start(banyan.address, CLIENTS, AfterClose::Stop, slow, is_good);
    all_in_flight(&banyan).await;
    banyan.terminate();
    let outcome = load.ended().await;
    outcome.assert_clean();
    let status = banyan.ended().await;
    assert_eq!(status.code(), Some(0), "{}", banyan.said());
    eprintln!("SIGTERM with {CLIENTS} requests in flight: {} answered, 0 failed, {status}", outcome.answered);
}

/// Connections that are used again and again: one is always between two requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request() {
    let legacy = Application::start("legacy").await;
    let mut banyan = Banyan::before(legacy.address).await;
    let load = Load::start(banyan.address, CLIENTS, AfterClose::Stop, brief, is_good);
    load.answers(200).await;
    banyan.terminate();
    let outcome = load.ended().await;
    outcome.assert_clean();
    let status = banyan.ended().await;
    assert_eq!(status.code(), Some(0), "{}", banyan.said());
    eprintln!("SIGTERM under load: {} requests, 0 failed, {status}", outcome.answered);
}

async fn all_in_flight(banyan: &Banyan) {
    let inflight = "banyan_inflight_requests{upstream=\"legacy\"}";
    let all = f64::from(u32::try_from(CLIENTS).unwrap());
    crate::until("all in flight", async || banyan.metric(inflight).await.is_some_and(|level| level >= all))
        .await;
}
