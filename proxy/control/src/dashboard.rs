//! The dashboard: pages for people, on the admin listener, from the same data as the admin API. Works without scripts,
//! read-only, and without any other host.
//!
//! | path | page |
//! |---|---|
//! | `/` | the board: every route, and how far the migration is |
//! | `/routes/{name}` | one route: charts, what comparisons found, the rule in force, `explain` |
//! | `/routes/{name}/samples/{id}` | a request and both answers, side by side |
//! | `/configuration` | what is in force, the last reload, the history; `?set=HASH` a change as a difference of texts |
//! | `/actions/shift`, `/actions/rollback`, `/actions/undo` | what would happen; `POST` there does it (`admin::orders`) |
//! | `/sign-in` | where a token is given, or how to get one |
//! | `/assets/{version}/{name}` | looks and scripts |
//!
//! - `frame`: what every page has around it, and its headers. `assets`: files embedded in the binary.
//! - `board`, `route`, `sample`, `configuration`, `confirm`, `sign_in`: a file per page.
//! - `words`: figures and moments as text. `signs`: states as shape and word, bars. `address`: of pages.
//!
//! Every page renews itself by being asked for again: what it shows comes from here alone. A page that has not changed is
//! answered with 304.

mod address;
mod assets;
mod board;
mod configuration;
mod confirm;
mod frame;
mod route;
mod sample;
mod sign_in;
mod signs;
mod words;

use std::time::{Duration, SystemTime};

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};

use crate::admin::Sources;
use crate::admin::session::{May, Viewer};
use frame::{Page, Place};

/// What the burn-down goes back to.
const PROGRESS_SINCE: Duration = Duration::from_hours(24 * 365);

/// Points of the burn-down.
const PROGRESS_POINTS: usize = 200;

/// Everything that is shown; forms go elsewhere.
pub(crate) fn router() -> Router<Sources> {
    let pages = Router::new()
        .route("/", get(board))
        .route("/routes/{name}", get(route::page))
        .route("/routes/{name}/samples/{id}", get(sample::page))
        .route("/configuration", get(configuration::page))
        .route("/actions/shift", get(confirm::shift))
        .route("/actions/rollback", get(confirm::rollback))
        .route("/actions/undo", get(confirm::undo))
        .layer(middleware::from_fn(signed_in));
    let open = Router::new()
        .route("/sign-in", get(sign_in::page))
        .route("/assets/{version}/{name}", get(assets::asset))
        .route("/favicon.ico", get(async || Redirect::permanent(&assets::address("banyan.svg"))));
    pages.merge(open)
}

/// Whoever has to sign in first is sent there, and comes back.
async fn signed_in(Extension(viewer): Extension<Viewer>, request: Request, next: Next) -> Response {
    if viewer.may != May::NotSignedIn {
        return next.run(request).await;
    }
    let wanted = request.uri().path_and_query().map_or("/", |target| target.as_str());
    Redirect::to(&format!("/sign-in?next={}", address::encoded(wanted))).into_response()
}

async fn board(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<board::Asked>,
    headers: HeaderMap,
) -> Response {
    let since = SystemTime::now().checked_sub(PROGRESS_SINCE).unwrap_or(SystemTime::UNIX_EPOCH);
    let progress = sources.timeline.progress(since, PROGRESS_POINTS);
    board::page(&sources.board.board().board, &progress, &asked, &viewer, &headers)
}

/// A page that says what is not there, in words.
fn missing(what: &str, viewer: &Viewer, headers: &HeaderMap) -> Response {
    let main = maud::html! {
        h1 { "Not here" }
        p { (what) }
        p { a href="/" { "Back to the board" } }
    };
    let page = Page::still("Not here", Place::Nowhere, main);
    (StatusCode::NOT_FOUND, page.respond(viewer, headers)).into_response()
}
