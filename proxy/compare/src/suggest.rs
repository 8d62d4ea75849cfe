//! TOML for what looks like noise, to be reviewed by a human before it goes into routes.toml.

use std::cmp::Reverse;
use std::fmt::Write as _;

use crate::noise::{Learned, Learning, NoiseVerdict};

/// Lines of the longest suggestion.
const SUGGESTED_MAX: usize = 64;

/// `compare = { ignore = [...] }` with every signature that is noise and can be named, and its counts as a remark;
/// what has to be looked at by hand stands below as remarks. None if nothing is noise.
pub fn suggest(learning: &Learning) -> Option<String> {
    let mut noise: Vec<Learned> =
        learning.learned().filter(|one| one.verdict == NoiseVerdict::Noise).collect();
    noise.sort_by_key(|one| Reverse(one.disagreed.with_itself));
    let (named, by_hand): (Vec<Learned>, Vec<Learned>) =
        noise.into_iter().partition(|one| can_be_ignored(one.signature.as_str()));
    if named.is_empty() && by_hand.is_empty() {
        return None;
    }
    let mut out = String::new();
    if !named.is_empty() {
        out.push_str("compare = { ignore = [\n");
        for one in named.iter().take(SUGGESTED_MAX) {
            let counts = counts(one, learning);
            let _ = writeln!(out, "    {}, # {counts}", quoted(one.signature.as_str()));
        }
        out.push_str("] }\n");
    }
    for one in by_hand.iter().take(SUGGESTED_MAX) {
        let _ = writeln!(out, "# look at it by hand: {} ({})", one.signature, counts(one, learning));
    }
    let left = named.len().saturating_sub(SUGGESTED_MAX) + by_hand.len().saturating_sub(SUGGESTED_MAX);
    if left > 0 {
        let _ = writeln!(out, "# and {left} more");
    }
    Some(out)
}

fn counts(one: &Learned, learning: &Learning) -> String {
    format!(
        "legacy with itself {} of {}, candidate {} of {}",
        one.disagreed.with_itself,
        learning.requests_asked_twice(),
        one.disagreed.with_candidate,
        learning.requests_compared()
    )
}

/// A place of one value. A status, a line of a page or all bytes are too much to ignore on a suggestion; what was
/// cut names nothing.
fn can_be_ignored(signature: &str) -> bool {
    let named = ["/", "header:", "cookie:"].iter().any(|start| signature.starts_with(start));
    let cut = signature.len() > 9 && signature.as_bytes()[signature.len() - 9] == b'~';
    named && !cut
}

/// A basic string of TOML. Signatures have no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
