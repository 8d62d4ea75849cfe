//! Who is signed in: the monolith knows, the service asks and remembers for a moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header::COOKIE, request::Parts},
};
use serde::Deserialize;

use crate::{app::Service, problem::Problem};

/// How long an answer is believed. A sign-out takes effect here after at most this time.
const REMEMBER: Duration = Duration::from_secs(2);
/// How many sessions are remembered; beyond it all are forgotten at once.
const REMEMBERED_MAX: usize = 10_000;
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// The monolith's answer to whose session a cookie is.
#[derive(Clone)]
pub struct Sessions {
    client: reqwest::Client,
    question: reqwest::Url,
    remembered: Arc<Mutex<HashMap<String, (Instant, User)>>>,
}

/// Why the monolith cannot be asked at all.
#[derive(Debug)]
pub enum SessionsError {
    /// The monolith's address is no URL.
    Address(String),
    /// The HTTP client cannot be made.
    Client(reqwest::Error),
}

/// The user as the monolith tells it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct User {
    pub(crate) id: i64,
}

/// The signed-in user of a request; 401 without one.
pub(crate) struct SignedIn(pub(crate) User);

impl Sessions {
    /// Sessions of the monolith at an address such as `http://127.0.0.1:3000`. It must be on this machine:
    /// the monolith answers nobody else.
    pub fn ask(monolith: &str) -> Result<Self, SessionsError> {
        let question = reqwest::Url::parse(monolith)
            .and_then(|url| url.join("/internal/session"))
            .map_err(|error| SessionsError::Address(format!("`{monolith}`: {error}")))?;
        let client = reqwest::Client::builder().no_proxy().timeout(ASK_TIMEOUT).build();
        Ok(Self { client: client.map_err(SessionsError::Client)?, question, remembered: Arc::default() })
    }

    async fn user(&self, token: &str) -> Result<Option<User>, Problem> {
        if let Some(user) = self.recall(token) {
            return Ok(Some(user));
        }
        let user = self.put(token).await.map_err(|error| {
            tracing::warn!("cannot ask the monolith for a session: {error}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "sessions cannot be checked now")
        })?;
        if let Some(user) = &user {
            self.remember(token, user);
        }
        Ok(user)
    }

    /// Puts the question to the monolith; 401 is an answer too.
    async fn put(&self, token: &str) -> reqwest::Result<Option<User>> {
        let request = self.client.get(self.question.clone()).header(COOKIE, format!("session={token}"));
        let answer = request.send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        answer.error_for_status()?.json().await.map(Some)
    }

    fn recall(&self, token: &str) -> Option<User> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, user) = remembered.get(token)?;
        (since.elapsed() < REMEMBER).then(|| user.clone())
    }

    fn remember(&self, token: &str, user: &User) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), (Instant::now(), user.clone()));
    }
}

impl FromRequestParts<Service> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let token = session_token(&parts.headers).ok_or_else(Problem::not_signed_in)?;
        service.sessions.user(token).await?.map(Self).ok_or_else(Problem::not_signed_in)
    }
}

/// The token of the first cookie named `session`.
fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, token)| (name == "session").then_some(token))
}

impl std::fmt::Display for SessionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(problem) => write!(f, "the monolith's address is no URL: {problem}"),
            Self::Client(error) => write!(f, "cannot make an HTTP client: {error}"),
        }
    }
}

impl std::error::Error for SessionsError {}
