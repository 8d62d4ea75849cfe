//! The one normalisation of a request path.
//!
//! Matching never sees a path as it was sent, always its normal form (RFC 3986, section 6.2.2):
//!
//! - percent-encoded unreserved characters are decoded (`%7e` is `~`, `%2e` is `.`), once: `%252e` is `%252E`;
//! - other percent-encodings are kept, in upper case (`%c3` is `%C3`);
//! - characters that a path may not hold as they are (`"`, `<`, `|`, bytes above 127) are encoded;
//! - empty segments are dropped (`//` is `/`), then `.` and `..` segments are resolved, encoded or not;
//! - letters keep their case and a trailing slash stays: both are options of a route.
//!
//! Refused with 400: a path that does not begin with `/`, `%` without two hexadecimal digits, NUL raw or encoded,
//! raw control characters, spaces and `#`, and `..` that leads above the root. (RFC 3986, section 5.2.4 ignores
//! the latter, but servers do not agree and no honest client sends it.)
//!
//! Servers do not agree on `%2f`, `%5c`, `\` and `;params` either: to some they are characters, to others
//! separators, or nothing at all. Nor on `//` before `..`. A path with any of these is read in every way
//! ([`NormalPath::other_readings`]); when the readings give different routes the request is refused.
//!
//! What goes to the upstream are the bytes of the client, not the normal form, unless the route rewrites the path: see
//! `rewrite`.

use std::fmt;

use smallvec::SmallVec;

/// Longest normal form that needs no allocation, in bytes. Paths that are normal as sent never need one.
const STACK_BYTES: usize = 256;

/// Most bytes read to compare all readings of one path; beyond it the path is refused as ambiguous, so that
/// a long odd path costs its sender more than us.
const MAX_READ_BYTES: usize = 64 * 1024;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PathProblem {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `..` leads above the root.
    AboveRoot,
    /// `%` without two hexadecimal digits.
    BadPercent,
    /// NUL, raw or encoded.
    Nul,
    /// A raw control character, a space or `#`.
    BadCharacter,
    /// `%2f`, `%5c`, `\`, `;` or `//..` give another route when read the other way.
    Ambiguous,
    /// Read the other way, it leads out of the prefix that the route rewrites.
    LeavesPrefix,
}

impl fmt::Display for PathProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::AboveRoot => "`..` leads above the root",
            Self::BadPercent => "`%` is not followed by two hexadecimal digits",
            Self::Nul => "the path holds NUL",
            Self::BadCharacter => "the path holds a control character, a space or `#`",
            Self::Ambiguous => "the path means different routes to different parsers",
            Self::LeavesPrefix => "to some parsers the path leads out of the prefix that the route rewrites",
        })
    }
}

/// A path as matching sees it: ASCII, beginning with `/`, without empty or dot segments.
#[derive(Debug, Clone)]
pub struct NormalPath<'t> {
    spelling: Spelling<'t>,
    oddities: u8,
}

// A box would be the allocation that the buffer is there to avoid.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
enum Spelling<'t> {
    AsSent(&'t str),
    Changed(SmallVec<[u8; STACK_BYTES]>),
}

// What a path holds that is not read alike everywhere; in a reading: which of them are read the other way.
const ENCODED_SLASH: u8 = 1;
const BACKSLASH: u8 = 2;
/// `;` cuts its segment, after other separators were found.
const PARAMETERS: u8 = 4;
/// `;` cuts up to the next raw `/`, before other separators are found.
const PARAMETERS_FIRST: u8 = 8;
/// `..` takes back an empty segment.
const EMPTY_SEGMENTS: u8 = 16;
/// Only seen, never read the other way: `..` stands somewhere.
const TWO_DOTS: u8 = 32;
/// `%5c`. There are servers to which only `\` is a separator, and such to which only this is one.
const ENCODED_BACKSLASH: u8 = 64;

