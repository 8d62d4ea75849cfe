//! The layer before a module's routes: answers here, waits, or passes the request to the other side.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State as Extracted},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use reqwest::Url;

use super::{State, Writers};
use crate::{
    dry_run::Honoured,
    problem::{Elsewhere, Problem},
    service::{INTERNAL, PATIENCE, internal},
};

/// How often a request was passed on. Once is the rule; a writer that changes just then passes it back.
pub const PASSED_ON: HeaderName = HeaderName::from_static("x-boxoffice-passed-on");
const PASSES_MAX: u32 = 6;
const BODY_MAX: usize = 1024 * 1024;
const WAIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a gate stands before.
#[derive(Clone)]
pub struct Gate {
    /// Knows who writes.
    pub writers: Writers,
    /// Whose routes these are.
    pub module: &'static str,
    /// Whether a GET of these routes changes something too.
    pub reads_write: bool,
}

/// For [`axum::middleware::from_fn_with_state`].
pub async fn gate(Extracted(gate): Extracted<Gate>, request: Request, next: Next) -> Response {
    // Nothing of it is kept, so nobody else need know; and whoever writes might not know the word.
    if request.extensions().get::<Honoured>().is_some() {
        return next.run(request).await;
    }
    let safe = !gate.reads_write && matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (parts, body) = request.into_parts();
    match to_bytes(body, BODY_MAX).await {
        Ok(body) => {
            gate.answer(Asked { parts, body, safe }, next).await.unwrap_or_else(Problem::into_response)
        }
        Err(_) => {
            Problem::new(axum::http::StatusCode::PAYLOAD_TOO_LARGE, "the body is too large").into_response()
        }
    }
}

struct Asked {
    parts: Parts,
    body: Bytes,
    safe: bool,
}

impl Gate {
    async fn answer(&self, asked: Asked, next: Next) -> Result<Response, Problem> {
        let passes = asked.parts.headers.get(PASSED_ON).and_then(|count| count.to_str().ok()?.parse().ok());
        let passes: u32 = passes.unwrap_or(0);
        let since = tokio::time::Instant::now();
        while since.elapsed() < WAIT {
            match self.writers.state(self.module).await? {
                State::Replica if asked.safe => return Ok(next.run(asked.again()).await),
                State::Here => {
                    let response = next.clone().run(asked.again()).await;
                    if response.extensions().get::<Elsewhere>().is_none() {
                        return Ok(response);
                    }
                    tokio::time::sleep(LOOK_EVERY).await; // it is given away just now
                }
                State::Given | State::Replica if passes < PASSES_MAX => {
                    return match self.pass_on(&asked, passes + 1).await {
                        Ok(response) => Ok(response),
                        Err(_) if asked.safe => Ok(next.run(asked.again()).await),
                        Err(error) => {
                            tracing::warn!("{} cannot be passed on: {error}", asked.parts.uri);
                            Err(Problem::unavailable("who writes this cannot be reached now"))
                        }
                    };
                }
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        Err(Problem::unavailable("nobody writes this now"))
    }

    async fn pass_on(
        &self,
        asked: &Asked,
        passes: u32,
    ) -> Result<Response, Box<dyn std::error::Error + Send + Sync>> {
        let other: &Url = self.writers.other(self.module)?;
        let path =
            asked.parts.extensions.get::<axum::extract::OriginalUri>().map_or(&asked.parts.uri, |uri| &uri.0);
        let path = path.path_and_query().map_or("/", |path| path.as_str());
        let address = format!("{}{path}", other.as_str().trim_end_matches('/'));
        let mut headers = kept(&asked.parts.headers);
        headers.remove(CONTENT_LENGTH); // the client writes its own
        headers.remove(INTERNAL);
        headers.insert(PASSED_ON, HeaderValue::from(passes));
        let request = self.writers.client.request(asked.parts.method.clone(), address);
        let mut request = request.headers(headers).body(asked.body.clone());
        // Only who is one of us has come this far with such a path. What a stranger asks stays a stranger's.
        if path.starts_with("/internal/") {
            request = internal(request);
        }
        let answer = tokio::time::timeout(PATIENCE, request.send()).await??;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        *response.headers_mut() = kept(answer.headers());
        *response.body_mut() = Body::from_stream(answer.bytes_stream());
        Ok(response)
    }
}

impl Asked {
    fn again(&self) -> Request {
        Request::from_parts(self.parts.clone(), Body::from(self.body.clone()))
    }
}

/// Without what belongs to one connection.
fn kept(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in [CONNECTION, HOST, TRANSFER_ENCODING] {
        kept.remove(name);
    }
    kept
}
