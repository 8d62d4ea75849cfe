//! Who looks at the dashboard: sessions of browsers.
//!
//! | method and path | form fields | what |
//! |---|---|---|
//! | `POST /session` | `token`, `name`, `next` | signs in; 303 to `next` (a path of ours) or `/`, or to `/sign-in?refused=token` or `=rate` |
//! | `POST /session/end` | `csrf` | signs out; 303 to `/sign-in` |

use std::sync::Arc;

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
    /// What came of the last action, shown once: taken by the page that shows it.
    pub(crate) flash: Option<Flash>,
}

/// What came of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flash {
    pub(crate) is_good: bool,
    /// Lines for people.
    pub(crate) lines: Vec<String>,
}
