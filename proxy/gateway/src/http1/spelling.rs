//! Names of fields as they were written: old programs look for `Content-Length` and nothing else (RFC 9110 5.1 lets them not).
//!
//! The head itself is kept, with where each name begins. A head that is written again has mostly the same names in the same
//! order, so that each is found where the last search ended.

use bytes::Bytes;
use http::HeaderName;
use smallvec::SmallVec;

/// How the sender wrote the head.
#[derive(Clone)]
pub(crate) struct Spelling {
    head: Bytes,
    /// Where names begin. Behind each stands a colon.
    names: SmallVec<[u32; 16]>,
    /// The reason phrase of an answer, if it is another than usual.
    reason: Option<Bytes>,
}

impl Spelling {
    /// `None` when all is as it would be written anyway.
    pub(super) fn of(head: &Bytes, lines: &[httparse::Header<'_>], reason: Option<Bytes>) -> Option<Self> {
        let is_plain = |line: &httparse::Header<'_>| !line.name.bytes().any(|byte| byte.is_ascii_uppercase());
        if reason.is_none() && lines.iter().all(is_plain) {
            return None;
        }
        let begin = head.as_ptr() as usize;
        let place = |line: &httparse::Header<'_>| {
            u32::try_from((line.name.as_ptr() as usize).wrapping_sub(begin)).unwrap_or(u32::MAX)
        };
        Some(Self { head: head.clone(), names: lines.iter().map(place).collect(), reason })
    }

    pub(super) fn reason(&self) -> Option<&[u8]> {
        self.reason.as_deref()
    }
}

/// Writes names one after the other.
pub(super) struct Speller<'s> {
    spelling: Option<&'s Spelling>,
    next: usize,
}

impl<'s> Speller<'s> {
    pub(super) fn new(spelling: Option<&'s Spelling>) -> Self {
        Self { spelling, next: 0 }
    }

    pub(super) fn write(&mut self, name: &HeaderName, out: &mut Vec<u8>) {
        out.extend_from_slice(self.spelled(name.as_str().as_bytes()));
    }

    fn spelled<'n>(&mut self, name: &'n [u8]) -> &'n [u8]
    where
        's: 'n,
    {
        let Some(spelling) = self.spelling else { return name };
        let (before, after) = spelling.names.split_at(self.next.min(spelling.names.len()));
        let mut places = after.iter().chain(before);
        let is_it = |begin: usize| {
            let end = begin + name.len();
            spelling.head.get(end) == Some(&b':') && spelling.head[begin..end].eq_ignore_ascii_case(name)
        };
        let Some(found) = places.position(|&begin| is_it(begin as usize)) else { return name };
        let place = (self.next + found) % spelling.names.len();
        self.next = place + 1;
        let begin = spelling.names[place] as usize;
        &spelling.head[begin..begin + name.len()]
    }
}
