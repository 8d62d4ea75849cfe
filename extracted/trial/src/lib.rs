//! For the tests of the shop's programs: one of them on real databases and real buses, with a stand-in for all others.
//!
//! | part | job |
//! |---|---|
//! | `place`: [`Place`], [`places`] | a fresh `SQLite` file; a fresh PostgreSQL database when `BOXOFFICE_TEST_POSTGRES` says where |
//! | `bus`: [`Carrier`], [`settings`] | the bus: HTTP, or a NATS server of the test's own |
//! | [`Trial`] | the program under test, its requests and its events |
//! | `legacy`: [`Legacy`] | the stand-in: sessions, keys, hand-overs, scripted answers; it records what it was sent |
//! | `mishap`: [`events_mistreated`], [`poison_put_aside`], [`ends_while_publishing`] | what no program may be troubled by |
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod bus;
mod legacy;
mod mishap;
mod place;

use std::{future::Future, net::SocketAddr, time::Duration};

use axum::Router;
use boxoffice_kit::{
    Database, Event, scalar,
    service::{Events, Failure, Kit, Options},
};
use reqwest::{Client, Method, redirect::Policy};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    bus::{Carrier, event},
    legacy::Legacy,
    mishap::{ends_while_publishing, events_mistreated, poison_put_aside},
    place::{Place, places},
};

/// Patience with what happens by and by.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Every database with every bus.
pub async fn settings() -> Vec<(Place, Carrier)> {
    let mut all = Vec::new();
    for place in places().await {
        all.push((place, Carrier::Http));
    }
    for place in places().await {
        all.push((place, Carrier::nats().await));
    }
    all
}

/// A program under test.
pub struct Trial {
    /// Such as `http://127.0.0.1:40123`.
    pub address: String,
    /// Its database.
    pub database: Database,
    client: Client,
    stop: CancellationToken,
    server: JoinHandle<()>,
    carrier: Carrier,
}

impl Trial {
    /// Starts what `open` makes, with `legacy` in place of all others.
    pub async fn open<F: Future<Output = Result<(Router, Kit), Failure>>>(
        place: &Place,
        carrier: &Carrier,
        legacy: &Legacy,
        open: impl FnOnce(Options, CancellationToken) -> F,
    ) -> Self {
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            database: place.address(),
            legacy: legacy.address.parse().unwrap(),
            events: Events { bus: carrier.bus(), subscribers: vec![legacy.address.parse().unwrap()] },
        };
        let stop = CancellationToken::new();
        let (app, kit) = open(options, stop.clone()).await.unwrap();
        let (address, server) = serve(app, stop.clone()).await;
        legacy.other_side_is(&address);
        Self { address, database: kit.database, client: client(), stop, server, carrier: carrier.clone() }
    }

    /// Ends it as a SIGTERM does, and waits. Its place can be opened again.
    pub async fn close(mut self) {
        self.stop.cancel();
        (&mut self.server).await.unwrap();
        self.database.close().await;
    }

    /// Asks as a user (0 is nobody): the status and the JSON, null when there is none.
    pub async fn ask(&self, user: i64, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        if user > 0 {
            request = request.header("cookie", format!("session=user-{user}"));
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// [`Trial::ask`] with GET.
    pub async fn get(&self, user: i64, path: &str) -> (u16, Value) {
        self.ask(user, Method::GET, path, &Value::Null).await
    }

    /// [`Trial::ask`] with POST.
    pub async fn post(&self, user: i64, path: &str, body: &Value) -> (u16, Value) {
        self.ask(user, Method::POST, path, body).await
    }

    /// A request to send as wished.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// Makes it the writer of a module, by the real hand-over.
    pub async fn take(&self, module: &str) {
        let (status, told) = self.post(0, &format!("/internal/writers/{module}/take"), &Value::Null).await;
        assert_eq!(status, 200, "{told}");
    }

    /// Sends an event over the bus, again as long as it is refused, and waits until it is dealt with.
    pub async fn send(&self, event: &Event) {
        self.send_raw(&event.kind, &serde_json::to_vec(event).unwrap()).await;
        let known = || async {
            let sql = "SELECT (SELECT count(*) FROM inbox WHERE id = $1) + (SELECT count(*) FROM dead_letters WHERE id = $1)";
            let count: i64 = scalar!(sql, event.id.to_string()).fetch_one(&self.database.read).await.unwrap();
            count > 0
        };
        until("the event is dealt with", known).await;
    }

    /// Sends bytes over the bus under a subject.
    pub async fn send_raw(&self, kind: &str, raw: &[u8]) {
        self.carrier.send(&self.client, &self.address, kind, raw).await;
    }

    /// How many events were put aside.
    pub async fn dead_letters(&self) -> i64 {
        scalar!("SELECT count(*) FROM dead_letters").fetch_one(&self.database.read).await.unwrap()
    }

    /// The types of the outbox, in order.
    pub async fn outbox(&self) -> Vec<String> {
        scalar!("SELECT subject FROM outbox ORDER BY position").fetch_all(&self.database.read).await.unwrap()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Waits for what happens by and by; fails when it does not.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
}

fn client() -> Client {
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

async fn serve(app: Router, stop: CancellationToken) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(stop.cancelled_owned());
    (address, tokio::spawn(async move { server.await.unwrap() }))
}
