//! Header fields as they came: one text, and where in it the lines are.
//!
//! Most fields pass unchanged, so that they are neither taken apart nor put together again: names keep their spelling, for old
//! programs look for `Content-Length` and nothing else (RFC 9110 5.1 lets them not), and lines that stand side by side are written
//! as one piece. What is added stands behind the rest of the text. A head has few lines: they are looked through, not hashed.

use banyan_routes::Fields as RoutedFields;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};

/// The fields of one head, in order.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    /// Only ever grows, so that a [`Span`] stays what it is.
    text: Vec<u8>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Line {
    name: Span,
    value: Span,
}

/// A piece of the text of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    begin: u32,
    length: u32,
}

/// Most fields that `http`'s map takes without growing beyond its bounds, at which it panics.
const MOST: usize = 24 << 10;

/// How a line ends on the wire.
const LINE_END: &[u8] = b"\r\n";

impl Fields {
    /// Fields of this text, of which none is known yet.
    pub(crate) fn of_text(text: &[u8], lines: usize) -> Self {
        Self { text: text.to_vec(), lines: Vec::with_capacity(lines) }
    }

    /// A line of the text that this was made of.
    pub(crate) fn push(&mut self, name: Span, value: Span) {
        self.lines.push(Line { name, value });
    }

    /// How many lines there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of memory, room for what may be added left out.
    pub(crate) fn memory(&self) -> u64 {
        (self.text.len() + self.lines.len() * size_of::<Line>()) as u64
    }

    pub(crate) fn text(&self, span: Span) -> &[u8] {
        &self.text[span.begin as usize..][..span.length as usize]
    }

    /// Names as they were written.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| self.text(line.name))
    }

    /// The value of the first line of this name.
    pub(crate) fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        self.span(name).map(|value| self.text(value))
    }

    /// Where it stands.
    pub(crate) fn span(&self, name: &HeaderName) -> Option<Span> {
        let name = name.as_str().as_bytes();
        self.lines.iter().find(|line| line.is(&self.text, name)).map(|line| line.value)
    }

    /// The values of all lines of this name.
    pub(crate) fn get_all(&self, name: &HeaderName) -> impl DoubleEndedIterator<Item = &[u8]> + Clone {
        let name = name.as_str().as_bytes();
        let of_name = move |line: &&Line| line.is(&self.text, name);
        self.lines.iter().filter(of_name).map(|line| self.text(line.value))
    }

    pub(crate) fn contains(&self, name: &HeaderName) -> bool {
        self.span(name).is_some()
    }

    /// Puts one line in place of all of this name, where the first of them stood, or behind all others. It keeps the spelling.
    pub(crate) fn insert(&mut self, name: &HeaderName, value: &HeaderValue) {
        let known = name.as_str().as_bytes();
        let Some(first) = self.lines.iter().position(|line| line.is(&self.text, known)) else {
            return self.append(name, value);
        };
        let value = self.add(value.as_bytes());
        self.lines[first].value = value;
        let (text, mut place) = (&self.text, 0..);
        self.lines.retain(|line| place.next() <= Some(first) || !line.is(text, known));
    }

    /// One line more.
    pub(crate) fn append(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append_text(spelled(name), value.as_bytes());
    }

    /// The same with a value that stands in the text already.
    pub(crate) fn append_copy(&mut self, name: &HeaderName, value: Span) {
        let value = self.text(value).to_vec();
        self.append_text(spelled(name), &value);
    }

    /// The lines of others behind these.
    pub(crate) fn extend(&mut self, others: &Self) {
        let begin = self.text.len();
        self.text.extend_from_slice(&others.text);
        self.lines.extend(others.lines.iter().map(|line| line.moved(begin)));
    }

    fn append_text(&mut self, name: &[u8], value: &[u8]) {
        // As on the wire, so that it is written as it stands.
        self.text.reserve(name.len() + value.len() + 4);
        let name = self.add(name);
        self.text.extend_from_slice(b": ");
        let value = self.add(value);
        self.text.extend_from_slice(LINE_END);
        self.lines.push(Line { name, value });
    }

    fn add(&mut self, text: &[u8]) -> Span {
        let span = Span::new(self.text.len(), text.len());
        self.text.extend_from_slice(text);
        span
    }

    /// Removes all lines of this name.
    pub(crate) fn remove(&mut self, name: &HeaderName) {
        let Self { text, lines } = self;
        let name = name.as_str().as_bytes();
        lines.retain(|line| !line.is(text, name));
    }

    /// Keeps the lines for whose names this holds.
    pub(crate) fn retain(&mut self, mut holds: impl FnMut(&[u8]) -> bool) {
        let Self { text, lines } = self;
        lines.retain(|line| holds(line.name.of(text)));
    }

    /// Changes values; `None` leaves one as it is, and so does what cannot stand in a field.
    pub(crate) fn change(&mut self, mut to: impl FnMut(&[u8], &[u8]) -> Option<Vec<u8>>) {
        for place in 0..self.lines.len() {
            let Line { name, value } = self.lines[place];
            let changed = to(self.text(name), self.text(value));
            if let Some(changed) = changed.filter(|bytes| HeaderValue::from_bytes(bytes).is_ok()) {
                self.lines[place].value = self.add(&changed);
            }
        }
    }

    /// As lines of HTTP/1, but for those that are left out: by name.
    pub(crate) fn write(&self, out: &mut Vec<u8>, mut is_left_out: impl FnMut(&[u8]) -> bool) {
        out.reserve(self.text.len());
        // Lines side by side are written as one.
        let (mut begin, mut end) = (0, 0);
        for line in &self.lines {
            if is_left_out(self.text(line.name)) {
                continue;
            }
            match self.on_the_wire(line) {
                Some((from, to)) if from == end => end = to,
                Some((from, to)) => {
                    out.extend_from_slice(&self.text[begin..end]);
                    (begin, end) = (from, to);
                }
                None => {
                    out.extend_from_slice(&self.text[begin..end]);
                    (begin, end) = (0, 0);
                    write_line(self.text(line.name), self.text(line.value), out);
                }
            }
        }
        out.extend_from_slice(&self.text[begin..end]);
    }

    /// Where the line stands with its end, if it stands as it would be written.
    fn on_the_wire(&self, line: &Line) -> Option<(usize, usize)> {
        let (name, value) = (line.name.range(), line.value.range());
        let is_it = name.end + 2 == value.start
            && self.text.get(name.end..value.start) == Some(b": ")
            && self.text.get(value.end..value.end + 2) == Some(LINE_END);
        is_it.then_some((name.start, value.end + 2))
    }
}

