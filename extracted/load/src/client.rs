//! One connection to the shop, used by one virtual user at a time.

use std::time::{Duration, Instant};

use reqwest::{
    Client, Method, Response, Url,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, SERVER},
    redirect,
};
use ring::hmac;
use serde_json::Value;

/// Longer than any wait the shop allows itself, a stream's life included.
const TIMEOUT: Duration = Duration::from_secs(45);

/// One connection.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    pub(crate) base: Url,
}

/// A request, before it is known whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The session cookie's value; nobody's when empty.
    pub(crate) session: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// One answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body; null when it was no JSON.
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl Ask {
    pub(crate) fn new(method: Method, path: impl Into<String>, session: impl Into<String>) -> Self {
        let (path, session) = (path.into(), session.into());
        Self { method, path, session, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        Self { body: body.to_string(), ..self }.with(CONTENT_TYPE.as_str(), "application/json")
    }

    pub(crate) fn with(mut self, header: &str, value: impl Into<String>) -> Self {
        self.headers.push((header.to_owned(), value.into()));
        self
    }
}

impl Connection {
    pub(crate) fn to(address: &str) -> Result<Self, String> {
        let base = Url::parse(address).map_err(|error| format!("`{address}` is no URL: {error}"))?;
        let client = Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(1);
        let client = client.redirect(redirect::Policy::none()).build();
        Ok(Self { client: client.map_err(|error| causes(&error))?, base })
    }

    /// Sends a request and waits for the head of its answer. The error says what the transport did.
    pub(crate) async fn open(&self, ask: &Ask) -> Result<Response, String> {
        let url = self.base.join(&ask.path).map_err(|error| error.to_string())?;
        let mut request = self.client.request(ask.method.clone(), url).body(ask.body.clone());
        if !ask.session.is_empty() {
            request = request.header(COOKIE, format!("session={}", ask.session));
        }
        request = ask.headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.map_err(|error| causes(&error))
    }

    /// Sends a request and reads the answer to its end.
    pub(crate) async fn send(&self, ask: &Ask) -> Result<Answer, String> {
        let start = Instant::now();
        let response = self.open(ask).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.map_err(|error| causes(&error))?;
        // All that the shop says is UTF-8; so byte for byte the same text is the same answer.
        let text = String::from_utf8(bytes.to_vec()).map_err(|error| causes(&error))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body, took: start.elapsed() })
    }
}

/// The `Server` field: who answered.
pub(crate) fn server(headers: &HeaderMap) -> String {
    headers.get(SERVER).and_then(|value| value.to_str().ok()).unwrap_or("unnamed").to_owned()
}

/// The cookie value of a seeded user.
pub(crate) fn session_of(user: u32) -> String {
    format!("seed-session-{user}")
}

/// What the payment provider writes into `X-Pay-Signature`: hex HMAC-SHA256 of the raw body.
pub fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, body.as_bytes()))
}

/// An error with everything below it: the top alone says "error sending request".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
