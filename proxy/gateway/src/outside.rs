//! One application to the outside: the path a candidate is asked for, and answers that name an upstream made to fit.
//!
//! An answer may hold addresses that only make sense inside. What points at the upstream that gave it (any of its
//! targets, the Host that `rewrite.host` shows it, the Host it sees at its own port) comes back as scheme and host that
//! the client used; where the route strips or adds a prefix, paths are mapped back. Everything else stays byte for byte.
//!
//! - `reference`: an address as it stands in a field (RFC 3986). `fitting`: what becomes of it, field by field.
//! - `fields`: where the addresses of `Link` and `Refresh` begin and end. `cookie`: a `Set-Cookie` line and its parts.
//! - `collisions`: cookies that both arms set, with different attributes.
//!
//! An ordinary answer costs one look at the names of its fields.

mod collisions;
mod cookie;
mod fields;
mod fitting;
mod reference;

use std::sync::Arc;

use banyan_routes::{Arm, Decision, PrefixRewrite, RouteIndex, RouteTable, UpstreamIndex};
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LOCATION, HeaderMap, HeaderName, HeaderValue, LINK, LOCATION,
    ORIGIN, REFRESH, SET_COOKIE,
};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};

use crate::answer::Own;
use crate::forwarding::{Scheme, Seen, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::state::State;
pub(crate) use collisions::CookieWatch;
use collisions::{Collision, Noted};
use cookie::{Cookie, Scope};
use fitting::{Fitting, Public};

/// What one client used to come here, kept until the answer.
pub(crate) struct Outside {
    scheme: Option<HeaderValue>,
    host: Option<HeaderValue>,
    origin: Option<HeaderValue>,
    /// What the candidate was asked for, where the path was rewritten.
    asked: Option<PathAndQuery>,
}

impl Outside {
    /// `headers` are those of a request that is ready to go out: they tell what the first trusted proxy saw.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            scheme: headers.get(X_FORWARDED_PROTO).cloned(),
            host: headers.get(X_FORWARDED_HOST).cloned(),
            origin: headers.get(ORIGIN).cloned(),
            asked: None,
        }
    }

    /// The same for who has just made them ready: `scheme` and `host` are what they tell.
    pub(crate) fn told(
        scheme: Option<HeaderValue>,
        host: Option<HeaderValue>,
        headers: &HeaderMap,
        seen: Seen,
    ) -> Self {
        let origin = if seen.has(Seen::ORIGIN) { headers.get(ORIGIN).cloned() } else { None };
        Self { scheme, host, origin, asked: None }
    }

    /// Puts the path that the candidate is asked for in place of the public one.
    pub(crate) fn rewrite_target(
        &mut self,
        state: &State,
        decision: &Decision,
        uri: &mut Uri,
    ) -> Result<(), Own> {
        let Some(prefix) = state.table.prefix_rewrite(decision) else { return Ok(()) };
        *uri = rewritten(prefix, uri)?;
        self.asked = uri.path_and_query().cloned();
        Ok(())
    }

    /// Legacy is asked in place of the candidate, for the public path.
    pub(crate) fn asks_legacy(&mut self) {
        self.asked = None;
    }

    /// Makes the fields of an upstream's answer fit, and looks for cookies that the arms set differently. Call it where
    /// there is a [`Seen::PLACE`].
    pub(crate) fn fit(&self, headers: &mut HeaderMap, state: &State, decision: &Decision, worker: usize) {
        let Some(upstream) = decision.upstream else { return };
        self.fit_answer(headers, &state.table, decision.route, decision.arm, upstream);
        if let Some(watch) = &state.cookies {
            for line in headers.get_all(SET_COOKIE) {
                look_for_collisions(watch, line.as_bytes(), state, decision, worker);
            }
        }
    }

    /// Makes the fields of an answer that nobody is shown fit, for the comparison with the one that somebody was.
    pub(crate) fn fit_unseen(
        mut self,
        headers: &mut HeaderMap,
        uri: &Uri,
        table: &RouteTable,
        route: RouteIndex,
        arm: Arm,
        upstream: UpstreamIndex,
    ) {
        let prefix = table.rewrite(Some(route)).prefix.as_ref().filter(|_| arm == Arm::Candidate);
        let asked = prefix.and_then(|prefix| rewritten(prefix, uri).ok());
        self.asked = asked.and_then(|asked| asked.path_and_query().cloned());
        self.fit_answer(headers, table, Some(route), arm, upstream);
    }

    fn fit_answer(
        &self,
        headers: &mut HeaderMap,
        table: &RouteTable,
        route: Option<RouteIndex>,
        arm: Arm,
        upstream: UpstreamIndex,
    ) {
        let rewrite = table.rewrite(route);
        if !rewrite.answers {
            return;
        }
        let settings = table.upstream(upstream);
        let fitting = Fitting {
            targets: &settings.targets,
            scheme: if settings.tls.is_some() { Scheme::Https } else { Scheme::Http },
            shown: &rewrite.host,
            public: self.public(),
            client_origin: self.origin.as_ref().map(HeaderValue::as_bytes),
            prefix: rewrite.prefix.as_ref().filter(|_| arm == Arm::Candidate),
            asked: self.asked.as_ref().map(PathAndQuery::as_str),
        };
        fit_all(headers, &fitting);
    }

    fn public(&self) -> Public<'_> {
        let is_https = last(self.scheme.as_ref()).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let scheme = if is_https { Scheme::Https } else { Scheme::Http };
        Public::new(scheme, last(self.host.as_ref()))
    }
}

