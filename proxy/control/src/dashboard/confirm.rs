//! `GET /actions/...`: what an action would do, before anybody does it: before and after, which clients move, the command
//! that does the same. The button sends the plan's token back, so that what was read is what happens.

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use banyan_routes::Share;
use maud::{Markup, html};
use serde::Deserialize;

use super::configuration::diff;
use super::frame::{Page, Place};
use super::signs::{Level, icon, note};
use super::{address, route};
use crate::actions::{Move, Order, Planned};
use crate::admin::Sources;
use crate::admin::session::{May, Viewer};

/// The query of all three.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    route: String,
    percent: String,
    force: String,
    lift_floor: String,
}

/// What differs between the pages.
struct Words {
    heading: String,
    button: String,
    address: &'static str,
    is_dangerous: bool,
}

pub(super) async fn shift(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let percent = asked.percent.trim().trim_end_matches('%').trim();
    let Some(share) = share(percent) else {
        return which_share(&asked, &viewer, &headers);
    };
    let words = Words {
        heading: format!("Shift {} to {share} %", asked.route),
        button: format!("Shift to {share} %"),
        address: "/actions/shift",
        is_dangerous: false,
    };
    let lift_floor = asked.lift_floor == "yes";
    let order = Order::Shift { route: asked.route.clone(), percent: share, lift_floor };
    confirm(sources, order, words, &asked, &viewer, &headers).await
}

pub(super) async fn rollback(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let one = (!asked.route.is_empty()).then(|| asked.route.clone());
    let words = Words {
        heading: one
            .as_ref()
            .map_or_else(|| "Roll back every route".to_owned(), |route| format!("Roll back {route}")),
        button: one
            .as_ref()
            .map_or_else(|| "Roll back every route".to_owned(), |route| format!("Roll back {route}")),
        address: "/actions/rollback",
        is_dangerous: true,
    };
    let order = Order::Rollback { route: one, force: asked.force == "yes" };
    confirm(sources, order, words, &asked, &viewer, &headers).await
}

pub(super) async fn undo(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
) -> Response {
    let words = Words {
        heading: "Undo the last change".to_owned(),
        button: "Undo".to_owned(),
        address: "/actions/undo",
        is_dangerous: false,
    };
    confirm(sources, Order::Undo, words, &Asked::default(), &viewer, &headers).await
}

/// `25`, `12.5`, `0.001`; at most three decimals, as in the file.
fn share(text: &str) -> Option<Share> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 3 || !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let thousandths = whole.parse::<u32>().ok()?.checked_mul(1000)?;
    let rest = format!("{decimals:0<3}").parse::<u32>().ok()?;
    Share::from_thousandths(thousandths.checked_add(rest)?)
}

async fn confirm(
    sources: Sources,
    order: Order,
    words: Words,
    asked: &Asked,
    viewer: &Viewer,
    headers: &HeaderMap,
) -> Response {
    // Reads files and waits for a lock.
    let planned = tokio::task::spawn_blocking(move || sources.actions.plan(&order)).await;
    let main = match planned {
        Ok(planned) => main(&planned, &words, asked, viewer),
        Err(_) => note(Level::Bad, &html! { p { "The plan could not be made: the log says why." } }),
    };
    Page::still(words.heading.clone(), Place::BelowBoard, main).respond(viewer, headers)
}

fn main(planned: &Planned, words: &Words, asked: &Asked, viewer: &Viewer) -> Markup {
    html! {
        div.step {
            p.crumbs {
                a href="/" { "Board" }
                @if !asked.route.is_empty() { " / " a href=(address::route(&asked.route)) { (asked.route) } }
            }
            h1 { (words.heading) }
            @if let Some(refused) = &planned.refused {
                (note(Level::Bad, &html! {
                    p { strong { "This cannot be done." } }
                    pre.report tabindex="0" { (refused.message) }
                    @if let Some(hint) = &refused.hint { p { "hint: " (hint) } }
                }))
                (again(refused.code, words, asked))
            } @else {
                (what_happens(planned))
                (form(planned, words, asked, viewer))
            }
        }
    }
}

fn what_happens(planned: &Planned) -> Markup {
    html! {
        @for moving in &planned.moves { (turn(moving)) }
        @if planned.moves.is_empty() { p { "No client moves." } }
        @if !planned.changes.is_empty() {
            section.panel aria-label="Changes" {
                ul { @for change in &planned.changes { li { (change) } } }
                @if !planned.difference.is_empty() {
                    details #text { summary { "The text of the file" } (diff(&planned.difference)) }
                }
            }
        }
        @for warning in &planned.warnings { (note(Level::Warn, &html! { p { (warning) } })) }
        @if let Some(why) = &planned.in_memory {
            (note(Level::Warn, &html! {
                p { strong { "Held in memory only." } " The file cannot be written: " (why) }
                p { "It holds until the files mean something else, or this process ends." }
            }))
        }
        p { "The same from a shell:" }
        pre #command tabindex="0" { (planned.command) }
        button.tiny type="button" data-copy="command" hidden { "Copy" }
    }
}

