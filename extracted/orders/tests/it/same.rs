//! The service beside the monolith on the monolith's database: nobody may tell them apart.

use std::{collections::BTreeSet, net::SocketAddr};

use axum::Router;
use boxoffice_kit::service::{Events, Options};
use boxoffice_monolith::seed;
use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::{Client, Method};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Status, content type and body.
type Seen = (u16, String, String);

struct Pair {
    monolith: String,
    orders: String,
    client: Client,
    _stop: DropGuard,
    _folder: TempDir,
}

impl Pair {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.sqlite").display().to_string();
        let stop = CancellationToken::new();
        let database = boxoffice_monolith::open(&file).await.unwrap();
        seed::fill(&database, true, 0).await.unwrap();
        let settings = boxoffice_monolith::Settings { stop: stop.clone(), ..Default::default() };
        let monolith = serve(boxoffice_monolith::app(&database, settings).await.unwrap().0).await;
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            database: file,
            legacy: monolith.parse().unwrap(),
            events: Events::default(),
        };
        let settings = boxoffice_orders::Settings {
            inventory: None,
            pay_within: SignedDuration::from_mins(15),
            shared: true,
            planted_fee_bug: false,
        };
        let orders = serve(boxoffice_orders::open(options, settings, stop.clone()).await.unwrap().0).await;
        let client = Client::builder().no_proxy().build().unwrap();
        Self { monolith, orders, client, _stop: stop.drop_guard(), _folder: folder }
    }

    /// Sends to one of the two as a seeded user; 0 is nobody.
    async fn send(&self, to: &str, user: i64, method: Method, path: &str, body: &str) -> Seen {
        let mut request = self.client.request(method, format!("{to}{path}")).body(body.to_owned());
        if user > 0 {
            request = request.header("cookie", format!("session=seed-session-{user}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let answer = request.send().await.unwrap();
        let kind = answer.headers().get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let server = if to == self.orders { "boxoffice-orders" } else { "boxoffice-monolith" };
        assert_eq!(answer.headers()["server"], server);
        (answer.status().as_u16(), kind, answer.text().await.unwrap())
    }

    /// Orders one ticket: the status and the JSON.
    async fn order(&self, to: &str, user: i64, ticket: i64) -> (u16, Value) {
        let body = format!(r#"{{"items":[{{"ticketId":{ticket},"quantity":1}}]}}"#);
        let (status, _, text) = self.send(to, user, Method::POST, "/api/orders", &body).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future(),
    );
    address
}

/// Every request here is safe, refused, or the same twice, so both can be asked in turn and every byte compared.
#[tokio::test]
async fn answers_are_equal_byte_for_byte() {
    let pair = Pair::open().await;
    for to in [&pair.monolith, &pair.orders, &pair.monolith] {
        assert_eq!(pair.order(to, 1, 7).await.0, 201);
    }
    let body = r#"{"orderId":1,"token":"tok_visa"}"#;
    let payment = pair.client.post(format!("{}/api/payments", pair.monolith)).body(body);
    let payment = payment.header("idempotency-key", "one").header("content-type", "application/json");
    let payment = payment.header("cookie", "session=seed-session-1").send().await.unwrap();
    assert_eq!(payment.status(), 201);
    let long = format!(r#"{{"items":[{}]}}"#, [r#"{"ticketId":1,"quantity":1}"#; 21].join(","));
    let table = [
        (1, Method::GET, "/api/orders", ""),
        (1, Method::GET, "/api/orders?limit=2&page=2", ""),
        (1, Method::GET, "/api/orders?limit=x", ""),
        (0, Method::GET, "/api/orders", ""),
        (999, Method::GET, "/api/orders", ""),
        (1, Method::GET, "/api/orders/1", ""),
        (1, Method::HEAD, "/api/orders/1", ""),
        (1, Method::GET, "/api/orders/2", ""),
        (2, Method::GET, "/api/orders/2", ""),
        (0, Method::GET, "/api/orders/2", ""),
        (1, Method::GET, "/api/orders/99", ""),
        (1, Method::GET, "/api/orders/abc", ""),
        (1, Method::GET, "/api/orders/1/nothing", ""),
        (1, Method::PATCH, "/api/orders/1", ""),
        (1, Method::DELETE, "/api/orders/1", ""),
        (1, Method::DELETE, "/api/orders/2", ""),
        (2, Method::DELETE, "/api/orders/1", ""),
        (1, Method::GET, "/api/orders/1/stream", ""),
        (2, Method::GET, "/api/orders/1/stream", ""),
        (1, Method::GET, "/api/orders/1/ticket.svg", ""),
        (1, Method::GET, "/api/orders/2/ticket.svg", ""),
        (0, Method::GET, "/internal/orders/1", ""),
        (0, Method::GET, "/api/orders/quote?item=1:1&item=2:1", ""),
        (0, Method::GET, "/api/orders/quote?item=1:1&item=1:1", ""),
        (0, Method::GET, "/api/orders/quote?item=1", ""),
        (0, Method::GET, "/api/orders/quote?item=1:11", ""),
        (0, Method::GET, "/api/orders/quote?item=999:1", ""),
        (0, Method::GET, "/api/orders/quote", ""),
        (1, Method::POST, "/api/orders", "{}"),
        (1, Method::POST, "/api/orders", "no JSON"),
        (0, Method::POST, "/api/orders", "no JSON"),
        (1, Method::POST, "/api/orders", r#"{"items":[]}"#),
        (1, Method::POST, "/api/orders", &long),
        (1, Method::POST, "/api/orders", r#"{"items":[{"ticketId":999,"quantity":1}]}"#),
        (1, Method::POST, "/api/orders", r#"{"items":[{"ticketId":1,"quantity":0}]}"#),
    ];
    for (user, method, path, body) in table {
        let legacy = pair.send(&pair.monolith, user, method.clone(), path, body).await;
        let candidate = pair.send(&pair.orders, user, method.clone(), path, body).await;
        assert_eq!(candidate, legacy, "{method} {path} as user {user}: {body}");
    }
}

#[tokio::test]
async fn what_one_writes_the_other_reads_and_cancels() {
    let pair = Pair::open().await;
    for (writer, canceller) in [(&pair.monolith, &pair.orders), (&pair.orders, &pair.monolith)] {
        let (status, order) = pair.order(writer, 3, 9).await;
        assert_eq!(status, 201);
        let path = format!("/api/orders/{}", order["id"]);
        let read = pair.send(canceller, 3, Method::GET, &path, "").await.2;
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), order);
        let first = pair.send(canceller, 3, Method::DELETE, &path, "").await;
        assert_eq!(pair.send(writer, 3, Method::DELETE, &path, "").await, first, "cancelling twice is once");
        let left = pair.send(&pair.monolith, 0, Method::GET, "/api/tickets/9/availability", "").await.2;
        assert!(left.contains(r#""reserved":0"#), "{left}");
    }
}

/// Forty seats, sixty buyers at once, half of them through each.
#[tokio::test(flavor = "multi_thread")]
async fn together_they_never_oversell_and_leave_no_gap() {
    let pair = Pair::open().await;
    let buyers = (1..=60).map(|buyer| {
        let to = if buyer % 2 == 0 { &pair.monolith } else { &pair.orders };
        pair.order(to, buyer, 50)
    });
    let answers = join_all(buyers).await;
    let sold = answers.iter().filter(|answer| answer.0 == 201);
    let numbers: BTreeSet<_> = sold.map(|answer| answer.1["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=40).collect());
    assert_eq!(answers.iter().filter(|answer| answer.0 == 409).count(), 20);
}
