//! Who looks at the dashboard: sessions of browsers.
//!
//! | method and path | form fields | what |
//! |---|---|---|
//! | `POST /session` | `token`, `name`, `next` | signs in; 303 to `next` (a path of ours) or `/`, or to `/sign-in?refused=token` or `=rate` |
//! | `POST /session/end` | `csrf` | signs out; 303 to `/sign-in` |
//!
//! - The token, or the read token, is shown once and compared in constant time. All tries together have a rate; what is above it is not
//!   even looked at.
//! - A session is a random number in a cookie that no script reads and no other site's page sends along (`HttpOnly`,
//!   `SameSite=Strict`; `Secure` where the listener speaks TLS). Kept is its hash. It ends after twelve hours, with the process, and
//!   when more than [`SESSIONS_MAX`] come after it.
//! - Every form carries the session's own `csrf` number. A session opens pages and what the API reads; it changes
//!   nothing but through those forms.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::answers::{Body, Refused, bad_request, failed, printable};
use super::rate::Rate;
use super::{AdminOptions, Sources};
use crate::api::API_VERSION;
use crate::files::bytes_hash;

/// Sessions at a time; the oldest gives way.
const SESSIONS_MAX: usize = 64;

/// From sign-in to the end.
const LIFETIME: Duration = Duration::from_hours(12);

/// Tries to sign in at once, and time for one more: nobody mistypes oftener.
const TRIES: u32 = 10;
const TRY_EVERY: Duration = Duration::from_secs(3);

/// Longest name and number of fields of a form.
const FIELDS_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 64;

/// Who asks, for pages: the guard puts it into the extensions of every request
/// (`axum::Extension<Viewer>`).
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    /// What the page may offer.
    pub(crate) may: May,
    /// The session; none without one.
    pub(crate) session: Option<SessionView>,
}

/// Whether actions may be offered, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// Actions are off: no admin token is configured. `--admin-token-file FILE` (or `BANYAN_ADMIN_TOKEN`) switches them on.
    NoToken,
    /// Only read: signed in with the read token.
    ReadToken,
    /// Only read: the listener runs with `--admin-read-only`.
    ReadOnly,
    /// Not signed in: only the sign-in page and assets are shown.
    NotSignedIn,
    /// Everything.
    Change,
}

/// What a page needs of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionView {
    /// The value of the hidden field `csrf` of every form.
    pub(crate) csrf: Arc<str>,
    /// Who signed in, for the history.
    pub(crate) who: Arc<str>,
    key: String,
    sessions: Sessions,
}

impl SessionView {
    /// What came of the last action. It is told once: to the page that shows it.
    pub(crate) fn take_flash(&self) -> Option<Flash> {
        self.kept(|kept| kept.flash.take()).flatten()
    }

    pub(super) fn set_flash(&self, flash: Flash) {
        self.kept(|kept| kept.flash = Some(flash));
    }

    fn kept<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        self.sessions.kept().iter_mut().find(|kept| kept.key == self.key).map(with)
    }
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    pub(crate) is_good: bool,
    /// Lines for people.
    pub(crate) lines: Vec<String>,
}

/// The tokens of the listener.
pub(super) struct Keys {
    token: Option<String>,
    read_token: Option<String>,
    read_only: bool,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Read,
    Change,
}

impl Keys {
    pub(super) fn new(options: &AdminOptions) -> Self {
        let AdminOptions { token, read_token, read_only, .. } = options;
        Self { token: token.clone(), read_token: read_token.clone(), read_only: *read_only }
    }

    /// Whether there is an admin token.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Without any token, whoever reaches loopback may ask.
    pub(super) fn is_open(&self) -> bool {
        self.token.is_none() && self.read_token.is_none()
    }

    /// Nobody may change anything.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// What this token allows. Takes as long for a nearly right token as for a wrong one.
    pub(super) fn right(&self, given: &str) -> Option<Right> {
        let is = |token: &Option<String>| {
            token.as_ref().is_some_and(|token| bool::from(given.as_bytes().ct_eq(token.as_bytes())))
        };
        match (is(&self.token), is(&self.read_token)) {
            (true, _) => Some(Right::Change),
            (false, true) => Some(Right::Read),
            (false, false) => None,
        }
    }
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
}

