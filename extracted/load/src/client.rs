//! One connection to the shop, used by one virtual user at a time.

use std::time::{Duration, Instant};

use reqwest::{
    Client, Method, Response, Url,
    header::{COOKIE, HeaderMap, SERVER, SET_COOKIE},
    redirect,
};
use ring::hmac;
use serde_json::Value;
use tokio::time::sleep;

/// Longer than any wait the shop allows itself, a stream's life included.
const TIMEOUT: Duration = Duration::from_secs(45);
/// Between two looks at what is not right yet.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// One connection.
pub(crate) struct Connection {
    client: Client,
    pub(crate) base: Url,
}

/// A request, before it is known whom to ask.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Such as `GET /api/cart`.
    pub(crate) line: String,
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
    /// Asks in a session.
    pub(crate) fn new(line: impl Into<String>, session: impl Into<String>) -> Self {
        Self { line: line.into(), session: session.into(), headers: Vec::new(), body: String::new() }
    }

    /// Asks as a seeded user.
    pub(crate) fn by(user: u32, line: impl Into<String>) -> Self {
        Self::new(line, format!("seed-session-{user}"))
    }

    pub(crate) fn json(self, body: &impl ToString) -> Self {
        Self { body: body.to_string(), ..self }.with("Content-Type", "application/json")
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
        let (method, path) = ask.line.split_once(' ').unwrap_or(("GET", &ask.line));
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        let mut request = self.client.request(method, url).body(ask.body.clone());
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

    /// Asks until the answer is right, at most so long.
    pub(crate) async fn until(
        &self,
        ask: &Ask,
        soon: Duration,
        right: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, String> {
        let deadline = Instant::now() + soon;
        loop {
            let answer = self.send(ask).await?;
            if right(&answer) {
                return Ok(answer);
            }
            if Instant::now() > deadline {
                return Err(format!("not right after {soon:?}: {} {}", answer.status, answer.text));
            }
            sleep(POLL).await;
        }
    }

    /// The shop must answer, and know that user.
    pub(crate) async fn knows(&self, user: u32) -> Result<(), String> {
        let answer = self.send(&Ask::by(user, "GET /api/users/currentuser")).await;
        let answer = answer.map_err(|error| format!("the shop cannot be reached: {error}"))?;
        let hint = "hint: start it with `boxoffice-monolith --seed --demo-sessions`; there are 500 users";
        let known = answer.body["currentUser"].is_object();
        known
            .then_some(())
            .ok_or_else(|| format!("the shop does not know user {user}: {}\n{hint}", answer.text))
    }
}

impl Answer {
    /// The session that it opens.
    pub(crate) fn session(&self) -> Option<String> {
        let cookies = self.headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        let session = { cookies }.find_map(|cookie| cookie.split(';').next()?.strip_prefix("session="))?;
        (!session.is_empty()).then(|| session.to_owned())
    }
}

/// The `Server` field: who answered.
pub(crate) fn server(headers: &HeaderMap) -> String {
    headers.get(SERVER).and_then(|value| value.to_str().ok()).unwrap_or("unnamed").to_owned()
}

/// What the payment provider writes into `X-Pay-Signature`: hex HMAC-SHA256 of the raw body.
pub(crate) fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, body.as_bytes()))
}

/// An error with everything below it: the top alone says "error sending request".
fn causes(error: &dyn std::error::Error) -> String {
    let below = std::iter::successors(error.source(), |error| error.source());
    below.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}
