//! What every page has around it: the way to the others, who is looking, the roll back of everything in two clicks.

use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest, Sha256};

use super::assets;
use super::signs::{Level, icon, note};
use crate::admin::session::{May, SessionView, Viewer};
use crate::clock;

/// Sent by the script when it asks for the same page again.
const RENEWS: &str = "banyan-renews";

/// Which entry of the navigation a page is below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The board itself.
    Board,
    /// One of its routes, or an action.
    BelowBoard,
    /// The configuration.
    Configuration,
    /// None of them.
    Nowhere,
}

/// A page to be.
pub(super) struct Page {
    /// Tells the state before anything else: it is what a tab shows.
    pub(super) title: String,
    /// Where it is.
    pub(super) place: Place,
    /// Seconds between two looks of the script; none leaves the page as it is.
    pub(super) every_seconds: Option<u32>,
    /// Loads what draws charts.
    pub(super) has_charts: bool,
    /// Read out when it changes: one sentence.
    pub(super) said: String,
    /// What it is about, below a heading of the first order.
    pub(super) main: Markup,
}

impl Page {
    /// A page that does not renew itself.
    pub(super) fn still(title: impl Into<String>, place: Place, main: Markup) -> Self {
        let (title, said) = (title.into(), String::new());
        Self { title, place, every_seconds: None, has_charts: false, said, main }
    }

    /// The whole answer, or 304 when the reader has this very page.
    pub(super) fn respond(self, viewer: &Viewer, asked: &HeaderMap) -> Response {
        // A look of the script must not take what the page that was asked for is to show.
        let flash = if asked.contains_key(RENEWS) {
            html! {}
        } else {
            flash(viewer)
        };
        let version = self.version(viewer, &flash);
        let known = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == version.as_bytes());
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            Html(self.document(viewer, &version, &flash).into_string()).into_response()
        };
        let headers = response.headers_mut();
        if let Ok(version) = HeaderValue::from_str(&version) {
            headers.insert(ETAG, version);
        }
        response
    }

    /// Equal for pages that look alike.
    fn version(&self, viewer: &Viewer, flash: &Markup) -> String {
        let mut hash = Sha256::new();
        for part in [&self.title, &self.said, &self.main.0, &who(viewer).0, &flash.0] {
            hash.update(part);
            hash.update([0]);
        }
        format!("\"{}\"", assets::hexadecimal(&hash.finalize()[..8]))
    }

    fn document(&self, viewer: &Viewer, version: &str, flash: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                (self.head())
                body data-now=(clock::now()) data-version=(version) data-every=[self.every_seconds] {
                    a.skip href="#main" { "Skip to the figures" }
                    (top(self.place, viewer))
                    main #main tabindex="-1" {
                        (silent())
                        (flash)
                        (self.main)
                    }
                    p #said.unseen role="status" { (self.said) }
                    (footer())
                }
            }
        }
    }

    fn head(&self) -> Markup {
        let script = |name| html! { script src=(assets::address(name)) defer {} };
        html! {
            head {
                meta charset="utf-8";
                title { (self.title) " – Banyan" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href=(assets::address("banyan.svg")) type="image/svg+xml";
                @if self.has_charts {
                    link rel="stylesheet" href=(assets::address("uplot.css"));
                    (script("uplot.js"))
                }
                link rel="stylesheet" href=(assets::address("dashboard.css"));
                (script("idiomorph.js"))
                (script("dashboard.js"))
            }
        }
    }
}

fn top(place: Place, viewer: &Viewer) -> Markup {
    let entry = |here: Place, address: &str, words: &str| {
        let current = (place == here).then_some("page");
        html! { li { a href=(address) aria-current=[current] { (words) } } }
    };
    html! {
        header.top {
            a.brand href="/" { (icon("banyan")) "Banyan" }
            nav aria-label="Pages" {
                ul {
                    (entry(Place::Board, "/", "Board"))
                    (entry(Place::Configuration, "/configuration", "Configuration"))
                }
            }
            span.grow {}
            (who(viewer))
        }
    }
}

fn who(viewer: &Viewer) -> Markup {
    html! {
        div.who {
            @if let Some(session) = &viewer.session {
                span { "signed in as " strong { (session.who) } }
            }
            @match viewer.may {
                May::Change => {}
                May::NoToken => span { "read only: no admin token is configured" },
                May::ReadToken | May::ReadOnly => span { "read only" },
                May::NotSignedIn => a.button.tiny href="/sign-in" { "Sign in" },
            }
            @if let Some(session) = &viewer.session {
                form method="post" action="/session/end" {
                    input type="hidden" name="csrf" value=(session.csrf);
                    button.tiny { "Sign out" }
                }
            }
            @if viewer.may == May::Change {
                a.button.tiny href="/actions/undo" { "Undo" }
                a.button.tiny.danger href="/actions/rollback" { "Roll back all" }
            }
            @if viewer.may == May::NoToken { a href="/sign-in" { "How to switch actions on" } }
        }
    }
}

/// What came of the last action.
fn flash(viewer: &Viewer) -> Markup {
    let flash = viewer.session.as_ref().and_then(SessionView::take_flash);
    html! {
        @if let Some(flash) = flash {
            div role="status" {
                (note(if flash.is_good { Level::Good } else { Level::Bad }, &html! {
                    @for line in &flash.lines { p.lines { (line) } }
                }))
            }
        }
    }
}

/// Shown by the script when the proxy does not answer.
fn silent() -> Markup {
    html! {
        div #silent.note.bad role="alert" hidden {
            (icon("bad"))
            div { p { strong {} " " span {} } }
        }
    }
}

fn footer() -> Markup {
    html! {
        footer {
            span { "Banyan " (env!("CARGO_PKG_VERSION")) }
            span { "Times in UTC" }
            span { a href="/metrics" { "Metrics" } " and the admin API say the same" }
        }
    }
}
