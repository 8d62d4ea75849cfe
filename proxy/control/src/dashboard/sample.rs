//! `GET /routes/{name}/samples/{id}`: a request and both answers, side by side and without secrets, as evidence keeps them.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::frame::{Page, Place};
use super::{address, missing, words};
use crate::admin::Sources;
use crate::admin::session::Viewer;
use crate::api::{Sample, SampleAnswer};

/// Lines that both sides have in common are shown too: more than any sample has.
const CONTEXT_LINES: usize = 1_000_000;

/// A line of one side, and whether the other side lacks it.
type Line = (String, bool);

pub(super) async fn page(
    State(sources): State<Sources>,
    Extension(viewer): Extension<Viewer>,
    Path((route, id)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    let asked = route.clone();
    let found = tokio::task::spawn_blocking(move || sources.evidence.sample(&asked, id)).await;
    let Ok(Some(sample)) = found else {
        let gone = format!("Route {route} has no sample {id}; it may have made room for a newer one.");
        return missing(&gone, &viewer, &headers);
    };
    let title = format!("{route}: sample {id}");
    Page::still(title, Place::BelowBoard, main(&sample)).respond(&viewer, &headers)
}

fn main(sample: &Sample) -> Markup {
    let request = &sample.request;
    let (legacy, candidate) = (&sample.legacy, &sample.candidate);
    let heads = aligned(&fields(legacy), &fields(candidate));
    let bodies = aligned(&body(legacy), &body(candidate));
    html! {
        p.crumbs { a href="/" { "Board" } " / " a href=(address::route(&sample.route)) { (sample.route) } " / sample " (sample.id) }
        div.head { h1 { "Sample " (sample.id) " of " (sample.route) } span { (sample.verdict) } }
        p.soft { "Asked " (words::time(&sample.at)) "; the client got the answer of " (sample.shown) ". Secrets are taken out before a sample is kept." }
        section.panel aria-labelledby="differences-title" {
            h2 #differences-title { "What differs" }
            ul {
                @for found in &sample.differences {
                    li {
                        code { (found.signature) }
                        @if let Some(pointer) = &found.pointer { " at " code { (pointer) } }
                        @if found.count > 1 { ", " (words::count(found.count)) " times" }
                    }
                }
            }
        }
        section.panel aria-labelledby="request-title" {
            h2 #request-title { "Request" }
            pre tabindex="0" {
                (request.method) " " (request.target) "\n"
                @for (name, value) in &request.headers { (name) ": " (value) "\n" }
                @if let Some(body) = &request.body { "\n" (body) }
            }
        }
        section.panel aria-labelledby="answers-title" {
            h2 #answers-title { "Both answers" }
            div.sides {
                (side("legacy", legacy, &heads.0, &bodies.0))
                (side("candidate", candidate, &heads.1, &bodies.1))
            }
            p.small.soft { "Marked lines are not on the other side." }
        }
    }
}

fn side(arm: &str, answer: &SampleAnswer, heads: &[Line], body: &[Line]) -> Markup {
    html! {
        div {
            h3 class=(arm) { (arm) }
            p {
                @match answer.status { Some(status) => { "status " strong { (status) } }, None => { "no answer" } }
                @if let Some(seconds) = answer.seconds { ", " (words::seconds(seconds)) }
                @if let Some(problem) = &answer.problem { " – " (problem) }
            }
            h4 { "Header fields" }
            (lines(heads))
            h4 { "Body" }
            @if body.is_empty() { p.none { "none" } } @else { (lines(body)) }
        }
    }
}

fn lines(lines: &[Line]) -> Markup {
    html! {
        pre tabindex="0" {
            @for (line, differs) in lines {
                @if *differs { mark { (line) } } @else { (line) }
                "\n"
            }
        }
    }
}

fn fields(answer: &SampleAnswer) -> String {
    answer.headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\n")
}

/// JSON by lines, whatever its layout; anything else as it is.
fn body(answer: &SampleAnswer) -> String {
    let Some(body) = &answer.body else { return String::new() };
    let json = serde_json::from_str::<serde_json::Value>(body).ok();
    let mut text =
        json.and_then(|json| serde_json::to_string_pretty(&json).ok()).unwrap_or_else(|| body.clone());
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Both texts by lines, each with whether it is missing on the other side.
fn aligned(legacy: &str, candidate: &str) -> (Vec<Line>, Vec<Line>) {
    let mut options = diffy::DiffOptions::new();
    let patch = options.set_context_len(CONTEXT_LINES).create_patch(legacy, candidate);
    if patch.hunks().is_empty() {
        let all = |text: &str| text.lines().map(|line| (line.to_owned(), false)).collect();
        return (all(legacy), all(candidate));
    }
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for line in patch.hunks().iter().flat_map(diffy::Hunk::lines) {
        let own = |text: &str, differs| (text.trim_end_matches('\n').to_owned(), differs);
        match line {
            diffy::Line::Context(text) => {
                left.push(own(text, false));
                right.push(own(text, false));
            }
            diffy::Line::Delete(text) => left.push(own(text, true)),
            diffy::Line::Insert(text) => right.push(own(text, true)),
        }
    }
    (left, right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_side_are_marked() {
        let (left, right) = aligned("a\nb\nc\n", "a\nB\nc\n");
        assert_eq!(left, [("a".to_owned(), false), ("b".to_owned(), true), ("c".to_owned(), false)]);
        assert_eq!(right, [("a".to_owned(), false), ("B".to_owned(), true), ("c".to_owned(), false)]);
    }

    #[test]
    fn equal_texts_are_shown_unmarked() {
        let (left, right) = aligned("a\n", "a\n");
        assert_eq!((left, right), (vec![("a".to_owned(), false)], vec![("a".to_owned(), false)]));
    }
}
