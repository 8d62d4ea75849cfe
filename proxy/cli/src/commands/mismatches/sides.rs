//! A request and both its answers, side by side.

use std::fmt::Write as _;

use banyan_control::api::{Sample, SampleAnswer};
use imara_diff::{Algorithm, Diff, InternedInput};

use crate::screen::{self, BOLD, PLAIN, RED};

/// Columns that a side has at least.
const SIDE_MIN: usize = 20;

/// The sample in this many columns. Lines that differ are marked: `|` reads otherwise, `<` only legacy, `>` only the
/// candidate.
pub(super) fn told(sample: &Sample, width: usize) -> String {
    let side = (width.saturating_sub(3) / 2).max(SIDE_MIN);
    let request = &sample.request;
    let mut out = format!(
        "sample {} of route {}, {}, {}: shown {}\n",
        sample.id,
        screen::printable(&sample.route),
        sample.at,
        sample.verdict,
        sample.shown
    );
    for difference in &sample.differences {
        let place = difference.pointer.as_ref().map(|pointer| format!(" at {pointer}")).unwrap_or_default();
        let line = format!("  {} (x{}){place}", difference.signature, difference.count);
        let _ = writeln!(out, "{}", screen::printable(&line));
    }
    let _ = writeln!(out, "\n{}", screen::printable(&format!("{} {}", request.method, request.target)));
    for (name, value) in &request.headers {
        let _ = writeln!(out, "{}", screen::printable(&format!("{name}: {value}")));
    }
    for line in request.body.as_deref().map(pretty).unwrap_or_default() {
        let _ = writeln!(out, "{}", screen::printable(&line));
    }
    let _ = writeln!(out, "\n{BOLD}{:side$}   CANDIDATE{BOLD:#}", "LEGACY");
    out += &aligned(&head(&sample.legacy), &head(&sample.candidate), side);
    out += "\n";
    out + &aligned(&body(&sample.legacy), &body(&sample.candidate), side)
}

/// Status and fields, these in the order of their names.
fn head(answer: &SampleAnswer) -> Vec<String> {
    let mut fields: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    let status = answer.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
    std::iter::once(status).chain(fields).collect()
}

fn body(answer: &SampleAnswer) -> Vec<String> {
    let problem = answer.problem.iter().map(|problem| format!("({problem})"));
    problem.chain(answer.body.as_deref().map(pretty).unwrap_or_default()).collect()
}

/// JSON with a line for each value, nothing of it changed; any other text by its lines.
fn pretty(text: &str) -> Vec<String> {
    if !text.starts_with(['{', '[']) || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return text.lines().map(str::to_owned).collect();
    }
    let (mut lines, mut line, mut depth) = (Vec::new(), String::new(), 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            line.push(character);
            in_string = escaped || character != '"';
            escaped = character == '\\' && !escaped;
            continue;
        }
        match character {
            '{' | '[' if characters.peek().is_some_and(|next| !matches!(next, '}' | ']')) => {
                line.push(character);
                depth += 1;
                lines.push(std::mem::replace(&mut line, "  ".repeat(depth)));
            }
            '}' | ']' if !line.trim_end().ends_with(['{', '[']) => {
                depth = depth.saturating_sub(1);
                lines.push(std::mem::replace(&mut line, "  ".repeat(depth)));
                line.push(character);
            }
            ',' => {
                line.push(',');
                lines.push(std::mem::replace(&mut line, "  ".repeat(depth)));
            }
            ':' => line.push_str(": "),
            '"' => {
                line.push('"');
                in_string = true;
            }
            blank if blank.is_whitespace() => {}
            other => line.push(other),
        }
    }
    lines.push(line);
    lines
}

fn aligned(legacy: &[String], candidate: &[String], side: usize) -> String {
    let mut input = InternedInput::default();
    input.update_before(legacy.iter().map(|line| alone(line)));
    input.update_after(candidate.iter().map(|line| alone(line)));
    let (mut out, mut left, mut right) = (String::new(), 0, 0);
    for hunk in Diff::compute(Algorithm::Histogram, &input).hunks() {
        let (before, after) = (hunk.before.start as usize..hunk.before.end as usize, hunk.after.end as usize);
        while left < before.start {
            out += &line(legacy.get(left), candidate.get(right), side);
            (left, right) = (left + 1, right + 1);
        }
        while left < before.end || right < after {
            let one = legacy.get(left).filter(|_| left < before.end);
            let other = candidate.get(right).filter(|_| right < after);
            out += &line(one, other, side);
            (left, right) = (left + usize::from(one.is_some()), right + usize::from(other.is_some()));
        }
    }
    while left < legacy.len() {
        out += &line(legacy.get(left), candidate.get(right), side);
        (left, right) = (left + 1, right + 1);
    }
    out
}

/// A line without what only says that another one follows.
fn alone(line: &str) -> &str {
    line.strip_suffix(',').unwrap_or(line)
}

fn line(legacy: Option<&String>, candidate: Option<&String>, side: usize) -> String {
    let (mark, style) = match (legacy, candidate) {
        (Some(one), Some(other)) if alone(one) == alone(other) => (' ', PLAIN),
        (Some(_), Some(_)) => ('|', RED),
        (Some(_), None) => ('<', RED),
        (None, _) => ('>', RED),
    };
    let [left, right] = [legacy, candidate].map(|text| cut(text.map_or("", String::as_str), side));
    let gap = " ".repeat(side - left.chars().count());
    let line = format!("{left}{gap} {mark} {right}");
    format!("{style}{}{style:#}\n", line.trim_end())
}

/// What is too long ends in `…`.
fn cut(text: &str, side: usize) -> String {
    let text = screen::printable(text);
    if text.chars().count() <= side {
        return text;
    }
    text.chars().take(side - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::{aligned, pretty};

    #[test]
    fn nothing_of_a_document_is_changed() {
        let lines = pretty(r#"{"a":[1.0,{"b\",":"{}"}],"c":{},"d":[]}"#);
        let expected = [
            "{",
            "  \"a\": [",
            "    1.0,",
            "    {",
            "      \"b\\\",\": \"{}\"",
            "    }",
            "  ],",
            "  \"c\": {},",
            "  \"d\": []",
            "}",
        ];
        assert_eq!(lines, expected);
        assert_eq!(pretty("{\"a\":"), ["{\"a\":"]);
    }

    #[test]
    fn what_differs_is_marked() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let text = aligned(&lines("a b c"), &lines("a x y c d\u{1b}[31m"), 4);
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(text, "a      a\nb    | x\n     > y\nc      c\n     > d\\u…\n");
    }
}
