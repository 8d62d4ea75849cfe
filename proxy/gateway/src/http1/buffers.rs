//! Memory for reading, shared by the connections of a thread: one that rests holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room to read into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Room {
    /// Of clients: a usual head, or the beginning of an upload. Who sends half a head holds it for as long as it may take.
    #[default]
    Small,
    /// Of upstreams: a head with a body of usual size. One system call more would cost more than this memory.
    Large,
}

/// One page more would not fit the allocator's classes.
const SMALL: usize = 8 << 10;
const LARGE: usize = 32 << 10;
/// For a head that is written, and for what is copied behind it.
const OUT: usize = 8 << 10;
/// Most buffers of each kind that a thread keeps for the next request.
const MOST: usize = 64;

thread_local! {
    static FREE: [RefCell<Vec<BytesMut>>; 2] = const { [const { RefCell::new(Vec::new()) }; 2] };
    static FREE_OUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Room {
    fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL,
            Self::Large => LARGE,
        }
    }
}

/// An empty buffer with room. One that something still points into is left to that.
pub(super) fn take(room: Room) -> BytesMut {
    let free = FREE.with(|free| free[room as usize].borrow_mut().pop());
    let whole = free.and_then(|mut buffer| buffer.try_reclaim(room.bytes()).then_some(buffer));
    whole.unwrap_or_else(|| BytesMut::with_capacity(room.bytes()))
}

/// Takes back a buffer of [`take`]. A piece of a body that was read into it may still be on its way: most often not when the
/// buffer is taken again.
pub(super) fn give(buffer: BytesMut, room: Room) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        FREE.with(|free| {
            let mut free = free[room as usize].borrow_mut();
            if free.len() < MOST {
                free.push(buffer);
            }
        });
    }
}

/// The same for what is to be written.
pub(super) fn take_out() -> Vec<u8> {
    FREE_OUT.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(OUT))
}

pub(super) fn give_out(mut buffer: Vec<u8>) {
    if buffer.capacity() == OUT {
        buffer.clear();
        FREE_OUT.with_borrow_mut(|free| {
            if free.len() < MOST {
                free.push(buffer);
            }
        });
    }
}
