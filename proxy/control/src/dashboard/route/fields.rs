//! Where the answers differ: a tree of fields, with samples, and the rule that would ignore each.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::api::{RouteEvidence, SeenSignature};
use crate::dashboard::{address, words};

/// Most signatures shown: those with the most mismatches.
const SHOWN_MAX: usize = 200;

/// Most samples offered of one: the oldest stay, the newest make room.
const SAMPLES_MAX: usize = 6;

/// A step of a pointer, and what is below it.
#[derive(Default)]
struct Node<'a> {
    below: BTreeMap<&'a str, Node<'a>>,
    here: Vec<(usize, &'a str, &'a SeenSignature)>,
}

/// The section.
pub(super) fn section(evidence: &RouteEvidence) -> Markup {
    let shown = &evidence.signatures[..evidence.signatures.len().min(SHOWN_MAX)];
    let left = evidence.signatures.len() - shown.len();
    html! {
        section.panel #fields data-live aria-labelledby="fields-title" {
            h2 #fields-title { "Where answers differ" }
            @if shown.is_empty() {
                p {
                    @if evidence.counts.compared == 0 { (words::no_data()) }
                    @else { "Nowhere, in " (words::of(as_size(evidence.counts.compared), "comparison", "comparisons")) "." }
                }
            } @else {
                (branch(&tree(shown), &evidence.route))
                @if left > 0 { p.small.soft { "and " (left) " more, with fewer mismatches" } }
                @if let Some(suggestion) = &evidence.suggestion { (suggested(suggestion)) }
            }
            @if evidence.overflow.signatures > 0 {
                p.small.warn { (words::count(evidence.overflow.signatures)) " sightings had no room and are not in here." }
            }
        }
    }
}

fn as_size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn tree(signatures: &[SeenSignature]) -> Node<'_> {
    let mut root = Node::default();
    for (at, seen) in signatures.iter().enumerate() {
        let (steps, kind) = parted(&seen.signature);
        let mut node = &mut root;
        for step in steps {
            node = node.below.entry(step).or_default();
        }
        node.here.push((at, kind, seen));
    }
    root
}

/// The steps of a pointer (`items`, `*`, `price`) and the kind of difference; whatever has no pointer is one step.
fn parted(signature: &str) -> (Vec<&str>, &str) {
    let (place, kind) = signature.rsplit_once(' ').unwrap_or((signature, "differs"));
    if let Some(pointer) = place.strip_prefix('/') {
        return (pointer.split('/').collect(), kind);
    }
    match signature.split_once(' ') {
        Some((place @ ("status" | "text" | "form"), kind)) => (vec![place], kind),
        _ => (vec![place], kind),
    }
}

fn branch(node: &Node<'_>, route: &str) -> Markup {
    html! {
        ul.tree {
            @for (step, below) in &node.below {
                li {
                    span.pointer { (unescaped(step)) }
                    @for (at, kind, seen) in &below.here { (leaf(*at, kind, seen, route)) }
                    @if !below.below.is_empty() { (branch(below, route)) }
                }
            }
        }
    }
}

/// RFC 6901, 3.
fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

fn leaf(at: usize, kind: &str, seen: &SeenSignature, route: &str) -> Markup {
    html! {
        div.leaf {
            strong { (kind) }
            span { (words::count(seen.mismatches)) " mismatches" }
            @if let Some(share) = seen.share { span.soft { (words::percent(share)) } }
            @if seen.noise > 0 { span.soft { (words::count(seen.noise)) " as noise" } }
            span.soft { "last " (words::time(&seen.last_seen)) }
            @for id in seen.samples.iter().take(SAMPLES_MAX) {
                a href={ (address::route(route)) "/samples/" (id) } { "sample " (id) }
            }
        }
        details id={ "ignore-" (at) } {
            summary { "TOML to ignore this" }
            (ignoring(at, &seen.signature))
        }
    }
}

/// What was cut to fit names nothing.
fn ignoring(at: usize, signature: &str) -> Markup {
    let is_cut = signature.len() > 9 && signature.as_bytes()[signature.len() - 9] == b'~';
    let id = format!("toml-{at}");
    html! {
        @if is_cut {
            p { "Its name was too long to be kept whole: look at a sample and write the rule by hand." }
        } @else {
            pre id=(id) tabindex="0" { "compare = { ignore = [" (quoted(signature)) "] }" }
            div.row {
                button.tiny type="button" data-copy=(id) hidden { "Copy" }
                span.small.soft { "Into the route; beside other rules only the item of the list." }
            }
        }
    }
}

/// A basic string of TOML. Signatures have no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn suggested(suggestion: &str) -> Markup {
    html! {
        details #suggestion.boxed {
            summary { "Rules for what looks like noise, to be reviewed" }
            pre #suggested tabindex="0" { (suggestion) }
            button.tiny type="button" data-copy="suggested" hidden { "Copy" }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_parted_into_steps_and_a_kind() {
        assert_eq!(parted("/items/*/price value"), (vec!["items", "*", "price"], "value"));
        assert_eq!(parted("header:etag missing"), (vec!["header:etag"], "missing"));
        assert_eq!(parted("status 200 -> 500"), (vec!["status"], "200 -> 500"));
        assert_eq!(parted("text changed #00ff00ff"), (vec!["text"], "changed #00ff00ff"));
        assert_eq!(parted("(root) type"), (vec!["(root)"], "type"));
        assert_eq!(parted("bytes"), (vec!["bytes"], "differs"));
    }

    #[test]
    fn a_rule_is_toml_whatever_the_field_is_called() {
        let signature = r#"/a"b\c/</pre> value"#;
        let markup = ignoring(0, signature).into_string();
        let from = markup.find("compare").unwrap();
        let text = &markup[from..markup.find("</pre>").unwrap()];
        let toml =
            text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
        let read: toml_edit::DocumentMut = toml.parse().unwrap();
        assert_eq!(read["compare"]["ignore"][0].as_str(), Some(signature));
    }
}
