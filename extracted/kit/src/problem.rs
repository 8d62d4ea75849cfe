//! Failures as the API shows them: `{"errors":[{"message","field"}]}`.
//!
//! The extractors here are axum's, with refusals in that shape.

use axum::{
    extract::{
        FromRequest, FromRequestParts,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// What went wrong, told to the caller.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    message: String,
    field: Option<String>,
    elsewhere: bool,
}

/// Marks an answer of a handler that found somebody else writing its rows: [`crate::writer::gate`] passes the request on.
#[derive(Clone, Copy)]
pub(crate) struct Elsewhere;

/// axum's `Json`, refusing in our shape.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Json<T>(
    /// The parsed body.
    pub T,
);

/// axum's `Path`, refusing in our shape.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(
    /// The parsed parameters.
    pub T,
);

/// axum's `Query`, refusing in our shape.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(
    /// The parsed query.
    pub T,
);

impl Problem {
    /// A status and what the caller may know.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), field: None, elsewhere: false }
    }

    /// A value the caller must mend.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message).at(field)
    }

    /// 404: there is no such `what`.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("no such {what}"))
    }

    /// 401.
    pub fn not_signed_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "not signed in")
    }

    /// 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 503: something this answer needs is not there now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Another process writes these rows now.
    pub(crate) fn elsewhere() -> Self {
        Self { elsewhere: true, ..Self::unavailable("somebody else writes this now") }
    }

    /// Whether the rows are written by another process now.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// Names the field that the problem is about.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Something of ours is broken: the caller learns no more than that, the log everything.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!("{error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong")
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the caller, not the shop, is at fault.
    pub fn is_callers(&self) -> bool {
        self.status.is_client_error()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = match self.field {
            Some(field) => json!({ "message": self.message, "field": field }),
            None => json!({ "message": self.message }),
        };
        let mut response = (self.status, axum::Json(json!({ "errors": [error] }))).into_response();
        if self.elsewhere {
            response.extensions_mut().insert(Elsewhere);
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::not_found("page")
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.message)
    }
}

impl std::error::Error for Problem {}
