//! Requests that ask what would happen: the service validates, computes and answers as ever, and commits nothing.
//!
//! A proxy that compares two builds sends them with `Banyan-Shadow: dry-run`, after it has asked with `OPTIONS`
//! whether the service agrees; `Banyan-Shadow: honoured` in the answer is the agreement.

use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{database::Tx, problem::Problem, writer};

const SHADOW: HeaderName = HeaderName::from_static("banyan-shadow");

/// Whether the request wants nothing to be kept.
#[derive(Clone, Copy, Debug)]
pub struct DryRun(
    /// True for a dry run.
    pub bool,
);

impl DryRun {
    pub(crate) fn of(request: &Request) -> Self {
        Self(request.headers().get(SHADOW).is_some_and(|value| value == "dry-run"))
    }

    /// Makes sure that this process writes the module; who keeps nothing need not be the writer.
    pub async fn hold(self, tx: &mut Tx, module: &str) -> Result<(), Problem> {
        if self.0 { Ok(()) } else { writer::hold(tx, module).await }
    }

    /// Keeps what the transaction did, or takes it back.
    pub async fn end(self, tx: Tx) -> sqlx::Result<()> {
        if self.0 { tx.rollback().await } else { tx.commit().await }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for DryRun {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.headers.get(SHADOW).is_some_and(|value| value == "dry-run")))
    }
}

/// Marks a request that wants nothing to be kept, on routes that keep to it: it need not find the writer.
#[derive(Clone, Copy)]
pub(crate) struct Honoured;

/// A layer, outside the gate, for routes whose every handler takes a [`DryRun`] and keeps to it.
pub async fn honour(mut request: Request, next: Next) -> Response {
    let DryRun(asked) = DryRun::of(&request);
    if asked {
        request.extensions_mut().insert(Honoured);
    }
    let mut response = match *request.method() {
        Method::OPTIONS if asked => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if asked {
        response.headers_mut().insert(SHADOW, HeaderValue::from_static("honoured"));
    }
    response
}
