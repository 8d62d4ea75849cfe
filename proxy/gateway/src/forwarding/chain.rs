//! The addresses a request came through: `X-Forwarded-For` and `Forwarded` (RFC 7239).
//!
//! Applications read one or the other. When a trusted peer sends only one of them, the other is made from it, so that
//! both tell the same story and nobody takes the peer for the client.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::{BufMut as _, BytesMut};
use http::header::{FORWARDED, HeaderValue};
use ipnet::IpNet;

use super::{Peer, Scheme, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, is_trusted};
use crate::message::Fields;

/// The client: the peer, or when that is a trusted proxy, the rightmost address of `X-Forwarded-For` (of `Forwarded`
/// when there is none) that is not one. An element that is no address ends the search: what stands left of it was
/// vouched for by nobody.
pub(crate) fn client_address(fields: &Fields, peer: &Peer, trusted_proxies: &[IpNet]) -> IpAddr {
    if !peer.is_trusted(trusted_proxies) {
        return peer.address;
    }
    let mut client = peer.address;
    let mut step = |address: Option<IpAddr>| match address {
        Some(address) => {
            client = address;
            is_trusted(address, trusted_proxies)
        }
        None => false,
    };
    if fields.contains(&X_FORWARDED_FOR) {
        for_list(fields).rev().map(address_of).all(&mut step);
    } else {
        let nodes: Vec<&str> = forwarded_nodes(fields).collect();
        nodes.into_iter().rev().map(address_of).all(&mut step);
    }
    client
}

/// Makes the missing one of `X-Forwarded-For` and `Forwarded` from the other.
pub(super) fn complete(fields: &mut Fields) {
    match (fields.contains(&X_FORWARDED_FOR), fields.contains(&FORWARDED)) {
        (true, false) => {
            let forwarded = forwarded_from_list(fields);
            fields.insert(&FORWARDED, &forwarded);
        }
        (false, true) => {
            if let Some(list) = list_from_forwarded(fields) {
                fields.insert(&X_FORWARDED_FOR, &list);
            }
        }
        _ => {}
    }
}

/// One element of `Forwarded`: `for=192.0.2.1;proto=http;host=example.com`.
pub(super) fn element(node: &Node, scheme: Scheme, host: Option<&[u8]>) -> HeaderValue {
    let mut text = BytesMut::with_capacity(node.0.len() + 24 + host.map_or(0, |host| host.len() + 8));
    text.put_slice(b"for=");
    text.put_slice(node.0.as_bytes());
    text.put_slice(b";proto=");
    text.put_slice(scheme.as_str().as_bytes());
    if let Some(host) = host {
        text.put_slice(b";host=");
        put_value(&mut text, host);
    }
    value(text)
}

/// An address as `for=` takes it: IPv6 in brackets and quotes (RFC 7239 6).
pub(super) struct Node(Box<str>);

impl From<IpAddr> for Node {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => address.to_string().into(),
            IpAddr::V6(address) => format!("\"[{address}]\"").into(),
        })
    }
}

fn value(text: BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(text.freeze()).expect("made of valid values and visible ASCII")
}

/// A token as it stands, anything else in quotes (RFC 7239 4).
fn put_value(text: &mut BytesMut, value: &[u8]) {
    let is_token = value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    if is_token && !value.is_empty() {
        return text.put_slice(value);
    }
    text.put_u8(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            text.put_u8(b'\\');
        }
        text.put_u8(byte);
    }
    text.put_u8(b'"');
}

/// A value that is visible ASCII throughout.
fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = value.iter().all(|&byte| byte == b'\t' || matches!(byte, b' '..=b'~'));
    str::from_utf8(value).ok().filter(|_| is_visible)
}

/// Elements of `X-Forwarded-For` in order.
fn for_list(fields: &Fields) -> impl DoubleEndedIterator<Item = &str> {
    let lines = fields.get_all(&X_FORWARDED_FOR);
    lines
        .flat_map(|line| visible(line).unwrap_or("?").split(','))
        .map(str::trim_ascii)
        .filter(|e| !e.is_empty())
}

/// An address with or without port, brackets and quotes, as proxies write them.
fn address_of(element: &str) -> Option<IpAddr> {
    let element = element.trim_matches('"');
    let bare = || element.parse::<IpAddr>().ok();
    let bracketed = || element.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || element.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare().or_else(bracketed).or_else(with_port).map(|address| address.to_canonical())
}

/// The `for` of each element of `Forwarded`, still quoted; `unknown` where an element has none.
fn forwarded_nodes(fields: &Fields) -> impl Iterator<Item = &str> {
    let lines = fields.get_all(&FORWARDED);
    let elements = lines.flat_map(|line| unquoted_split(visible(line).unwrap_or("?"), ','));
    elements.filter(|element| !element.is_empty()).map(|element| {
        let mut pairs = unquoted_split(element, ';').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(name, _)| name.trim_ascii().eq_ignore_ascii_case("for"))
            .map_or("unknown", |(_, node)| node.trim_ascii())
    })
}

/// Splits where the separator stands outside of quotes.
fn unquoted_split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |found: char| {
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && found == '\\';
        if found == '"' && !was_escaped {
            quoted = !quoted;
        }
        found == separator && !quoted
    })
    .map(str::trim_ascii)
}

/// What is no address becomes `unknown`. The first element also carries what the first proxy saw.
fn forwarded_from_list(fields: &Fields) -> HeaderValue {
    let mut text = BytesMut::with_capacity(128);
    for (place, address) in for_list(fields).map(address_of).enumerate() {
        text.put_slice(if place == 0 { b"for=" } else { b", for=" });
        match address {
            Some(address) => text.put_slice(Node::from(address).0.as_bytes()),
            None => text.put_slice(b"unknown"),
        }
        if place == 0 {
            put_first(&mut text, b";proto=", fields.get(&X_FORWARDED_PROTO));
            put_first(&mut text, b";host=", fields.get(&X_FORWARDED_HOST));
        }
    }
    value(text)
}

fn put_first(text: &mut BytesMut, name: &[u8], list: Option<&[u8]>) {
    let Some(first) = list.and_then(|list| visible(list)?.split(',').next()) else { return };
    let first = first.trim_ascii();
    if !first.is_empty() {
        text.put_slice(name);
        put_value(text, first.as_bytes());
    }
}

/// Bare addresses; none when an element has no address, for then the list would say something else.
fn list_from_forwarded(fields: &Fields) -> Option<HeaderValue> {
    let mut text = BytesMut::with_capacity(64);
    for node in forwarded_nodes(fields) {
        if !text.is_empty() {
            text.put_slice(b", ");
        }
        text.put_slice(address_of(node)?.to_string().as_bytes());
    }
    (!text.is_empty()).then(|| value(text))
}
