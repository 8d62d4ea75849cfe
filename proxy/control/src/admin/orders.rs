//! The forms that change something. Every one wants a session that may, and its `csrf` field.
//!
//! | method and path | form fields besides `csrf`, `plan` and `why` | what |
//! |---|---|---|
//! | `POST /actions/shift` | `route`, `percent`, `lift_floor=yes` | changes a share |
//! | `POST /actions/rollback` | `route` (absent or empty: every route), `force=yes` | to 0 |
//! | `POST /actions/undo` | | takes the last change back |
//!
//! `plan` is `token` of the plan that was shown. Each answers 303: to `/routes/NAME` or `/` when done, back to the confirm page
//! (`/actions/shift?route=..&percent=..`, `/actions/rollback?route=..`, `/actions/undo`) when refused; what came of it is
//! the session's flash. The confirm pages (`GET`) are the dashboard's.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use banyan_routes::{RouteTable, Share};

use serde::Deserialize;
use serde_json::json;

use super::Sources;
use super::answers::{Answer, Body, Refused, bad_request, printable};
use super::mismatches::off_thread;
use super::session::{Flash, Form, May, SessionView, Viewer, see_other};
use crate::actions::{Done, Order, Refusal};
use crate::api::API_VERSION;

pub(super) async fn shift(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    body: Body,
) -> Result<Response, Refused> {
    let (form, session) = Form::of_session(body, &viewer)?;
    let (route, written) = (form.wanted("route")?.to_owned(), form.wanted("percent")?);
    let percent = share(written).ok_or_else(|| {
        bad_request("form", format!("not a percent: `{written}`; 0 to 100, at most three decimals"))
    })?;
    let lift_floor = form.get("lift_floor") == Some("yes");
    let order = Order::Shift { route, percent, lift_floor };
    ordered(sources, order, &form, session).await
}

pub(super) async fn rollback(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    body: Body,
) -> Result<Response, Refused> {
    let (form, session) = Form::of_session(body, &viewer)?;
    let order = Order::Rollback {
        route: form.get("route").map(str::to_owned),
        force: form.get("force") == Some("yes"),
    };
    ordered(sources, order, &form, session).await
}

pub(super) async fn undo(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    body: Body,
) -> Result<Response, Refused> {
    let (form, session) = Form::of_session(body, &viewer)?;
    ordered(sources, Order::Undo, &form, session).await
}

/// `?action=shift&route=orders&percent=25`: what would happen, and the token of the plan.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanQuery {
    action: String,
    route: Option<String>,
    percent: Option<String>,
    #[serde(default)]
    lift_floor: bool,
    #[serde(default)]
    force: bool,
}

/// What a confirm page shows, for programs. Changes nothing, but takes the lock that edits take: not for everybody.
pub(super) async fn plan(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    query: Result<Query<PlanQuery>, QueryRejection>,
) -> Answer<serde_json::Value> {
    if !matches!(viewer.may, May::Change | May::NoToken) {
        let message = "plans are for who may carry them out".to_owned();
        return Err(Refused::new(StatusCode::FORBIDDEN, "read-only", message));
    }
    let Query(query) = query.map_err(|problem| bad_request("query", problem.body_text()))?;
    let PlanQuery { action, route, percent, lift_floor, force } = query;
    let wanted = |name: &str| bad_request("query", format!("`{action}` wants `{name}`"));
    let order = match action.as_str() {
        "shift" => {
            let percent = percent.as_deref().and_then(share).ok_or_else(|| wanted("percent"))?;
            Order::Shift { route: route.ok_or_else(|| wanted("route"))?, percent, lift_floor }
        }
        "rollback" => Order::Rollback { route, force },
        "undo" => Order::Undo,
        _ => return Err(bad_request("query", "`action` is `shift`, `rollback` or `undo`".to_owned())),
    };
    let planned = off_thread(move || sources.actions.plan(&order)).await?;
    Ok(Json(json!({ "version": API_VERSION, "plan": planned })))
}

async fn ordered(
    sources: Sources,
    order: Order,
    form: &Form,
    session: SessionView,
) -> Result<Response, Refused> {
    let plan = form.get("plan").unwrap_or_default().to_owned();
    let why = form.get("why").map(printable);
    let (confirm, done_at) = (confirm_page(&order), page(&order, &sources.gateway.table()));
    let who = session.who.to_string();
    let result = off_thread(move || sources.actions.carry_out(&order, &plan, &who, why.as_deref())).await?;
    let (flash, next) = match result {
        Ok(done) => (good(done), done_at),
        Err(refusal) => (bad(refusal), confirm),
    };
    session.set_flash(flash);
    Ok(see_other(&next))
}

fn good(done: Done) -> Flash {
    let generation = done.generation;
    let changes = done.changes.into_iter().map(|change| format!("{change}, generation {generation}"));
    Flash { is_good: true, lines: changes.chain(done.notes).collect() }
}

fn bad(refusal: Refusal) -> Flash {
    let hint = refusal.hint.map(|hint| format!("hint: {hint}"));
    Flash { is_good: false, lines: refusal.message.lines().map(str::to_owned).chain(hint).collect() }
}

/// `12.5`; more than three decimals are refused, as in a file.
pub(crate) fn share(written: &str) -> Option<Share> {
    let (whole, part) = written.trim().split_once('.').unwrap_or((written.trim(), ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 3 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let thousandths = whole.parse::<u32>().ok()? * 1000 + format!("{part:0<3}").parse::<u32>().ok()?;
    Share::from_thousandths(thousandths)
}

/// Where what was done can be seen: a cohort has no page.
fn page(order: &Order, table: &RouteTable) -> String {
    match order {
        Order::Shift { route: name, .. } | Order::Rollback { route: Some(name), .. }
            if table.routes().iter().any(|route| route.name == *name) =>
        {
            format!("/routes/{}", in_path(name))
        }
        _ => "/".to_owned(),
    }
}

fn confirm_page(order: &Order) -> String {
    let query =
        |pairs: &[(&str, &str)]| form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    match order {
        Order::Shift { route, percent, .. } => {
            format!("/actions/shift?{}", query(&[("route", route), ("percent", &percent.to_string())]))
        }
        Order::Rollback { route, .. } => {
            format!("/actions/rollback?{}", query(&[("route", route.as_deref().unwrap_or_default())]))
        }
        Order::Undo => "/actions/undo".to_owned(),
    }
}

/// A name as one part of a path: a space is no plus there.
fn in_path(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_as_in_a_file() {
        let thousandths = |text| share(text).map(Share::thousandths);
        for (text, expected) in [("0", 0), ("12.5", 12_500), (" 100 ", 100_000), ("0.001", 1), ("7.", 7_000)]
        {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
        for text in ["", ".5", "100.001", "101", "1e1", "-1", "+1", "1.2345", "1,5", "٣"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }

    #[test]
    fn names_find_their_way_into_addresses() {
        let order = Order::Shift { route: "a b/ü&c".to_owned(), percent: Share::ALL, lift_floor: false };
        assert_eq!(in_path("a b/ü&c"), "a%20b%2F%C3%BC%26c");
        assert_eq!(confirm_page(&order), "/actions/shift?route=a+b%2F%C3%BC%26c&percent=100");
    }
}
