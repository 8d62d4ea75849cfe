//! The session cookie, and what handlers take from it.

use axum::{extract::FromRequestParts, http::request::Parts};
use boxoffice_kit::{
    Problem,
    identity::{session_token, token_hash},
};
use serde::{Deserialize, Serialize};

use super::{User, Users as _};
use crate::app::{Settings, Shop};

/// What somebody signs up or in with.
#[derive(Deserialize, Serialize)]
pub(crate) struct Credentials {
    pub(crate) email: String,
    pub(crate) password: String,
}

/// The signed-in user of a request; 401 without one.
pub(crate) struct SignedIn(pub(crate) User);

/// The user of a request if there is one.
pub(crate) struct Visitor(pub(crate) Option<User>);

/// The signed-in user and the key of the session's row; 401 without one.
pub(crate) struct Session {
    pub(crate) user: User,
    pub(crate) key: String,
}

impl FromRequestParts<Shop> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        let token = session_token(&parts.headers).ok_or_else(Problem::not_signed_in)?;
        let user = user_of(shop, token).await?.ok_or_else(Problem::not_signed_in)?;
        Ok(Self { user, key: token_hash(token) })
    }
}

impl FromRequestParts<Shop> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        Session::from_request_parts(parts, shop).await.map(|session| Self(session.user))
    }
}

impl FromRequestParts<Shop> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        match session_token(&parts.headers) {
            Some(token) => user_of(shop, token).await.map(Self),
            None => Ok(Self(None)),
        }
    }
}

/// Whose session it is. When the users service gives no answer, its replica here does.
pub(crate) async fn user_of(shop: &Shop, token: &str) -> Result<Option<User>, Problem> {
    match shop.users.now().await?.by_session(token).await {
        Err(problem) if !problem.is_callers() => shop.users.local.by_session(token).await,
        known => known,
    }
}

/// The `Set-Cookie` value that begins a session, or ends it when the token is empty.
pub(crate) fn session_cookie(settings: &Settings, token: &str) -> String {
    let end = if token.is_empty() { "; Max-Age=0" } else { "" };
    let domain =
        settings.cookie_domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
    format!("session={token}; Path=/; HttpOnly; SameSite=Lax{domain}{end}")
}