impl<'t> NormalPath<'t> {
    /// The plain reading of the path part of a target (without `?` and what follows).
    pub fn read(path: &'t str) -> Result<Self, PathProblem> {
        if !path.starts_with('/') {
            return Err(PathProblem::NotAbsolute);
        }
        if is_normal(path.as_bytes()) {
            return Ok(Self { spelling: Spelling::AsSent(path), oddities: 0 });
        }
        let (spelling, oddities) = read(path.as_bytes(), 0)?;
        Ok(Self { spelling: Spelling::Changed(spelling), oddities })
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        match &self.spelling {
            Spelling::AsSent(path) => path,
            Spelling::Changed(bytes) => {
                str::from_utf8(bytes).expect("the normal form holds ASCII only: everything else is encoded")
            }
        }
    }

    /// Whether servers may read this path in more than one way.
    pub fn is_odd(&self) -> bool {
        self.choices() != 0
    }

    /// What other servers may make of the same `path`: see the module's description.
    ///
    /// [`PathProblem::Ambiguous`] stands for a path too long to be read in so many ways.
    pub fn other_readings<'p>(
        &self,
        path: &'p str,
    ) -> impl Iterator<Item = Result<NormalPath<'p>, PathProblem>> + use<'p> {
        let choices = self.choices();
        let too_long = path.len() << choices.count_ones() > MAX_READ_BYTES;
        let refusal = too_long.then_some(Err(PathProblem::Ambiguous));
        let choices = if too_long { 0 } else { choices };
        let subsets = std::iter::successors(Some(choices), move |&last| Some(last.wrapping_sub(1) & choices));
        let readings = subsets.take_while(|&reading| reading != 0).map(|reading| {
            let (spelling, _) = read(path.as_bytes(), reading)?;
            Ok(NormalPath { spelling: Spelling::Changed(spelling), oddities: 0 })
        });
        refusal.into_iter().chain(readings)
    }

    fn choices(&self) -> u8 {
        let mut choices = self.oddities & (ENCODED_SLASH | BACKSLASH | ENCODED_BACKSLASH | PARAMETERS);
        if choices & PARAMETERS != 0 && choices != PARAMETERS {
            choices |= PARAMETERS_FIRST;
        }
        if self.oddities & TWO_DOTS != 0 {
            choices |= if choices == 0 { self.oddities & EMPTY_SEGMENTS } else { EMPTY_SEGMENTS };
        }
        choices
    }
}

impl fmt::Display for NormalPath<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Path and query of a target in origin-form.
pub(crate) fn split_target(target: &str) -> (&str, Option<&str>) {
    split_at(target, b'?')
}

/// What stands before and behind the first of an ASCII character. Of texts as short as paths it finds it sooner than the
/// searches of the standard library, which are made for long ones.
pub(crate) fn split_at(text: &str, character: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == character) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Whether nothing has to be changed. `/.` may turn out normal (`/.well-known`), which the long way finds.
fn is_normal(path: &[u8]) -> bool {
    let mut previous = 0;
    path.iter().all(|&byte| {
        let fine = KIND[usize::from(byte)] == Kind::Plain as u8
            || (byte == b'/' && previous != b'/' && KIND[usize::from(byte)] == Kind::Slash as u8);
        let dot_segment = previous == b'/' && byte == b'.';
        previous = byte;
        fine && !dot_segment
    })
}

/// What a raw byte is to a path (RFC 3986, appendix A).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Unreserved, sub-delimiters but `;`, `:` and `@`.
    Plain,
    Slash,
    Backslash,
    Semicolon,
    Percent,
    Nul,
    /// Controls, space, `#`.
    Bad,
    /// Must be encoded.
    Foreign,
}