/// What ends at each hop is removed and said anew, for programs that know it by its usual spelling only.
fn spelled(name: &HeaderName) -> &[u8] {
    match *name {
        CONNECTION => b"Connection",
        TE => b"TE",
        TRANSFER_ENCODING => b"Transfer-Encoding",
        UPGRADE => b"Upgrade",
        _ => name.as_ref(),
    }
}

/// A line that stands among no fields.
pub(crate) fn write_own_line(name: &HeaderName, value: &[u8], out: &mut Vec<u8>) {
    write_line(spelled(name), value, out);
}

impl Line {
    fn moved(self, by: usize) -> Self {
        let moved = |span: Span| Span::new(span.begin as usize + by, span.length as usize);
        Self { name: moved(self.name), value: moved(self.value) }
    }

    fn is(&self, text: &[u8], name: &[u8]) -> bool {
        is_name(self.name.of(text), name)
    }
}

/// `Name: value`.
fn write_line(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(LINE_END);
}

/// Whether a name as it was written is this one, in small letters.
pub(crate) fn is_name(found: &[u8], small: &[u8]) -> bool {
    if found.len() != small.len() {
        return false;
    }
    let is_same = |found: [u8; 8], small: [u8; 8]| in_small(found) == u64::from_le_bytes(small);
    if let (Some(found_end), Some(small_end)) = (found.last_chunk(), small.last_chunk()) {
        // The end may be looked at twice.
        let (found, small) = (found.as_chunks().0, small.as_chunks().0);
        found.iter().zip(small).all(|(found, small)| is_same(*found, *small))
            && is_same(*found_end, *small_end)
    } else if let (Some(found), Some(small)) = (both_ends(found), both_ends(small)) {
        is_same(found, small)
    } else {
        found.eq_ignore_ascii_case(small)
    }
}

/// Four to eight bytes as eight.
fn both_ends(bytes: &[u8]) -> Option<[u8; 8]> {
    let mut ends = [0; 8];
    ends[..4].copy_from_slice(bytes.first_chunk::<4>()?);
    ends[4..].copy_from_slice(bytes.last_chunk::<4>()?);
    Some(ends)
}

/// Eight bytes in small letters, as one number: capitals are those of which a sum carries into the eighth bit from `A` on,
/// and not from behind `Z`.
fn in_small(bytes: [u8; 8]) -> u64 {
    const ALL: u64 = 0x0101_0101_0101_0101;
    const A: u64 = 0x41;
    const Z: u64 = 0x5a;
    let number = u64::from_le_bytes(bytes);
    let low = number & (0x7f * ALL);
    let (from_a, behind_z) = (low + (0x80 - A) * ALL, low + (0x7f - Z) * ALL);
    let capitals = (from_a ^ behind_z) & !number & (0x80 * ALL);
    number | (capitals >> 2)
}

impl Span {
    /// No head is as long as 4 GiB.
    pub(crate) fn new(begin: usize, length: usize) -> Self {
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { begin: number(begin), length: number(length) }
    }

    /// Where `part` stands in `whole`, of which it is a part. What is empty may stand nowhere.
    pub(crate) fn in_text(whole: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::new(0, 0);
        }
        Self::new((part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize), part.len())
    }

    fn range(self) -> std::ops::Range<usize> {
        self.begin as usize..self.begin as usize + self.length as usize
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.range()]
    }
}

impl RoutedFields for Fields {
    fn values<'f>(&'f self, name: &HeaderName) -> impl Iterator<Item = &'f [u8]> {
        self.get_all(name)
    }
}

impl From<&HeaderMap> for Fields {
    fn from(headers: &HeaderMap) -> Self {
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let mut fields = Self { text: Vec::with_capacity(bytes), lines: Vec::with_capacity(headers.len()) };
        for (name, value) in headers {
            fields.append(name, value);
        }
        fields
    }
}

/// What was read as fields are fields: nothing is lost, but what is above all that the map takes.
impl From<&Fields> for HeaderMap {
    fn from(fields: &Fields) -> Self {
        let text = bytes::Bytes::copy_from_slice(&fields.text);
        let mut headers = Self::with_capacity(fields.lines.len().min(MOST));
        for line in fields.lines.iter().take(MOST) {
            let value = HeaderValue::from_maybe_shared(text.slice(line.value.range()));
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(line.name.of(&text)), value) {
                headers.append(name, value);
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests;