struct Shared {
    keys: Keys,
    cookie: String,
    is_secure: bool,
    tries: Rate,
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    /// Hash of the number in the cookie.
    key: String,
    csrf: Arc<str>,
    who: Arc<str>,
    right: Right,
    until: Instant,
    flash: Option<Flash>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// `port` is the listener's: cookies of one host are for all its ports, and two proxies are two dashboards.
    pub(super) fn new(options: &AdminOptions, port: u16) -> Self {
        let is_secure = options.certificate.is_some();
        // The prefix makes browsers insist on `Secure` and on this very host.
        let cookie = format!("{}banyan-session-{port}", if is_secure { "__Host-" } else { "" });
        let tries = Rate::new(Instant::now(), TRIES, TRY_EVERY);
        let shared = Shared { keys: Keys::new(options), cookie, is_secure, tries, kept: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The tokens.
    pub(super) fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// The session whose cookie came along, and what it may.
    pub(super) fn of(&self, headers: &HeaderMap) -> Option<(SessionView, Right)> {
        let key = bytes_hash(self.cookie_in(headers)?.as_bytes());
        let now = Instant::now();
        let kept = self.kept();
        let kept = kept.iter().find(|kept| kept.key == key && kept.until > now)?;
        let view = SessionView {
            csrf: Arc::clone(&kept.csrf),
            who: Arc::clone(&kept.who),
            key: kept.key.clone(),
            sessions: self.clone(),
        };
        Some((view, kept.right))
    }

    /// The one cookie of our name; two of them say nothing.
    fn cookie_in<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| *name == self.shared.cookie).map(|(_, value)| value);
        let first = ours.next()?;
        if ours.next().is_some() { None } else { Some(first) }
    }

    /// A new session, and the value of its cookie.
    fn begin(&self, who: &str, right: Right) -> Result<String, getrandom::Error> {
        let (id, csrf) = (random()?, random()?);
        let now = Instant::now();
        let mut kept = self.kept();
        kept.retain(|kept| kept.until > now);
        if kept.len() == SESSIONS_MAX {
            kept.remove(0);
        }
        kept.push(Kept {
            key: bytes_hash(id.as_bytes()),
            csrf: csrf.into(),
            who: who.into(),
            right,
            until: now + LIFETIME,
            flash: None,
        });
        Ok(id)
    }

    fn end(&self, session: &SessionView) {
        self.kept().retain(|kept| kept.key != session.key);
    }

    /// With no number in it, the cookie ends.
    fn cookie(&self, id: &str) -> String {
        let lifetime = if id.is_empty() { 0 } else { LIFETIME.as_secs() };
        let secure = if self.shared.is_secure { "; Secure" } else { "" };
        let name = &self.shared.cookie;
        format!("{name}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime}{secure}")
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        // Every change under the lock is a single step, so a panic elsewhere leaves nothing half done.
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: Body) -> Result<Self, Refused> {
        let bytes = body.map_err(|problem| Refused::new(problem.status(), "body", problem.body_text()))?;
        let fields = form_urlencoded::parse(&bytes).into_owned().take(FIELDS_MAX);
        Ok(Self(fields.collect()))
    }

    /// The form of a session: its `csrf` number must be in it.
    pub(super) fn of_session(body: Body, viewer: &Viewer) -> Result<(Self, SessionView), Refused> {
        let session = viewer.session.clone().ok_or_else(|| {
            let message =
                "sign in first; without an admin token (`--admin-token-file`) nothing can be changed here";
            Refused::new(StatusCode::FORBIDDEN, "no-session", message.to_owned())
        })?;
        let form = Self::read(body)?;
        let given = form.get("csrf").unwrap_or_default();
        if !bool::from(given.as_bytes().ct_eq(session.csrf.as_bytes())) {
            let message = "this form is not of this session: load the page again".to_owned();
            return Err(Refused::new(StatusCode::FORBIDDEN, "csrf", message));
        }
        Ok((form, session))
    }

    /// The first field of this name, unless it is empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn wanted(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| bad_request("form", format!("the form has no `{name}`")))
    }
}

