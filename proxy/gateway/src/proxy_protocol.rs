//! The PROXY protocol, versions 1 and 2, as read from a load balancer that speaks for its clients (haproxy's
//! `proxy-protocol.txt`). Pure: bytes to meaning.
//!
//! Strict where the text leaves room, for what is read here decides whom a client is taken for: one space between two
//! words, numbers without signs and leading zeros, nothing behind the last port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Longest header of version 1, with its line end.
const MAX_LINE: usize = 107;

/// Longest header of version 2: addresses take 216 bytes at most, the rest is for extensions (nginx's bound, too).
const MAX_BINARY: usize = 4096;

const LINE_BEGIN: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// How many bytes it takes; what follows is the client's.
    pub(crate) length: usize,
    /// Whom the peer speaks for; none when it speaks for itself, or does not say.
    pub(crate) client: Option<SocketAddr>,
}

/// This is no header, whatever follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "no PROXY header where there must be one")
    }
}

impl std::error::Error for Malformed {}

/// Reads the header at the beginning of a connection; `None` while it is not all there.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins_like(bytes, SIGNATURE) {
        binary(bytes)
    } else if begins_like(bytes, LINE_BEGIN) {
        line(bytes)
    } else {
        Err(Malformed)
    }
}

/// True also while there is too little to tell.
fn begins_like(bytes: &[u8], beginning: &[u8]) -> bool {
    let known = bytes.len().min(beginning.len());
    bytes[..known] == beginning[..known]
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443` and a line end.
fn line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() < MAX_LINE { Ok(None) } else { Err(Malformed) };
    };
    let text = window.get(LINE_BEGIN.len()..end).ok_or(Malformed)?;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let words: Vec<&str> = text.split(' ').collect();
    let client = match words[..] {
        // Whatever it says besides is to be ignored.
        ["UNKNOWN", ..] => None,
        ["TCP4", from, to, from_port, to_port] => {
            Some(addresses::<Ipv4Addr>([from, to], [from_port, to_port])?)
        }
        ["TCP6", from, to, from_port, to_port] => {
            Some(addresses::<Ipv6Addr>([from, to], [from_port, to_port])?)
        }
        _ => return Err(Malformed),
    };
    Ok(Some(Header { length: end + 2, client }))
}

/// The first of two addresses, both of which must be well-formed.
fn addresses<A: FromStr + Into<IpAddr>>(hosts: [&str; 2], ports: [&str; 2]) -> Result<SocketAddr, Malformed> {
    let host = |text: &str| text.parse::<A>().map_err(|_| Malformed);
    let [from, _] = [host(hosts[0])?, host(hosts[1])?];
    let [from_port, _] = [port(ports[0])?, port(ports[1])?];
    Ok(SocketAddr::new(from.into(), from_port))
}

fn port(text: &str) -> Result<u16, Malformed> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(Malformed)
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(fixed) = bytes.get(..FIXED) else { return Ok(None) };
    let length = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MAX_BINARY {
        return Err(Malformed);
    }
    let is_local = match fixed[12] {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    let Some(block) = bytes.get(FIXED..length) else { return Ok(None) };
    // The peer's own connection, a health check for one: the block is not to be looked at.
    let client = if is_local { None } else { source(fixed[13], block)? };
    Ok(Some(Header { length, client }))
}

/// The source of an address block, by its family and transport. Extensions behind it are passed over.
fn source(kind: u8, block: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    let (family, transport) = (kind >> 4, kind & 0x0f);
    if family > 3 || transport > 2 {
        return Err(Malformed);
    }
    let client = match family {
        1 => inet::<4, 12>(block)?,
        2 => inet::<16, 36>(block)?,
        3 if block.len() < 216 => return Err(Malformed),
        _ => return Ok(None),
    };
    // A protocol that the peer does not name may not even have ports.
    Ok((transport != 0).then_some(client))
}

/// Both addresses, then both ports; `TAKEN` bytes in all.
fn inet<const ADDRESS: usize, const TAKEN: usize>(block: &[u8]) -> Result<SocketAddr, Malformed>
where
    IpAddr: From<[u8; ADDRESS]>,
{
    let block = block.first_chunk::<TAKEN>().ok_or(Malformed)?;
    let address = block.first_chunk::<ADDRESS>().ok_or(Malformed)?;
    let ports = block.last_chunk::<4>().ok_or(Malformed)?;
    Ok(SocketAddr::new(IpAddr::from(*address), u16::from_be_bytes([ports[0], ports[1]])))
}

#[cfg(test)]
mod tests;
