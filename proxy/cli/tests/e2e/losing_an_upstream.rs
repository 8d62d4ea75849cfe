//! One of two servers of an upstream dies under load.

use std::time::Instant;

use http::Request;

use crate::application::Application;
use crate::banyan::{Banyan, legacy_at};
use crate::bodies::{AnyBody, empty, full};
use crate::client::{Answer, request};
use crate::load::{AfterClose, Load};

const CLIENTS: u64 = 16;

/// Never sent twice, so what is in flight on the dead server is lost.
fn writing(_: u64) -> Request<AnyBody> {
    request("POST", "/?ms=20", full("a line"))
}

fn reading(_: u64) -> Request<AnyBody> {
    request("GET", "/?ms=20", empty())
}

fn is_good(answer: &Answer) -> bool {
    answer.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_in_flight_on_it_fails() {
    let (stays, dies) = (Application::start("stays").await, Application::start("dies").await);
    let banyan = Banyan::start(&legacy_at(&[stays.address, dies.address])).await;
    let writers = Load::start(banyan.address, CLIENTS, AfterClose::Reconnect, writing, is_good);
    let readers = Load::start(banyan.address, CLIENTS, AfterClose::Reconnect, reading, is_good);
    writers.answers(200).await;

    dies.kill().await;
    // A connection that ends while a worker is busy with others is in use until it comes to it: a turn of each client.
    writers.answers(10 * CLIENTS).await;
    let noticed = Instant::now();
    writers.answers(500).await;

    let (writers, readers) = (writers.stop().await, readers.stop().await);
    let late = writers.failures.iter().filter(|failure| failure.began > noticed).count();
    assert_eq!(late, 0, "sent after the death was noticed: {:#?}", writers.failures);
    // Each client has one request in flight.
    assert!(writers.failures.len() as u64 <= CLIENTS, "{:#?}", writers.failures);
    // Safe to ask again, so asked again.
    readers.assert_clean();
    eprintln!(
        "a server killed under load: {} of {} writes failed, all in flight on it; {} reads, 0 failed",
        writers.failures.len(),
        writers.answered,
        readers.answered
    );
}
