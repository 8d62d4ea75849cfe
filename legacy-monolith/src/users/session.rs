//! The session cookie, and what handlers take from it.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::COOKIE, request::Parts},
};
use serde::Deserialize;

use super::User;
use crate::{app::Shop, problem::Problem};

/// What somebody signs up or in with.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// The signed-in user of a request; 401 without one.
pub(crate) struct SignedIn(pub(crate) User);

/// The user of a request if there is one.
pub(crate) struct Visitor(pub(crate) Option<User>);

impl FromRequestParts<Shop> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        let Visitor(user) = Visitor::from_request_parts(parts, shop).await?;
        user.map(Self).ok_or_else(Problem::not_signed_in)
    }
}

impl FromRequestParts<Shop> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        match session_token(&parts.headers) {
            Some(token) => shop.users.by_session(token).await.map(Self),
            None => Ok(Self(None)),
        }
    }
}

/// The token of the first cookie named `session`.
pub(super) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, token)| (name == "session").then_some(token))
}

/// The `Set-Cookie` value that begins a session, or ends it when the token is empty.
pub(crate) fn session_cookie(token: &str) -> String {
    let end = if token.is_empty() { "; Max-Age=0" } else { "" };
    format!("session={token}; Path=/; HttpOnly; SameSite=Lax{end}")
}