pub(super) async fn sign_in(State(sources): State<Sources>, body: Body) -> Result<Response, Refused> {
    let sessions = &sources.sessions;
    let form = Form::read(body)?;
    if sessions.keys().is_open() {
        let message =
            "there is no token to sign in with: `--admin-token-file FILE` configures one".to_owned();
        return Err(Refused::new(StatusCode::FORBIDDEN, "no-token", message));
    }
    let next = form.get("next").filter(|next| is_ours(next)).unwrap_or("/");
    let refused = |why: &str| {
        let next = form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>();
        see_other(&format!("/sign-in?refused={why}&next={next}"))
    };
    if !sessions.shared.tries.takes(Instant::now()) {
        sources.metrics.admin_request_refused();
        return Ok(refused("rate"));
    }
    let Some(right) = sessions.keys().right(form.get("token").unwrap_or_default()) else {
        tracing::warn!("dashboard: somebody tried to sign in with a wrong token");
        return Ok(refused("token"));
    };
    let mut who = printable(form.get("name").unwrap_or_default().trim());
    who.truncate(who.floor_char_boundary(NAME_BYTES_MAX));
    if who.is_empty() {
        "dashboard".clone_into(&mut who);
    }
    let begun = sessions.begin(&who, right);
    let id = begun.map_err(|error| failed(format!("the system gives no random numbers: {error}")))?;
    tracing::info!(who, may_change = right == Right::Change, "dashboard: signed in");
    Ok(([(SET_COOKIE, sessions.cookie(&id))], see_other(next)).into_response())
}

/// What a page knows of its viewer, for programs. The flash stays.
pub(super) async fn session(Extension(viewer): Extension<Viewer>) -> Json<serde_json::Value> {
    let may = match viewer.may {
        May::NoToken => "no-token",
        May::ReadToken => "read-token",
        May::ReadOnly => "read-only",
        May::NotSignedIn => "not-signed-in",
        May::Change => "change",
    };
    let session = viewer.session.map(|session| {
        let flash = session.kept(|kept| kept.flash.clone()).flatten();
        let flash = flash.map(|flash| json!({ "is_good": flash.is_good, "lines": flash.lines }));
        json!({ "who": &*session.who, "csrf": &*session.csrf, "flash": flash })
    });
    Json(json!({ "version": API_VERSION, "may": may, "session": session }))
}

pub(super) async fn sign_out(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    body: Body,
) -> Result<Response, Refused> {
    let (_, session) = Form::of_session(body, &viewer)?;
    sources.sessions.end(&session);
    Ok(([(SET_COOKIE, sources.sessions.cookie(""))], see_other("/sign-in")).into_response())
}

/// The answer to a form: the page to look at now.
pub(super) fn see_other(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, path.to_owned())]).into_response()
}

/// A path of this listener, not an address of another.
fn is_ours(next: &str) -> bool {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    is_plain && next.starts_with('/') && !next.starts_with("//")
}

/// 256 bits, in hexadecimal.
fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    // The hash of random bytes is as random, and is text.
    Ok(bytes_hash(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        let options = AdminOptions {
            address: ([127, 0, 0, 1], 0).into(),
            token: Some("token".to_owned()),
            read_token: None,
            read_only: false,
            hosts: Vec::new(),
            certificate: None,
        };
        Sessions::new(&options, 9900)
    }

    fn with_cookie(id: &str) -> HeaderMap {
        let cookie = format!("banyan-session-9900={id}").try_into();
        cookie.map(|cookie| HeaderMap::from_iter([(COOKIE, cookie)])).unwrap_or_default()
    }

    #[test]
    fn the_oldest_session_gives_way() {
        let sessions = sessions();
        let begin = |_| sessions.begin("ann", Right::Change).unwrap_or_default();
        let ids: Vec<String> = (0..=SESSIONS_MAX).map(begin).collect();
        let is_known = |id: &String| sessions.of(&with_cookie(id)).is_some();
        assert!(!is_known(&ids[0]) && ids[1..].iter().all(is_known));
        assert_eq!(sessions.kept().len(), SESSIONS_MAX);
    }

    #[test]
    fn a_session_ends_in_time() {
        let sessions = sessions();
        let id = sessions.begin("ann", Right::Change).unwrap_or_default();
        assert!(sessions.of(&with_cookie(&id)).is_some());
        sessions.kept()[0].until = Instant::now();
        assert!(sessions.of(&with_cookie(&id)).is_none());
    }

    #[test]
    fn another_site_is_no_path_of_ours() {
        for ours in ["/", "/routes/orders?from=1&to=2"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "routes", "/ä"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
