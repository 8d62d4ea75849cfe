//! What differs, place by place: fields of JSON nested, then header fields, cookies and the rest.

use banyan_control::api::SeenSignature;

use super::percent;
use crate::screen::{self, Cell};

/// Ids of samples shown.
const SAMPLES_SHOWN: usize = 3;

/// A place, and what is in it.
#[derive(Default)]
struct Node<'s> {
    name: String,
    seen: Option<&'s SeenSignature>,
    below: Vec<Node<'s>>,
}

/// The tree as a table. Places come in the order given: most mismatches first.
pub(super) fn told(signatures: &[SeenSignature]) -> String {
    let mut root = Node::default();
    for seen in signatures {
        root.insert(&places(&seen.signature), seen);
    }
    let mut rows = Vec::new();
    for node in &mut root.below {
        node.join();
        node.rows(0, &mut rows);
    }
    let heading = ["PLACE", "SHARE", "MISMATCHES", "NOISE", "FIRST SEEN", "LAST SEEN", "SAMPLES"];
    screen::table(&heading, &rows)
}

/// The way to a signature: `/items/*/price value` is below `/items` and `/*`.
fn places(signature: &str) -> Vec<String> {
    let beside = |group: &str, rest: &str| vec![group.to_owned(), rest.to_owned()];
    if let Some(rest) = signature.strip_prefix("header:") {
        return beside("headers", rest);
    }
    if let Some(rest) = signature.strip_prefix("cookie:") {
        return beside("cookies", rest);
    }
    if let Some(rest) = signature.strip_prefix("status ") {
        return beside("status", rest);
    }
    match signature.rsplit_once(' ') {
        Some((pointer, kind)) if pointer.starts_with('/') => {
            let mut steps: Vec<String> = pointer[1..].split('/').map(|step| format!("/{step}")).collect();
            if let Some(last) = steps.last_mut() {
                last.extend([" ", kind]);
            }
            steps
        }
        Some(("(root)", _)) => vec![signature.to_owned()],
        _ => beside("body", signature),
    }
}

impl<'s> Node<'s> {
    fn insert(&mut self, places: &[String], seen: &'s SeenSignature) {
        let Some((first, rest)) = places.split_first() else {
            self.seen = Some(seen);
            return;
        };
        let found = self.below.iter().position(|node| node.name == *first);
        let place = found.unwrap_or_else(|| {
            self.below.push(Self { name: first.clone(), ..Self::default() });
            self.below.len() - 1
        });
        self.below[place].insert(rest, seen);
    }

    /// A place of a document with a single place in it is one line: `/items/*`.
    fn join(&mut self) {
        while self.seen.is_none() && self.below.len() == 1 && self.name.starts_with('/') {
            let Some(only) = self.below.pop() else { break };
            self.name += &only.name;
            (self.seen, self.below) = (only.seen, only.below);
        }
        self.below.iter_mut().for_each(Node::join);
    }

    fn rows(&self, depth: usize, rows: &mut Vec<Vec<Cell>>) {
        let name = format!("{}{}", "  ".repeat(depth), screen::printable(&self.name));
        rows.push(match self.seen {
            Some(seen) => row(name, seen),
            None => {
                std::iter::once(name).chain(std::iter::repeat_n(String::new(), 6)).map(Cell::from).collect()
            }
        });
        for node in &self.below {
            node.rows(depth + 1, rows);
        }
    }
}

fn row(name: String, seen: &SeenSignature) -> Vec<Cell> {
    let newest = seen.samples.iter().rev().take(SAMPLES_SHOWN).map(ToString::to_string);
    let samples = newest.collect::<Vec<_>>().join(" ");
    let style = if seen.mismatches > 0 { screen::RED } else { screen::PLAIN };
    vec![
        Cell::styled(name, style),
        seen.share.map_or_else(|| "-".to_owned(), percent).into(),
        seen.mismatches.to_string().into(),
        seen.noise.to_string().into(),
        seen.first_seen.clone().into(),
        seen.last_seen.clone().into(),
        if samples.is_empty() { "-".into() } else { samples.into() },
    ]
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn every_signature_has_a_place() {
        let check =
            |signature: &str, expected: &[&str]| assert_eq!(places(signature), expected, "{signature}");
        check("/items/*/a b value", &["/items", "/*", "/a b value"]);
        check("(root) type", &["(root) type"]);
        check("status 200 -> 500", &["status", "200 -> 500"]);
        check("header:etag missing", &["headers", "etag missing"]);
        check("cookie:sid attribute path", &["cookies", "sid attribute path"]);
        check("text changed #0123abcd", &["body", "text changed #0123abcd"]);
        check("bytes", &["body", "bytes"]);
        check("form json -> text", &["body", "form json -> text"]);
    }
}
