//! A seeded shop on a temporary database and a free port.

use std::{net::SocketAddr, path::Path};

use boxoffice_monolith::{Settings, app, open, seed};
use reqwest::{Client, Method, RequestBuilder, redirect::Policy};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) struct Shop {
    pub(crate) address: String,
    pub(crate) client: Client,
    stop: CancellationToken,
}

impl Shop {
    /// A shop on `folder`'s database; two on one folder share it, as two processes would.
    pub(crate) async fn open(folder: &Path) -> Self {
        let database = open(folder.join("shop.sqlite").to_str().unwrap()).await.unwrap();
        seed::fill(&database, true).await.unwrap();
        let stop = CancellationToken::new();
        let settings = Settings { stop: stop.clone(), ..Settings::default() };
        let (app, _) = app(&database, settings).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let ended = stop.clone().cancelled_owned();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(ended).into_future());
        let client = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { address, client, stop }
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
