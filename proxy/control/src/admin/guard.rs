//! Who may ask the admin listener, decided before any handler runs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminOptions;
use super::answers::Refused;
use super::rate::Rate;
use super::session::{May, Right, Sessions, Viewer, see_other};
use crate::metrics::Metrics;

/// Requests at once, after a pause, and time for one more.
const BURST: u32 = 1_000;
const EVERY: Duration = Duration::from_millis(4);

/// What a page may load and who may show it: nothing but our own, and nobody.
const PAGE_POLICY: &str =
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'";

/// The rules of one listener.
pub(super) struct Guard {
    sessions: Sessions,
    rate: Rate,
    metrics: Metrics,
    names: Vec<String>,
    bound: IpAddr,
}

/// Which rules a path has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Health checks: open, and never too often.
    Probe,
    Metrics,
    Api,
    /// What is needed to sign in, and what looks alike for everybody.
    Open,
    /// A page, or a form of one.
    Page,
}

impl Door {
    fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" => Self::Probe,
            "/metrics" => Self::Metrics,
            "/sign-in" | "/session" | "/favicon.ico" => Self::Open,
            _ if path.starts_with("/assets/") => Self::Open,
            _ if path.starts_with("/api/") => Self::Api,
            _ => Self::Page,
        }
    }
}

/// Whoever is refused is told so, or shown where to sign in.
enum Turned {
    Away(Refused),
    ToSignIn,
}

impl From<Refused> for Turned {
    fn from(refused: Refused) -> Self {
        Self::Away(refused)
    }
}

impl Guard {
    pub(super) fn new(
        options: AdminOptions,
        bound: SocketAddr,
        sessions: Sessions,
        metrics: Metrics,
    ) -> Self {
        let rate = Rate::new(Instant::now(), BURST, EVERY);
        Self { sessions, rate, metrics, names: options.hosts, bound: bound.ip().to_canonical() }
    }

    fn judge(&self, request: &Request) -> Result<Viewer, Turned> {
        let (headers, path, method) = (request.headers(), request.uri().path(), request.method());
        let door = Door::of(path);
        // Who may not ask at all takes nobody's place.
        let host = self.host(headers)?;
        judge_origin(headers, host)?;
        let (may_change, viewer) = self.judge_token(door, method, headers)?;
        self.judge_rate(door, may_change, request)?;
        if !may_change && changes(method, path) {
            let message =
                "this may only be read: it wants the admin token, and a listener without `--admin-read-only`";
            return Err(Refused::new(StatusCode::FORBIDDEN, "read-only", message.to_owned()).into());
        }
        judge_content_type(door, method, headers)?;
        Ok(viewer)
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
    fn judge_rate(&self, door: Door, may_change: bool, request: &Request) -> Result<(), Refused> {
        let keys = self.sessions.keys();
        let is_operator = may_change && (keys.has_token() || changes(request.method(), request.uri().path()));
        if is_operator || door == Door::Probe || self.rate.takes(Instant::now()) {
            return Ok(());
        }
        self.metrics.admin_request_refused();
        Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "rate", "asked too often, try again".to_owned()))
    }

    /// Whether the client may change something and who it is, or why it may not even read.
    fn judge_token(
        &self,
        door: Door,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(bool, Viewer), Turned> {
        let keys = self.sessions.keys();
        if keys.is_open() {
            let may = if keys.is_read_only() { May::ReadOnly } else { May::NoToken };
            // Forms want a session, and there is none.
            let may_change = !keys.is_read_only() && door != Door::Page;
            return Ok((may_change, Viewer { may, session: None }));
        }
        let given = single(headers, &AUTHORIZATION).and_then(bearer);
        if let Some(right) = given.and_then(|token| keys.right(token)) {
            // A page's forms want a session, which this is not.
            let may_change = right == Right::Change && !keys.is_read_only() && door != Door::Page;
            let may = if may_change { May::Change } else { May::ReadToken };
            return Ok((may_change, Viewer { may, session: None }));
        }
        // What a session changes it changes by forms, which carry more than its cookie.
        let takes_session = matches!(door, Door::Page | Door::Open) || is_reading(method);
        if let Some((session, right)) = self.sessions.of(headers).filter(|_| takes_session) {
            let may = match right {
                _ if keys.is_read_only() => May::ReadOnly,
                Right::Read => May::ReadToken,
                Right::Change => May::Change,
            };
            return Ok((may == May::Change, Viewer { may, session: Some(session) }));
        }
        match door {
            Door::Probe | Door::Open => {}
            Door::Metrics if self.bound.is_loopback() => {}
            Door::Page => return Err(Turned::ToSignIn),
            Door::Api | Door::Metrics => {
                let message = "wants `Authorization: Bearer` with the admin token".to_owned();
                return Err(Refused::new(StatusCode::UNAUTHORIZED, "token", message).into());
            }
        }
        Ok((false, Viewer { may: May::NotSignedIn, session: None }))
    }
}

fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// A question is sent by `POST` because it is long; to sign in or out changes nothing of the proxy.
fn changes(method: &Method, path: &str) -> bool {
    !is_reading(method) && !matches!(path, "/api/v1/explain" | "/session" | "/session/end")
}

/// Refuses what the rules do not allow, before any handler.
pub(super) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut response = match guard.judge(&request) {
        Ok(viewer) => {
            request.extensions_mut().insert(viewer);
            next.run(request).await
        }
        Err(Turned::Away(refused)) => refused.into_response(),
        Err(Turned::ToSignIn) => sign_in_first(&request),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        // `no-referrer` would make browsers send `Origin: null` along with our own forms (Fetch, 3.1).
        (REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What may be kept says so itself.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// After signing in the page that was asked for is shown; a form is not sent again.
fn sign_in_first(request: &Request) -> Response {
    if !is_reading(request.method()) {
        return see_other("/sign-in?refused=session");
    }
    let wanted = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let next: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    see_other(&format!("/sign-in?next={next}"))
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

/// Neither is what a foreign page can send unasked: JSON never, and forms of ours carry a number that it does not know.
fn judge_content_type(door: Door, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    let found = single(headers, &CONTENT_TYPE).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    let wanted = match door {
        Door::Page | Door::Open => "application/x-www-form-urlencoded",
        Door::Api | Door::Metrics | Door::Probe => "application/json",
    };
    if method != Method::POST || essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let message = format!("expected `Content-Type: {wanted}`, found `{found}`");
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
