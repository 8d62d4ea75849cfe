//! Bodies in chunks (RFC 9112 7.1), read by one byte after the other but for the data.
//!
//! Stricter than the grammar's readers use to be: lines end with CR LF, sizes fit 64 bits, and extensions hold no control
//! characters. Extensions are passed over (7.1.1), trailers are handed on (7.1.2).

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::head::trailer;

/// Most bytes of all extensions of one body.
const MAX_EXTENSIONS: usize = 16 << 10;
/// Most bytes of trailers, and most fields.
const MAX_TRAILERS: usize = 16 << 10;
const MAX_TRAILER_FIELDS: usize = 100;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// What came out of the bytes at hand.
#[derive(Debug, PartialEq)]
pub(crate) enum Decoded {
    /// Nothing without more bytes.
    Need,
    Data(Bytes),
    /// And with them the end.
    Trailers(HeaderMap),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Size,
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    End,
}

/// How far a body in chunks has been read.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    /// Left of the chunk.
    size: u64,
    extensions: usize,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { state: State::Begin, size: 0, extensions: 0 }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::End
    }

    /// Takes what it uses from the front of `input`.
    pub(crate) fn decode(&mut self, input: &mut BytesMut) -> Result<Decoded, Malformed> {
        loop {
            match self.state {
                State::Data => return Ok(self.data(input)),
                State::Trailers => return self.trailers(input),
                State::End => return Ok(Decoded::End),
                _ => {}
            }
            let Some(&byte) = input.first() else { return Ok(Decoded::Need) };
            input.advance(1);
            self.state = self.step(byte)?;
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, Malformed> {
        Ok(match (self.state, byte) {
            (State::Begin | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.digit(byte)?,
            (State::Size | State::Blank, b' ' | b'\t') => State::Blank,
            (State::Size | State::Blank, b';') => State::Extension,
            (State::Size | State::Blank | State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extensions += 1;
                if self.extensions > MAX_EXTENSIONS {
                    return Err(Malformed("chunk extensions without end"));
                }
                State::Extension
            }
            (State::SizeLf, b'\n') if self.size == 0 => State::Trailers,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Begin,
            (State::Extension, _) => return Err(Malformed("a control character in a chunk extension")),
            (State::DataCr | State::DataLf, _) => return Err(Malformed("a chunk longer than its size")),
            _ => return Err(Malformed("a chunk size that is none")),
        })
    }

    fn digit(&mut self, byte: u8) -> Result<State, Malformed> {
        let digit = (byte as char).to_digit(16).map_or(0, u64::from);
        let size = self.size.checked_mul(16).map(|size| size | digit);
        self.size = size.ok_or(Malformed("a chunk size beyond 64 bits"))?;
        Ok(State::Size)
    }

    fn data(&mut self, input: &mut BytesMut) -> Decoded {
        let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len());
        if length == 0 {
            return Decoded::Need;
        }
        self.size -= length as u64;
        if self.size == 0 {
            self.state = State::DataCr;
        }
        Decoded::Data(input.split_to(length).freeze())
    }

    /// The empty line is the end, with fields before it or without.
    fn trailers(&mut self, input: &mut BytesMut) -> Result<Decoded, Malformed> {
        let Some(length) = end_of_fields(input)? else {
            let is_too_much = input.len() > MAX_TRAILERS;
            return if is_too_much { Err(Malformed("trailers without end")) } else { Ok(Decoded::Need) };
        };
        self.state = State::End;
        let section = input.split_to(length);
        if length == EMPTY_LINE {
            return Ok(Decoded::End);
        }
        let mut room = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
        let lines = match httparse::parse_headers(&section, &mut room) {
            Ok(httparse::Status::Complete((whole, lines))) if whole == length => lines,
            _ => return Err(Malformed("trailers that are none")),
        };
        let mut trailers = HeaderMap::with_capacity(lines.len());
        for line in lines {
            let (name, value) = trailer(line)?;
            trailers.append(name, value);
        }
        Ok(Decoded::Trailers(trailers))
    }
}

const EMPTY_LINE: usize = b"\r\n".len();

/// Length of the fields with the empty line behind them. A line that ends with LF alone is none.
fn end_of_fields(input: &[u8]) -> Result<Option<usize>, Malformed> {
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', input) {
        if end == begin || input[end - 1] != b'\r' {
            return Err(Malformed("a trailer line that ends with LF alone"));
        }
        if end == begin + 1 {
            return Ok(Some(end + 1));
        }
        begin = end + 1;
    }
    Ok(None)
}
