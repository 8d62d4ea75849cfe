//! Memory for reading, shared by the connections of a thread: one that rests holds none.

use std::cell::RefCell;

use bytes::BytesMut;

/// Room for a head with a body of usual size: one system call more costs more than the memory, of which a thread has little.
const SIZE: usize = 32 << 10;
/// Room for a head, and for what is copied behind it.
const OUT: usize = 8 << 10;
/// Most buffers that a thread keeps for the next request.
const MOST: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static FREE_OUT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room. One that something still points into is left to that.
pub(super) fn take() -> BytesMut {
    let free = FREE.with_borrow_mut(Vec::pop);
    let whole = free.and_then(|mut buffer| buffer.try_reclaim(SIZE).then_some(buffer));
    whole.unwrap_or_else(|| BytesMut::with_capacity(SIZE))
}

/// Takes back a buffer of [`take`]. A head that was read into it may still be in use: most often not when it is taken again.
pub(super) fn give(buffer: BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        FREE.with_borrow_mut(|free| {
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
