//! A monolith and the orders service on one temporary database.

use std::{net::SocketAddr, path::Path};

use axum::Router;
use boxoffice_monolith::seed;
use boxoffice_orders::Sessions;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) struct Pair {
    pub(crate) monolith: String,
    pub(crate) orders: String,
    pub(crate) client: Client,
    /// Aborting one ends that server.
    pub(crate) monolith_server: JoinHandle<()>,
}

/// Status, content type and body.
pub(crate) type Seen = (u16, String, String);

impl Pair {
    pub(crate) async fn open(folder: &Path) -> Self {
        let file = folder.join("shop.sqlite");
        let database = boxoffice_monolith::Database::open(&file).await.unwrap();
        seed::fill(&database, true).await.unwrap();
        let monolith = boxoffice_monolith::app(&database, boxoffice_monolith::Settings::default());
        let (monolith, monolith_server) = serve(monolith).await;
        let database = boxoffice_orders::Database::open(&file).await.unwrap();
        let sessions = Sessions::ask(&monolith).unwrap();
        let orders = boxoffice_orders::app(&database, sessions, CancellationToken::new()).unwrap();
        let (orders, _) = serve(orders).await;
        let client = Client::builder().no_proxy().build().unwrap();
        Self { monolith, orders, client, monolith_server }
    }

    /// Sends to one of the two as a seeded user; 0 is nobody.
    pub(crate) async fn send(&self, to: &str, user: u32, method: Method, path: &str, body: &str) -> Seen {
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
    pub(crate) async fn order(&self, to: &str, user: u32, ticket: u32) -> (u16, Value) {
        let body = format!(r#"{{"items":[{{"ticketId":{ticket},"quantity":1}}]}}"#);
        let (status, _, text) = self.send(to, user, Method::POST, "/api/orders", &body).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

async fn serve(app: Router) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    (address, tokio::spawn(async move { axum::serve(listener, service).await.unwrap() }))
}
