//! Texts by lines: line ends are one, white space at the ends of lines and blank lines at the end do not count.

use std::borrow::Cow;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::difference::{Difference, LineChange};
use crate::findings::Findings;
use crate::signature::short_hash;

/// Bytes of a line that make its shape.
const SHAPE_BYTES_MAX: usize = 256;

/// Line ends of one kind.
pub(crate) fn unix(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Adds what differs.
pub(crate) fn differ(legacy: &str, candidate: &str, findings: &mut Findings<'_>) {
    let (legacy, candidate) = (lines(legacy), lines(candidate));
    if legacy == candidate {
        return;
    }
    // The same alignment whoever sent which.
    let swapped = legacy > candidate;
    let (first, second) = if swapped { (&candidate, &legacy) } else { (&legacy, &candidate) };
    let mut input = InternedInput::default();
    input.update_before(first.iter().copied());
    input.update_after(second.iter().copied());
    for hunk in Diff::compute(Algorithm::Histogram, &input).hunks() {
        let (before, after) = (range(&hunk.before), range(&hunk.after));
        let (of_legacy, of_candidate) = if swapped { (after, before) } else { (before, after) };
        differ_hunk(&legacy, &candidate, of_legacy, of_candidate, findings);
    }
}

fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    while lines.pop_if(|line| line.is_empty()).is_some() {}
    lines
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn differ_hunk(
    legacy: &[&str],
    candidate: &[&str],
    of_legacy: Range<usize>,
    of_candidate: Range<usize>,
    findings: &mut Findings<'_>,
) {
    let common = of_legacy.len().min(of_candidate.len());
    let mut add =
        |index: usize, change, shape| findings.add(Difference::Text { line: index + 1, change, shape });
    for (i, j) in of_legacy.clone().zip(of_candidate.clone()) {
        add(i, LineChange::Changed, shape(common_start(legacy[i], candidate[j])));
    }
    for index in of_legacy.skip(common) {
        add(index, LineChange::Removed, shape(legacy[index]));
    }
    for index in of_candidate.skip(common) {
        add(index, LineChange::Added, shape(candidate[index]));
    }
}

/// What both begin with, up to where a word that differs begins.
fn common_start<'t>(one: &'t str, other: &str) -> &'t str {
    let end = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let start = &one[..one.floor_char_boundary(end)];
    start.trim_end_matches(|c: char| c.is_alphanumeric() || "_-+/=".contains(c))
}

fn shape(line: &str) -> u32 {
    let line = &line[..line.floor_char_boundary(SHAPE_BYTES_MAX)];
    let mut folded = String::with_capacity(line.len());
    for character in line.chars() {
        let character = if character.is_ascii_digit() { '0' } else { character };
        if character != '0' || !folded.ends_with('0') {
            folded.push(character);
        }
    }
    short_hash(folded.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{common_start, shape};

    #[test]
    fn a_shape_is_what_does_not_change() {
        let line = |token| format!("<input name=\"csrf\" value=\"{token}\">");
        assert_eq!(common_start(&line("a8/f"), &line("a8+b")), "<input name=\"csrf\" value=\"");
        assert_eq!(shape("order 17, 9 items"), shape("order 4711, 10 items"));
        assert_ne!(shape("order 17"), shape("order x"));
        assert_eq!(common_start("é", "è"), "");
    }
}
