//! `Connection`, and the fields it names.

use http::header::{CONNECTION, Entry, HeaderMap, HeaderValue, OccupiedEntry};

pub(super) fn has_option(headers: &HeaderMap, wanted: &str) -> bool {
    headers.get_all(CONNECTION).iter().flat_map(options_of).any(|option| option.eq_ignore_ascii_case(wanted))
}

/// Options of one `Connection` line; one that is no text names no field, and hides no other.
fn options_of(line: &HeaderValue) -> impl Iterator<Item = &str> {
    let options = line.as_bytes().split(|&byte| byte == b',');
    options.filter_map(|option| str::from_utf8(option.trim_ascii()).ok())
}

/// Removes `Connection` and every field it names, but for those that the message itself needs.
pub(super) fn remove_nominated(headers: &mut HeaderMap) {
    let lines = match headers.entry(CONNECTION) {
        Entry::Occupied(entry) if is_usual_alone(&entry) => {
            entry.remove();
            return;
        }
        Entry::Occupied(entry) => entry.remove_entry_mult().1.collect::<SmallLines>(),
        Entry::Vacant(_) => return,
    };
    for option in lines.0.iter().chain(&lines.1).flat_map(options_of) {
        let is_needed = ["host", "content-length"].iter().any(|needed| option.eq_ignore_ascii_case(needed));
        if !is_usual(option.as_bytes()) && !is_needed && !option.is_empty() {
            headers.remove(option);
        }
    }
}

/// What nearly every message says, if it says anything.
fn is_usual_alone(entry: &OccupiedEntry<'_, HeaderValue>) -> bool {
    let mut lines = entry.iter();
    lines.next().is_some_and(|line| is_usual(line.as_bytes())) && lines.next().is_none()
}

/// The usual options name no field worth a look-up, or fields that go anyway.
fn is_usual(option: &[u8]) -> bool {
    let usual: [&[u8]; 4] = [b"keep-alive", b"close", b"upgrade", b"te"];
    usual.iter().any(|usual| option.eq_ignore_ascii_case(usual))
}

/// One line without allocating, more with.
#[derive(Default)]
struct SmallLines(Option<HeaderValue>, Vec<HeaderValue>);

impl FromIterator<HeaderValue> for SmallLines {
    fn from_iter<I: IntoIterator<Item = HeaderValue>>(lines: I) -> Self {
        let mut lines = lines.into_iter();
        Self(lines.next(), lines.collect())
    }
}
