//! A body kept on its way, up to a bound.

use std::sync::Arc;

use banyan_compare::Body;
use bytes::{Bytes, BytesMut};

use super::bounds::{Part, Portion};

/// A piece smaller than this is copied together with others.
const SMALL: usize = 16 << 10;
/// A piece this large is kept as it is. Smaller ones are copied, so that they do not hold on to the buffer they were read
/// into.
const LARGE: usize = 128 << 10;
/// The most that is read into one buffer, by hyper with HTTP/2: what a piece that is kept as it is may hold on to, and counts.
const BUFFER: u64 = 408 << 10;
/// Copied together up to here: room that a buffer made for more of it is not counted.
const TAIL: usize = 64 << 10;

/// A body on its way through.
pub(crate) struct Capture {
    most: u64,
    length: u64,
    pieces: Vec<Bytes>,
    tail: BytesMut,
    held: Portion,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Complete,
    TooLarge,
    NoMemory,
    Broken,
}

/// A body as it came, to be joined where no client waits for that.
pub(crate) struct Pieces(Vec<Bytes>);

/// What became of it.
pub(crate) enum Captured {
    /// All of it, and the memory it takes.
    Complete(Pieces, Portion),
    TooLarge,
    NoMemory,
    /// It did not come to its end.
    Broken,
}

impl Capture {
    /// `None` where there is no memory for anything at all.
    pub(crate) fn begin(most: u64, memory: &Arc<Part>) -> Option<Self> {
        let held = memory.take(0)?;
        let (pieces, tail) = (Vec::new(), BytesMut::new());
        Some(Self { most, length: 0, pieces, tail, held, state: State::Open })
    }

    pub(crate) fn keep(&mut self, piece: &Bytes) {
        if self.state != State::Open {
            return;
        }
        let length = piece.len() as u64;
        self.length += length;
        if self.length > self.most {
            return self.give_up(State::TooLarge);
        }
        let is_large = piece.len() >= LARGE;
        if !self.held.grow(if is_large { length.max(BUFFER) } else { length }) {
            return self.give_up(State::NoMemory);
        }
        if piece.len() < SMALL {
            self.tail.extend_from_slice(piece);
            if self.tail.len() >= TAIL {
                self.close_tail();
            }
            return;
        }
        self.close_tail();
        self.pieces.push(if is_large { piece.clone() } else { Bytes::copy_from_slice(piece) });
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// It came to its end.
    pub(crate) fn complete(&mut self) {
        if self.state == State::Open {
            self.state = State::Complete;
        }
    }

    /// It never will.
    pub(crate) fn broken(&mut self) {
        if matches!(self.state, State::Open | State::Complete) {
            self.give_up(State::Broken);
        }
    }

    fn give_up(&mut self, state: State) {
        self.state = state;
        (self.pieces, self.tail) = (Vec::new(), BytesMut::new());
        self.held.clear();
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push(self.tail.split().freeze());
        }
    }

    pub(crate) fn finish(mut self) -> Captured {
        self.close_tail();
        match self.state {
            State::Complete => Captured::Complete(Pieces(self.pieces), self.held),
            State::TooLarge => Captured::TooLarge,
            State::NoMemory => Captured::NoMemory,
            State::Open | State::Broken => Captured::Broken,
        }
    }
}

impl Pieces {
    pub(super) fn join(mut self) -> Bytes {
        match &mut self.0[..] {
            [] => Bytes::new(),
            [only] => std::mem::take(only),
            several => several.concat().into(),
        }
    }
}

impl Captured {
    /// As an answer is compared: joined.
    pub(crate) fn into_body(self) -> (Body, Option<Portion>) {
        match self {
            Self::Complete(pieces, held) => (Body::Complete(pieces.join()), Some(held)),
            Self::TooLarge | Self::NoMemory => (Body::TooLarge, None),
            Self::Broken => (Body::Broken, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::bounds::Bounds;
    use super::{Capture, Captured};

    fn kept(most: u64, pieces: &[&[u8]]) -> Captured {
        let mut capture = Capture::begin(most, &Bounds::default().route().bytes).expect("room");
        for piece in pieces {
            capture.keep(&Bytes::copy_from_slice(piece));
        }
        capture.complete();
        capture.finish()
    }

    #[test]
    fn pieces_come_out_in_order_whatever_their_size() {
        let large = vec![b'x'; super::LARGE + 1];
        let Captured::Complete(all, _) = kept(1 << 20, &[b"a", b"b", &large, b"c", &large]) else {
            panic!("complete")
        };
        assert_eq!(all.join(), [b"ab", &large[..], b"c", &large[..]].concat());
    }

    #[test]
    fn a_piece_holds_on_to_no_more_than_it_counts() {
        let (bounds, buffer) = (Bounds::default(), Bytes::from(vec![b'x'; 400 << 10]));
        for (length, is_shared, counted) in
            [(1, false, 1), (super::SMALL, false, 16 << 10), (super::LARGE, true, super::BUFFER)]
        {
            let mut capture = Capture::begin(1 << 20, &bounds.route().bytes).expect("room");
            capture.keep(&buffer.slice(..length));
            assert_eq!(bounds.bytes(), counted);
            capture.complete();
            let Captured::Complete(pieces, _held) = capture.finish() else { panic!("complete") };
            assert_eq!(pieces.join().as_ptr() == buffer.as_ptr(), is_shared, "{length}");
        }
    }

    #[test]
    fn one_byte_more_than_the_most_is_too_large_and_gives_its_memory_back() {
        assert!(matches!(kept(4, &[b"ab", b"cd"]), Captured::Complete(..)));
        let bounds = Bounds::default();
        let mut capture = Capture::begin(4, &bounds.route().bytes).expect("room");
        capture.keep(&Bytes::from_static(b"abcd"));
        assert_eq!(bounds.bytes(), 4);
        capture.keep(&Bytes::from_static(b"e"));
        assert_eq!(bounds.bytes(), 0);
        assert!(matches!(capture.finish(), Captured::TooLarge));
    }

    #[test]
    fn what_did_not_end_is_broken() {
        let mut capture = Capture::begin(4, &Bounds::default().route().bytes).expect("room");
        capture.keep(&Bytes::from_static(b"ab"));
        assert!(matches!(capture.finish(), Captured::Broken));
    }
}
