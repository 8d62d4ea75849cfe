//! A seeded shop on a temporary database and a free port.

use std::{net::SocketAddr, path::Path};

use boxoffice_kit::{Database, query, service::Events};
use boxoffice_monolith::{Settings, app, open, seed};
use boxoffice_trial::{Place, places};
use reqwest::{Client, Method, RequestBuilder, Url, redirect::Policy};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) struct Shop {
    pub(crate) address: String,
    pub(crate) client: Client,
    pub(crate) database: Database,
    stop: CancellationToken,
}

impl Shop {
    /// A shop on `folder`'s database; two on one folder share it, as two processes would.
    pub(crate) async fn open(folder: &Path) -> Self {
        Self::start(folder.join("shop.sqlite").to_str().unwrap(), Settings::default()).await
    }

    /// A shop on each kind of database there is.
    pub(crate) async fn everywhere() -> Vec<(Place, Self)> {
        let mut all = Vec::new();
        for place in places().await {
            let shop = Self::start(&place.address(), Settings::default()).await;
            all.push((place, shop));
        }
        all
    }

    pub(crate) async fn start(address: &str, settings: Settings) -> Self {
        let database = open(address).await.unwrap();
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), database, settings).await
    }

    /// Two shops with databases of their own, each the other's other side; the first one writes.
    pub(crate) async fn pair(one: &str, two: &str, modules: &[&str]) -> (Self, Self) {
        let (one, two) = (open(one).await.unwrap(), open(two).await.unwrap());
        for module in modules {
            let replica = query!("INSERT INTO writers (module, state) VALUES ($1, 'replica')", module);
            replica.execute(&two.write).await.unwrap();
        }
        let sockets = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let urls = [0, 1].map(|side: usize| {
            format!("http://{}", sockets[1 - side].local_addr().unwrap()).parse::<Url>().unwrap()
        });
        let [one_socket, two_socket] = sockets;
        let settings = urls.map(|url| Settings {
            events: Events { subscribers: vec![url.clone()], ..Events::default() },
            users_url: Some(url.clone()),
            catalog_url: Some(url.clone()),
            orders_url: Some(url.clone()),
            payments_url: Some(url.clone()),
            notifications_url: Some(url.clone()),
            expiration_url: Some(url.clone()),
            inventory_url: Some(url),
            ..Settings::default()
        });
        let [one_settings, two_settings] = settings;
        (Self::on(one_socket, one, one_settings).await, Self::on(two_socket, two, two_settings).await)
    }

    async fn on(listener: TcpListener, database: Database, settings: Settings) -> Self {
        seed::fill(&database, true, 0).await.unwrap();
        let stop = CancellationToken::new();
        let (app, _) = app(&database, Settings { stop: stop.clone(), ..settings }).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ended = stop.clone().cancelled_owned();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(ended).into_future());
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { address, client, database, stop }
    }

    /// A request as the seeded user.
    pub(crate) fn request(&self, user: u32, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).header("cookie", format!("theme=dark; session=seed-session-{user}"))
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address))
    }

    /// Status and JSON of a request.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["server"], "boxoffice-monolith");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, user: u32, path: &str) -> (u16, Value) {
        self.ask(self.request(user, Method::GET, path)).await
    }

    pub(crate) async fn post(&self, user: u32, path: &str, body: &Value) -> (u16, Value) {
        self.ask(self.request(user, Method::POST, path).json(body)).await
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