static KIND: [u8; 256] = {
    let mut table = [Kind::Foreign as u8; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = kind(byte) as u8;
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

const fn kind(byte: u8) -> Kind {
    match byte {
        b'/' => Kind::Slash,
        b'\\' => Kind::Backslash,
        b';' => Kind::Semicolon,
        b'%' => Kind::Percent,
        0 => Kind::Nul,
        1..=b' ' | 0x7f | b'#' => Kind::Bad,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' => Kind::Plain,
        _ if is_unreserved(byte) => Kind::Plain,
        _ => Kind::Foreign,
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// One reading of a path that begins with `/`, and the oddities seen on the way.
fn read(path: &[u8], reading: u8) -> Result<(SmallVec<[u8; STACK_BYTES]>, u8), PathProblem> {
    let mut reader = Reader { out: SmallVec::new(), segment: 1, reading, seen: 0, skipping: false };
    reader.out.push(b'/');
    let mut at = 1;
    while let Some(&byte) = path.get(at) {
        at += 1;
        match kind(byte) {
            Kind::Plain => reader.plain(byte),
            Kind::Foreign => reader.encoded(byte),
            Kind::Slash => reader.slash()?,
            Kind::Backslash => reader.maybe_slash(BACKSLASH, b'\\')?,
            Kind::Semicolon => reader.semicolon(),
            Kind::Nul => return Err(PathProblem::Nul),
            Kind::Bad => return Err(PathProblem::BadCharacter),
            Kind::Percent => {
                let decoded = decode(path, at).ok_or(PathProblem::BadPercent)?;
                at += 2;
                reader.percent(decoded)?;
            }
        }
    }
    reader.close(false)?;
    reader.merge_slashes();
    Ok((reader.out, reader.seen))
}

/// The byte that two hexadecimal digits at `at` stand for.
pub(crate) fn decode(path: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

struct Reader {
    /// Always begins with `/`; between segments it ends with `/`.
    out: SmallVec<[u8; STACK_BYTES]>,
    /// Where the segment being read begins in `out`.
    segment: usize,
    reading: u8,
    seen: u8,
    /// Within parameters that this reading cuts.
    skipping: bool,
}

impl Reader {
    fn plain(&mut self, byte: u8) {
        if self.skipping {
            return;
        }
        if byte == b'.' && self.out.last() == Some(&b'.') {
            self.seen |= TWO_DOTS;
        }
        self.out.push(byte);
    }

    fn encoded(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        if !self.skipping {
            let digits = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            self.out.extend([b'%', digits[0], digits[1]]);
        }
    }

    fn percent(&mut self, decoded: u8) -> Result<(), PathProblem> {
        match decoded {
            0 => return Err(PathProblem::Nul),
            b'/' => self.maybe_slash(ENCODED_SLASH, b'/')?,
            b'\\' => self.maybe_slash(ENCODED_BACKSLASH, b'\\')?,
            _ if is_unreserved(decoded) => self.plain(decoded),
            _ => self.encoded(decoded),
        }
        Ok(())
    }

    fn maybe_slash(&mut self, oddity: u8, byte: u8) -> Result<(), PathProblem> {
        self.seen |= oddity;
        if self.reading & oddity == 0 {
            self.encoded(byte);
            return Ok(());
        }
        if self.skipping && self.reading & PARAMETERS_FIRST != 0 {
            return Ok(());
        }
        self.slash()
    }

    fn semicolon(&mut self) {
        self.seen |= PARAMETERS;
        if self.reading & (PARAMETERS | PARAMETERS_FIRST) == 0 {
            self.out.push(b';');
        } else {
            self.skipping = true;
        }
    }

    fn slash(&mut self) -> Result<(), PathProblem> {
        self.skipping = false;
        self.close(true)
    }

    /// Ends a segment; `more` says that a separator ended it.
    fn close(&mut self, more: bool) -> Result<(), PathProblem> {
        match &self.out[self.segment..] {
            b"." => self.out.truncate(self.segment),
            b".." => {
                self.out.truncate(self.segment);
                self.climb()?;
            }
            b"" if more => {
                self.seen |= EMPTY_SEGMENTS;
                if self.reading & EMPTY_SEGMENTS != 0 {
                    self.out.push(b'/');
                }
            }
            _ if more => self.out.push(b'/'),
            _ => {}
        }
        self.segment = self.out.len();
        Ok(())
    }

    /// Takes back the last segment; `out` ends with `/` before and after.
    fn climb(&mut self) -> Result<(), PathProblem> {
        let without_slash = &self.out[..self.out.len() - 1];
        let slash = without_slash.iter().rposition(|&byte| byte == b'/').ok_or(PathProblem::AboveRoot)?;
        self.out.truncate(slash + 1);
        Ok(())
    }

    /// Drops the empty segments that were kept to be taken back by `..`.
    fn merge_slashes(&mut self) {
        let mut previous = 0;
        self.out.retain(|byte| {
            let second = previous == b'/' && *byte == b'/';
            previous = *byte;
            !second
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{NormalPath, PathProblem};

    fn normal(path: &str) -> Result<String, PathProblem> {
        NormalPath::read(path).map(|normal| normal.to_string())
    }

    fn readings(path: &str) -> Vec<String> {
        let normal = NormalPath::read(path).unwrap();
        let mut all: Vec<_> = normal
            .other_readings(path)
            .map(|other| other.map_or_else(|it| it.to_string(), |it| it.to_string()))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn dots_and_empty_segments_are_resolved() {
        for (sent, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../c", "/a/c"),
            ("/a/%2e%2E/c", "/c"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
        ] {
            assert_eq!(normal(sent).as_deref(), Ok(expected), "{sent}");
        }
    }

    #[test]
    fn escapes_have_one_spelling() {
        for (sent, expected) in [
            ("/%61%7e", "/a~"),
            ("/%c3%a9", "/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/%ff", "/%FF"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/a%21", "/a%21"),
            ("/\"x\"", "/%22x%22"),
        ] {
            assert_eq!(normal(sent).as_deref(), Ok(expected), "{sent}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (sent, problem) in [
            ("", PathProblem::NotAbsolute),
            ("a", PathProblem::NotAbsolute),
            ("/..", PathProblem::AboveRoot),
            ("/a/../../b", PathProblem::AboveRoot),
            ("/%", PathProblem::BadPercent),
            ("/%4", PathProblem::BadPercent),
            ("/%+1", PathProblem::BadPercent),
            ("/a\0", PathProblem::Nul),
            ("/a%00", PathProblem::Nul),
            ("/a b", PathProblem::BadCharacter),
            ("/a#b", PathProblem::BadCharacter),
        ] {
            assert_eq!(normal(sent), Err(problem), "{sent:?}");
        }
    }

    #[test]
    fn odd_paths_have_other_readings() {
        assert_eq!(readings("/a%2fb"), ["/a/b"]);
        assert_eq!(readings("/a\\b"), ["/a/b"]);
        assert_eq!(readings("/a;x=1/b"), ["/a/b"]);
        assert_eq!(readings("/a/..;/b"), ["/a/..;/b", "/b"]);
        assert_eq!(readings("/a;x%2fb"), ["/a", "/a/b", "/a;x/b"]);
        assert_eq!(readings("/a//../b"), ["/a/b"], "the plain reading is /b");
        assert_eq!(
            readings("/a\\b%5c..%5c.."),
            ["/", "/a%5Cb%5C..%5C..", "/a/b%5C..%5C..", "`..` leads above the root"]
        );
        assert_eq!(readings("/a/..%2f..%2fb"), ["/a/..%2F..%2Fb", "`..` leads above the root"]);
        assert_eq!(readings("/a//b"), [""; 0]);
    }

    #[test]
    fn a_long_odd_path_is_not_read_for_ever() {
        let path = format!("/..%2f\\;{}", "a".repeat(4096));
        assert_eq!(readings(&path), [PathProblem::Ambiguous.to_string()]);
    }
}
