//! What a load balancer says of its client is believed as another reader of the PROXY protocol (`ppp`) understands it, and
//! nothing is served behind anything else.
//!
//! The bytes begin a connection of a trusted peer; `GET /end` follows.

use std::net::{IpAddr, Ipv4Addr};

use ppp::{HeaderResult, v1, v2};

use super::parsers::{Parsed, strict};
use super::site::{END, Entrance};

/// The peer itself.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longest header of version 2 that is read.
const MAX_BINARY: usize = 4096;

/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// A header as the other reader has it.
struct Stated {
    length: usize,
    client: IpAddr,
    /// There is only one way to write it: whoever refuses it is wrong.
    is_plain: bool,
}

/// Reads the bytes as the beginning of a connection.
pub(crate) fn check(bytes: &[u8]) {
    let outcome = super::site().exchange(Entrance::Balanced, bytes, true);
    let stated = stated(&[bytes, END].concat());
    for seen in &outcome.record {
        let Parsed::Whole(request) = strict(&seen.bytes) else { continue };
        let stated = stated.as_ref().expect("served without a header");
        let claimed = request.all("x-forwarded-for");
        let claimed: Vec<IpAddr> = claimed.iter().map(|value| address(value)).collect();
        assert_eq!(claimed, [stated.client], "{request}");
    }
    if stated.is_some_and(|stated| stated.is_plain && stated.length == bytes.len()) {
        assert_eq!(outcome.record.len(), 1, "a header is not understood");
    }
}

fn address(field: &str) -> IpAddr {
    let address: IpAddr = field.parse().expect("an address");
    address.to_canonical()
}

fn stated(bytes: &[u8]) -> Option<Stated> {
    match HeaderResult::parse(bytes) {
        HeaderResult::V1(Ok(header)) => Some(line(&header)),
        HeaderResult::V2(Ok(header)) if header.len() <= MAX_BINARY => Some(binary(&header)),
        _ => own_connection(bytes),
    }
}

fn line(header: &v1::Header<'_>) -> Stated {
    let client = match header.addresses {
        v1::Addresses::Unknown => PEER,
        v1::Addresses::Tcp4(addresses) => addresses.source_address.into(),
        v1::Addresses::Tcp6(addresses) => addresses.source_address.into(),
    };
    let is_plain = header.header == header.addresses.to_string();
    Stated { length: header.header.len(), client: client.to_canonical(), is_plain }
}

fn binary(header: &v2::Header<'_>) -> Stated {
    let says = header.command == v2::Command::Proxy && header.protocol != v2::Protocol::Unspecified;
    let client = match header.addresses {
        v2::Addresses::IPv4(addresses) if says => addresses.source_address.into(),
        v2::Addresses::IPv6(addresses) if says => addresses.source_address.into(),
        _ => PEER,
    };
    Stated { length: header.len(), client: client.to_canonical(), is_plain: true }
}

/// What the text says is not to be looked at, and the other reader looks at all the same: the address block of `LOCAL`,
/// and what stands behind `UNKNOWN`.
fn own_connection(bytes: &[u8]) -> Option<Stated> {
    let length = if let Some(rest) = bytes.strip_prefix(v2::PROTOCOL_PREFIX) {
        let &[0x20, _, high, low, ..] = rest else { return None };
        FIXED + usize::from(u16::from_be_bytes([high, low]))
    } else {
        let line = bytes.strip_prefix(b"PROXY UNKNOWN ")?;
        b"PROXY UNKNOWN ".len() + line.windows(2).position(|pair| pair == b"\r\n")? + 2
    };
    let is_whole = length <= bytes.len().min(MAX_BINARY);
    // Not every line is text, or short enough.
    let is_plain = bytes.starts_with(v2::PROTOCOL_PREFIX);
    is_whole.then_some(Stated { length, client: PEER, is_plain })
}