fn turn(moving: &Move) -> Markup {
    let (arm, words) =
        if moving.to_candidate { ("candidate", "the candidate") } else { ("legacy", "legacy") };
    html! {
        section.panel aria-label=(moving.route) {
            h2 { (moving.route) }
            div.turn {
                p.figure { (moving.from) "\u{a0}%" }
                (icon("arrow"))
                p.figure { span.unseen { "to " } (moving.to) "\u{a0}%" }
            }
            p { strong { (moving.clients) "\u{a0}% of clients" } " move to " span class=(arm) { (words) } "." }
        }
    }
}

fn form(planned: &Planned, words: &Words, asked: &Asked, viewer: &Viewer) -> Markup {
    let Some(session) = viewer.session.as_ref().filter(|_| viewer.may == May::Change) else {
        return note(Level::Info, &html! { p { (route::why_not(viewer.may)) } });
    };
    html! {
        form.panel method="post" action=(words.address) {
            input type="hidden" name="csrf" value=(session.csrf);
            input type="hidden" name="plan" value=(planned.token);
            @for (name, value) in fields(asked) { input type="hidden" name=(name) value=(value); }
            div.field.wide {
                label for="why" { "Why (for the history)" }
                input #why type="text" name="why" maxlength="500" autocomplete="off";
            }
            p.small.soft { "In the history as " strong { (session.who) } "." }
            div.row {
                button.main.danger[words.is_dangerous] { (words.button) }
                a.button href=(back(asked)) { "Cancel" }
            }
        }
    }
}

/// A refusal that the reader may overrule by asking again, knowing what it means.
fn again(code: &str, words: &Words, asked: &Asked) -> Markup {
    let (name, label) = match code {
        "floor" => ("lift_floor", "End the rollback that is held in memory with it"),
        "store" => ("force", "Also where the candidate writes a store of its own"),
        _ => return html! { p { a.button href=(back(asked)) { "Back" } } },
    };
    html! {
        form method="get" action=(words.address) {
            @for (known, value) in fields(asked).into_iter().filter(|(known, _)| *known != name) {
                input type="hidden" name=(known) value=(value);
            }
            input type="hidden" name=(name) value="yes";
            div.row { button { (label) } a.button href=(back(asked)) { "Back" } }
        }
    }
}

fn fields(asked: &Asked) -> Vec<(&'static str, &str)> {
    let all = [
        ("route", asked.route.as_str()),
        ("percent", asked.percent.as_str()),
        ("force", asked.force.as_str()),
        ("lift_floor", asked.lift_floor.as_str()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn back(asked: &Asked) -> String {
    if asked.route.is_empty() { "/".to_owned() } else { address::route(&asked.route) }
}

/// No share was given, or none that is one.
fn which_share(asked: &Asked, viewer: &Viewer, headers: &HeaderMap) -> Response {
    let main = html! {
        div.step {
            p.crumbs { a href="/" { "Board" } " / " a href=(address::route(&asked.route)) { (asked.route) } }
            h1 { "Shift " (asked.route) }
            @if !asked.percent.is_empty() {
                (note(Level::Warn, &html! {
                    p { "Not a share: " code { (asked.percent) } ". Expected 0 to 100 with at most three decimals." }
                }))
            }
            form.panel method="get" action="/actions/shift" {
                input type="hidden" name="route" value=(asked.route);
                div.fields {
                    div.field {
                        label for="percent" { "New share in percent" }
                        input #percent type="text" name="percent" inputmode="decimal" required autofocus size="8" autocomplete="off"
                            pattern="[0-9]{1,3}([.][0-9]{1,3})?" title="0 to 100, at most three decimals";
                    }
                    button.main { "Review the shift" }
                    a.button href=(back(asked)) { "Cancel" }
                }
            }
            p.soft { "Nothing happens before the next page has said what would." }
        }
    };
    Page::still(format!("Shift {}", asked.route), Place::BelowBoard, main).respond(viewer, headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_as_in_the_file() {
        let thousandths = |text| share(text).map(Share::thousandths);
        assert_eq!(thousandths("0"), Some(0));
        assert_eq!(thousandths("12.5"), Some(12_500));
        assert_eq!(thousandths("0.001"), Some(1));
        assert_eq!(thousandths("100"), Some(100_000));
        for wrong in ["", "101", "100.001", "1.2345", "-1", "1e2", ".5", "ten", "99999999999"] {
            assert_eq!(thousandths(wrong), None, "{wrong}");
        }
    }
}
