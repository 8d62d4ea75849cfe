//! The form of `explain`: which arm a request would get, and why. Decided by the table in force; nothing is sent.

use banyan_routes::RouteTable;
use maud::{Markup, html};

use super::Asked;
use crate::api::{ExplainRequest, Explained};
use crate::dashboard::signs::{Level, note};
use crate::dashboard::words;
use crate::explain::explain;

/// What was asked, and the answer if anything was.
pub(super) struct Question {
    method: String,
    target: String,
    host: String,
    headers: String,
    client: String,
    answer: Option<Result<Explained, String>>,
}

impl Question {
    /// Answered by this table.
    pub(super) fn answered(asked: &Asked, table: &RouteTable) -> Self {
        let answer = (!asked.target.is_empty()).then(|| decided(asked, table));
        let Asked { method, target, host, headers, client, .. } = asked;
        let (method, target) = (method.clone(), target.clone());
        Self { method, target, host: host.clone(), headers: headers.clone(), client: client.clone(), answer }
    }

    /// The section.
    pub(super) fn section(&self, route: &str) -> Markup {
        html! {
            section.panel #explain aria-labelledby="explain-title" {
                h2 #explain-title { "Explain a request" }
                @match &self.answer {
                    Some(Ok(explained)) => (told(explained, route)),
                    Some(Err(problem)) => (note(Level::Warn, &html! { p { (problem) } })),
                    None => {},
                }
                form method="get" action="#explain" { (self.fields()) }
            }
        }
    }

    fn fields(&self) -> Markup {
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        html! {
            div.fields {
                div.field {
                    label for="method" { "Method" }
                    input #method type="text" name="method" value=(method) size="7" required autocomplete="off" spellcheck="false";
                }
                div.field.wide {
                    label for="target" { "Path and query" }
                    input #target type="text" name="target" value=(self.target) required placeholder="/api/orders/7?x=1"
                        autocomplete="off" spellcheck="false";
                }
                div.field {
                    label for="host" { "Host" }
                    input #host type="text" name="host" value=(self.host) size="16" autocomplete="off" spellcheck="false";
                }
                div.field {
                    label for="client" { "Client address" }
                    input #client type="text" name="client" value=(self.client) size="16" placeholder="127.0.0.1"
                        autocomplete="off" spellcheck="false";
                }
                div.field.wide {
                    label for="headers" { "Header fields, one a line" }
                    textarea #headers name="headers" placeholder="x-user-id: 42" spellcheck="false" { (self.headers) }
                }
                button { "Explain" }
            }
        }
    }
}

fn decided(asked: &Asked, table: &RouteTable) -> Result<Explained, String> {
    let client = asked.client.trim();
    let question = ExplainRequest {
        method: if asked.method.is_empty() { "GET".to_owned() } else { asked.method.trim().to_uppercase() },
        target: asked.target.trim().to_owned(),
        host: asked.host.trim().to_owned(),
        headers: headers(&asked.headers)?,
        client: (!client.is_empty())
            .then(|| client.parse().map_err(|_| format!("not an address: `{client}`")))
            .transpose()?,
    };
    explain(table, &question).map_err(|problem| problem.to_string())
}

fn headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let parted = |line: &str| {
        let (name, value) =
            line.split_once(':').ok_or_else(|| format!("expected `name: value`, found `{line}`"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    lines.map(parted).collect()
}

fn told(explained: &Explained, route: &str) -> Markup {
    html! {
        (note(Level::Info, &html! {
            p { (explained.sentence) }
            @if explained.route != route {
                p { "It is not taken by " (route) " but by " strong { (explained.route) } "." }
            }
        }))
        dl.facts {
            dt { "Route" } dd { (explained.route) @if let Some(origin) = &explained.origin { " (" (origin) ")" } }
            dt { "Arm" } dd { strong class=(explained.arm) { (explained.arm) } }
            @if let Some(upstream) = &explained.upstream { dt { "Upstream" } dd { (upstream) } }
            dt { "Reason" } dd { (explained.reason) }
            @if let Some(sticky) = &explained.sticky { dt { "Sticky key" } dd { (sticky) } }
            @if let Some(bucket) = explained.bucket {
                dt { "Bucket" } dd { (words::count(u64::from(bucket))) " of 100\u{a0}000" }
            }
            @if let Some(percent) = &explained.percent { dt { "Share" } dd { (percent) "\u{a0}%" } }
            @if let Some(pin) = &explained.pin { dt { "Pin" } dd { (pin) } }
            @if let Some(path) = &explained.normal_path { dt { "Path as matched" } dd { code { (path) } } }
            @for (reading, taken) in &explained.other_readings {
                dt { "Other reading" } dd { code { (reading) } ": " (taken.as_deref().unwrap_or("default")) }
            }
        }
        @if !explained.losers.is_empty() {
            details #losers {
                summary { "Routes that nearly matched" }
                ul { @for (name, why) in &explained.losers { li { (name) ": " (why) } } }
            }
        }
    }
}
