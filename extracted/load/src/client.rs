//! One connection to the shop, used by one virtual user at a time.

use std::time::{Duration, Instant};

use reqwest::{
    Client, Method, StatusCode, Url,
    header::{COOKIE, SERVER},
};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(15);

/// One connection.
pub(crate) struct Connection {
    client: Client,
    base: Url,
}

/// One answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The `Server` field: who answered.
    pub(crate) server: String,
    /// The body; null when it was no JSON.
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

/// Why no load can be made.
#[derive(Debug)]
pub enum ClientError {
    /// The shop's address is no URL.
    Address(String),
    /// The HTTP client cannot be made.
    Client(reqwest::Error),
    /// The shop cannot be reached.
    Unreachable(String),
    /// The shop does not know the virtual users.
    NoSessions(String),
}

impl Connection {
    pub(crate) fn to(address: &str) -> Result<Self, ClientError> {
        let base =
            Url::parse(address).map_err(|error| ClientError::Address(format!("`{address}`: {error}")))?;
        let client = Client::builder().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(1).build();
        Ok(Self { client: client.map_err(ClientError::Client)?, base })
    }

    /// Sends a request as a seeded user. The error says what the transport did.
    pub(crate) async fn send(
        &self,
        user: u32,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let start = Instant::now();
        let url = self.base.join(path).map_err(|error| error.to_string())?;
        let mut request =
            self.client.request(method, url).header(COOKIE, format!("session=seed-session-{user}"));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| causes(&error))?;
        let status = response.status();
        let server =
            response.headers().get(SERVER).and_then(|value| value.to_str().ok()).unwrap_or("unnamed");
        let server = server.to_owned();
        let bytes = response.bytes().await.map_err(|error| causes(&error))?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, server, body, took: start.elapsed() })
    }
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

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(problem) => write!(f, "the shop's address is no URL: {problem}"),
            Self::Client(error) => write!(f, "cannot make an HTTP client: {error}"),
            Self::Unreachable(problem) => write!(f, "the shop cannot be reached: {problem}"),
            Self::NoSessions(found) => write!(
                f,
                "the shop does not know the virtual users: {found}\n\
                 hint: start it with `boxoffice-monolith --seed --demo-sessions`"
            ),
        }
    }
}

impl std::error::Error for ClientError {}
