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
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LOCATION, HeaderMap, HeaderName, LINK, LOCATION, ORIGIN, REFRESH,
    SET_COOKIE,
};
use http::uri::PathAndQuery;
use http::{StatusCode, Uri};

use crate::answer::Own;
use crate::forwarding::{SaidBy, Scheme, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::message::{Fields, RequestHead, is_name};
use crate::state::State;
pub(crate) use collisions::CookieWatch;
use collisions::{Collision, Noted};
use cookie::{Cookie, Scope};
use fitting::{Fitting, Public};

/// What one client used to come here, kept until the answer.
pub(crate) struct Outside {
    said_by: SaidBy,
    /// What the candidate was asked for, where the path was rewritten.
    asked: Option<PathAndQuery>,
}

impl Outside {
    pub(crate) fn new(said_by: SaidBy) -> Self {
        Self { said_by, asked: None }
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
    /// there is a [`Seen::PLACE`](crate::forwarding::Seen::PLACE). `request` is what the upstream was told.
    pub(crate) fn fit(
        &self,
        request: &Fields,
        answer: &mut Fields,
        state: &State,
        decision: &Decision,
        worker: usize,
    ) {
        let Some(upstream) = decision.upstream else { return };
        self.fit_answer(request, answer, &state.table, decision.route, decision.arm, upstream);
        if let Some(watch) = &state.cookies {
            for line in answer.get_all(&SET_COOKIE) {
                look_for_collisions(watch, line, state, decision, worker);
            }
        }
    }

    /// Makes the fields of an answer that nobody is shown fit, for the comparison with the one that somebody was.
    pub(crate) fn fit_unseen(
        mut self,
        request: &RequestHead,
        headers: &mut HeaderMap,
        table: &RouteTable,
        route: RouteIndex,
        arm: Arm,
        upstream: UpstreamIndex,
    ) {
        let prefix = table.rewrite(Some(route)).prefix.as_ref().filter(|_| arm == Arm::Candidate);
        let asked = prefix.and_then(|prefix| rewritten(prefix, &request.uri).ok());
        self.asked = asked.and_then(|asked| asked.path_and_query().cloned());
        if CONCERNED.iter().any(|name| headers.contains_key(name)) {
            let mut answer = Fields::from(&*headers);
            self.fit_answer(&request.fields, &mut answer, table, Some(route), arm, upstream);
            *headers = HeaderMap::from(&answer);
        }
    }

    fn fit_answer(
        &self,
        request: &Fields,
        answer: &mut Fields,
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
            public: self.public(request),
            client_origin: request.get(&ORIGIN),
            prefix: rewrite.prefix.as_ref().filter(|_| arm == Arm::Candidate),
            asked: self.asked.as_ref().map(PathAndQuery::as_str),
        };
        fit_all(answer, &fitting);
    }

    fn public<'r>(&self, request: &'r Fields) -> Public<'r> {
        match self.said_by {
            SaidBy::Us(scheme, host) => Public::new(scheme, last(host.map(|host| request.text(host)))),
            SaidBy::Fields => {
                let said = last(request.get(&X_FORWARDED_PROTO));
                let is_https = said.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
                let scheme = if is_https { Scheme::Https } else { Scheme::Http };
                Public::new(scheme, last(request.get(&X_FORWARDED_HOST)))
            }
        }
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
fn last(list: Option<&[u8]>) -> Option<&str> {
    let text = str::from_utf8(list?).ok().filter(|text| text.is_ascii())?;
    Some(text.rsplit(',').next()?.trim_ascii())
}

const CONCERNED: [HeaderName; 6] =
    [LOCATION, SET_COOKIE, LINK, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LOCATION, REFRESH];

fn fit_all(answer: &mut Fields, fitting: &Fitting<'_>) {
    answer.change(|name, value| {
        let is_it = |concerned: &HeaderName| is_name(name, concerned.as_ref());
        let concerned = CONCERNED.into_iter().find(is_it)?;
        if concerned == SET_COOKIE {
            return fitting.cookie(value);
        }
        let text = str::from_utf8(value).ok()?;
        let fitted = match concerned {
            LINK => fields::map_link(text, |address| fitting.reference(address)),
            REFRESH => fields::map_refresh(text, |address| fitting.reference(address)),
            ACCESS_CONTROL_ALLOW_ORIGIN => fitting.origin(text),
            _ => fitting.reference(text),
        };
        fitted.map(String::into_bytes)
    });
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
