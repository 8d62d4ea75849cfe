//! `GET /sign-in`: a token for a session, or how to get one.

use axum::Extension;
use axum::extract::Query;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::frame::{Page, Place};
use super::signs::{Level, note};
use crate::admin::session::{May, Viewer};

/// `?next=/routes/orders&refused=token`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    next: String,
    refused: String,
}

pub(super) async fn page(
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let (title, main) =
        if viewer.may == May::NoToken { ("Actions are off", how_to()) } else { ("Sign in", form(&asked)) };
    Page::still(title, Place::Nowhere, html! { div.step { h1 { (title) } (main) } })
        .respond(&viewer, &headers)
}

fn how_to() -> Markup {
    html! {
        p { "No admin token is configured: this page only shows, and changes nothing." }
        p { "To shift, roll back and undo from here, start Banyan with a token:" }
        pre tabindex="0" { "head -c 32 /dev/urandom | base64 > admin-token\nchmod 600 admin-token\nbanyan run … --admin-token-file admin-token" }
        p { "The commands " code { "banyan shift" } ", " code { "banyan rollback" } " and " code { "banyan undo" } " then want it too, as "
            code { "--admin-token-file" } " or " code { "BANYAN_ADMIN_TOKEN" } "." }
        p { a href="/" { "Back to the board" } }
    }
}

fn form(asked: &Asked) -> Markup {
    // Only a path of ours.
    let is_ours = asked.next.starts_with('/') && !asked.next.starts_with("//") && !asked.next.contains('\\');
    let next = if is_ours { asked.next.as_str() } else { "/" };
    html! {
        @if let Some((first, second)) = refusal(&asked.refused) {
            (note(Level::Bad, &html! { p { strong { (first) } " " (second) } }))
        }
        form.panel method="post" action="/session" {
            input type="hidden" name="next" value=(next);
            div.fields {
                div.field.wide {
                    label for="name" { "Your name, for the history" }
                    input #name type="text" name="name" required maxlength="100" autocomplete="username";
                }
                div.field.wide {
                    label for="token" { "Token" }
                    input #token name="token" type="password" required autocomplete="current-password";
                }
                button.main { "Sign in" }
            }
            p.small.soft { "The admin token changes things, the read token reads. A session ends after twelve hours." }
        }
    }
}

/// What came of the last try, and how to go on.
fn refusal(code: &str) -> Option<(&'static str, &'static str)> {
    match code {
        "" => None,
        "rate" => Some(("Too many tries.", "Wait a minute, then try again.")),
        "session" => Some(("Your session has ended.", "Nothing was changed. Sign in, then try again.")),
        _ => Some(("That is not a token of this proxy.", "Nobody is signed in.")),
    }
}