/// What the candidate is asked for in place of a public target.
pub(crate) fn rewritten(prefix: &PrefixRewrite, uri: &Uri) -> Result<Uri, Own> {
    let sent = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let asked = prefix.forward(sent).map_err(|_| Own::new(StatusCode::BAD_REQUEST, "ambiguous-path"))?;
    // Longer than what came in, so that the length is the one thing that can be wrong with it.
    let too_long = Own::new(StatusCode::URI_TOO_LONG, "target-too-long");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(asked).map_err(|_| too_long)?);
    Uri::from_parts(parts).map_err(|_| too_long)
}

/// The last element of a list: what the trusted proxy in front says itself. What stands before it may be a client's.
fn last(list: Option<&HeaderValue>) -> Option<&str> {
    Some(list?.to_str().ok()?.rsplit(',').next()?.trim_ascii())
}

fn is_concerned(name: &HeaderName) -> bool {
    [&LOCATION, &SET_COOKIE, &LINK, &ACCESS_CONTROL_ALLOW_ORIGIN, &CONTENT_LOCATION, &REFRESH].contains(&name)
}

fn fit_all(headers: &mut HeaderMap, fitting: &Fitting<'_>) {
    for (name, value) in headers.iter_mut().filter(|(name, _)| is_concerned(name)) {
        let bytes = value.as_bytes();
        let fitted = match *name {
            SET_COOKIE => fitting.cookie(bytes),
            _ => str::from_utf8(bytes)
                .ok()
                .and_then(|text| match *name {
                    LINK => fields::map_link(text, |address| fitting.reference(address)),
                    REFRESH => fields::map_refresh(text, |address| fitting.reference(address)),
                    ACCESS_CONTROL_ALLOW_ORIGIN => fitting.origin(text),
                    _ => fitting.reference(text),
                })
                .map(String::into_bytes),
        };
        if let Some(fitted) =
            fitted.and_then(|bytes| HeaderValue::from_maybe_shared(bytes::Bytes::from(bytes)).ok())
        {
            *value = fitted;
        }
    }
}

fn look_for_collisions(watch: &CookieWatch, line: &[u8], state: &State, decision: &Decision, worker: usize) {
    let Some(cookie) = Cookie::read(line).filter(|cookie| !cookie.is_deleted()) else { return };
    let noted = watch.note(decision.route, decision.arm == Arm::Candidate, &cookie);
    match noted {
        Noted::Alike => {}
        Noted::Unwatched => state.route(decision.route).metrics.cookie_unwatched(worker),
        Noted::Collides(collisions) => {
            for Collision { route, first } in collisions {
                let route = state.route(Some(route));
                route.metrics.cookie_collided(worker);
                if let Some(scopes) = first {
                    tell(watch, Arc::clone(&route.name), cookie.name(), scopes);
                }
            }
        }
    }
}

fn tell(watch: &CookieWatch, route: Arc<str>, name: &[u8], [legacy, candidate]: [Scope; 2]) {
    let cookie = String::from_utf8_lossy(name).into_owned();
    watch.tell(move || {
        tracing::warn!(
            %route, %cookie, %legacy, %candidate,
            "both arms set this cookie, with different attributes: a browser keeps two of it, or one undoes the other"
        );
    });
}

#[cfg(test)]
mod tests;
