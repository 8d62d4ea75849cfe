//! What happens to the header fields of one request and of its answer, as one call each: for `benches/headers.rs`, which
//! sees no more of this crate than anybody else.

use std::net::SocketAddr;

use http::{HeaderMap, StatusCode, Version};

use crate::forwarding::{Identity, Onward, Peer, Scheme, Seen, prepare_answer};
use crate::message::Fields;

/// One connection of a client that nobody vouches for.
pub struct Rewriting {
    identity: Identity,
    peer: Peer,
}

impl Rewriting {
    /// For a client of this address.
    pub fn new(client: SocketAddr) -> Self {
        Self { identity: Identity::new(false), peer: Peer::new(client) }
    }

    /// Makes the fields of an HTTP/1.1 request those that an upstream gets.
    pub fn request(&self, head: &mut Head) {
        let onward = Onward {
            identity: &self.identity,
            peer: &self.peer,
            trusted_proxies: &[],
            scheme: Scheme::Http,
            version: Version::HTTP_11,
            upgrade: None,
        };
        let seen = Seen::in_request(&head.0);
        onward.prepare(&mut head.0, seen);
    }

    /// Makes the fields of an answer those that the client gets.
    pub fn answer(&self, head: &mut Head) {
        prepare_answer(StatusCode::OK, Version::HTTP_11, &mut head.0, &self.identity);
    }
}

/// Fields as they were read.
#[derive(Clone)]
pub struct Head(Fields);

impl From<&HeaderMap> for Head {
    fn from(headers: &HeaderMap) -> Self {
        Self(Fields::from(headers))
    }
}
