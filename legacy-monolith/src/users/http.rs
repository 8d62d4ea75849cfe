//! Users in the service they were taken out to.

use axum::http::{
    HeaderMap, StatusCode,
    header::{COOKIE, SET_COOKIE},
};
use boxoffice_kit::{
    Problem, async_trait,
    identity::Identified,
    service::{SOON, internal},
    writer::PASSED_ON,
};
use reqwest::{Client, Url};

use super::{Credentials, User, Users};

/// The users service.
pub(crate) struct Http {
    pub(crate) client: Client,
    pub(crate) address: Url,
}

impl Http {
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.address.as_str().trim_end_matches('/'))
    }
}

#[async_trait]
impl Users for Http {
    async fn sign_in(&self, given: Credentials) -> Result<(User, String), Problem> {
        let request = self.client.post(self.at("api/users/signin")).json(&given);
        let answer = request.send().await.map_err(|error| unavailable(&error))?;
        if answer.status() == StatusCode::BAD_REQUEST {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "e-mail or password is wrong"));
        }
        let answer = answer.error_for_status().map_err(|error| unavailable(&error))?;
        let token =
            token(answer.headers()).ok_or_else(|| Problem::internal(&"signed in without a session"))?;
        Ok((answer.json().await.map_err(|error| unavailable(&error))?, token))
    }

    async fn by_session(&self, token: &str) -> Result<Option<User>, Problem> {
        let request = self.client.get(self.at("internal/session")).header(COOKIE, format!("session={token}"));
        // Should it pass the question on, or not know, it must not ask back here.
        let request = internal(request).header(PASSED_ON, 1).timeout(SOON);
        let answer = request.send().await.map_err(|error| unavailable(&error))?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        // Any other refusal says nothing of the session.
        let answer = answer.error_for_status().map_err(|error| unavailable(&error))?;
        let known: Identified = answer.json().await.map_err(|error| unavailable(&error))?;
        Ok(Some(known.user))
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get(SET_COOKIE)?.to_str().ok()?;
    Some(cookie.strip_prefix("session=")?.split(';').next()?.to_owned())
}

fn unavailable(error: &reqwest::Error) -> Problem {
    tracing::warn!("the users service: {error}");
    Problem::unavailable("users cannot be asked now")
}
