//! Who may ask the admin listener, decided before any handler runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::AdminOptions;
use super::answers::Refused;
use super::rate::Rate;
use super::session::{May, Viewer};
use crate::metrics::Metrics;

/// The rules of one listener.
pub(super) struct Guard {
    token: Option<String>,
    read_token: Option<String>,
    read_only: bool,
    rate: Rate,
    metrics: Metrics,
    names: Vec<String>,
    bound: IpAddr,
}

impl Guard {
    pub(super) fn new(options: AdminOptions, bound: SocketAddr, metrics: Metrics) -> Self {
        let AdminOptions { token, read_token, read_only, hosts: names, .. } = options;
        let rate = Rate::new(Instant::now());
        Self { token, read_token, read_only, rate, metrics, names, bound: bound.ip().to_canonical() }
    }

    fn judge(&self, request: &Request) -> Result<(), Refused> {
        let (headers, path) = (request.headers(), request.uri().path());
        // Who may not ask at all takes nobody's place.
        let host = self.host(headers)?;
        judge_origin(headers, host)?;
        let may_change = self.judge_token(path, headers)?;
        self.judge_rate(may_change, request)?;
        if !may_change && changes(request.method(), path) {
            let message =
                "this may only be read: it wants the admin token, and a listener without `--admin-read-only`";
            return Err(Refused::new(StatusCode::FORBIDDEN, "read-only", message.to_owned()));
        }
        judge_content_type(request.method(), headers)
    }

    /// The one `Host`, if it is ours.
    fn host<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, Refused> {
        let foreign = |found: &str| {
            let message = format!("`Host` is not a name of this listener: `{found}`; hint: --admin-host");
            Refused::new(StatusCode::FORBIDDEN, "foreign-host", message)
        };
        let host = single(headers, &HOST).ok_or_else(|| foreign(""))?;
        let authority: Authority = host.parse().map_err(|_| foreign(host))?;
        let name = authority.host();
        let known = !host.contains('@')
            && match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
                Ok(address) => self.is_our_address(address.to_canonical()),
                Err(_) => self.is_our_name(name),
            };
        if known { Ok(host) } else { Err(foreign(host)) }
    }

    /// Bound to every address, any address may be ours; a page that was rebound has a name, not an address.
    fn is_our_address(&self, address: IpAddr) -> bool {
        address.is_loopback() || address == self.bound || self.bound.is_unspecified()
    }

    fn is_our_name(&self, name: &str) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        is("localhost") || self.names.iter().any(|known| is(known))
    }

    /// Probes are answered in any case: a flood must not look like a proxy that is ill. So is whoever has the admin
    /// token, or changes something where none is needed: a rollback must get through.
    fn judge_rate(&self, may_change: bool, request: &Request) -> Result<(), Refused> {
        let path = request.uri().path();
        let is_operator = may_change && (self.token.is_some() || changes(request.method(), path));
        if is_operator || is_probe(path) || self.rate.takes(Instant::now()) {
            return Ok(());
        }
        self.metrics.admin_request_refused();
        Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "rate", "asked too often, try again".to_owned()))
    }

    /// Whether the client may change something, or why it may not even read.
    fn judge_token(&self, path: &str, headers: &HeaderMap) -> Result<bool, Refused> {
        if self.token.is_none() && self.read_token.is_none() {
            return Ok(!self.read_only);
        }
        let given = single(headers, &AUTHORIZATION).and_then(bearer).unwrap_or_default();
        // Takes as long for a nearly right token as for a wrong one.
        let is = |token: &Option<String>| {
            token.as_ref().is_some_and(|token| bool::from(given.as_bytes().ct_eq(token.as_bytes())))
        };
        let (may_change, may_read) = (is(&self.token), is(&self.read_token));
        let is_open = is_probe(path) || (path == "/metrics" && self.bound.is_loopback());
        if may_change || may_read || is_open {
            return Ok(may_change && !self.read_only);
        }
        let message = "wants `Authorization: Bearer` with the admin token".to_owned();
        Err(Refused::new(StatusCode::UNAUTHORIZED, "token", message))
    }
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// A question is sent by `POST` because it is long.
fn changes(method: &Method, path: &str) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) && path != "/api/v1/explain"
}

/// Refuses what the rules do not allow, before any handler.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.judge(&request) {
        Ok(()) => {
            request.extensions_mut().insert(Viewer { may: May::NoToken, session: None });
            next.run(request).await
        }
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Browsers name the page that asks; only a page from this very listener may.
fn judge_origin(headers: &HeaderMap, host: &str) -> Result<(), Refused> {
    if !headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = single(headers, &ORIGIN).unwrap_or_default();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
        return Ok(());
    }
    let message = format!("`Origin` is another site: `{origin}`");
    Err(Refused::new(StatusCode::FORBIDDEN, "foreign-origin", message))
}

fn judge_content_type(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let found = single(headers, &CONTENT_TYPE).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if method != Method::POST || essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = format!("expected `Content-Type: application/json`, found `{found}`");
    Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", message))
}

/// A field that is there once and is text.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// The scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}
