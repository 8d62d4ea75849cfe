//! The header fields that change between client and upstream, both ways.
//!
//! To the upstream, in this order:
//! - `Banyan-Hop` is read against loops ([`Identity::check_loop`]);
//! - hop-by-hop fields and what `Connection` names go (RFC 9110 7.6.1). `Trailer` stays, it is no longer one of them;
//!   `TE: trailers` and an upgrade stay by choice. `Proxy-Authorization` goes: Banyan stands for the origin, and a
//!   credential for a proxy is no business of an origin (RFC 9110 11.7.2). `Proxy` goes (CVE-2016-5385);
//! - what an untrusted peer says about its own way here goes: `Forwarded`, every `X-Forwarded-*`, `X-Real-IP`, and
//!   their twins with underscores, which many applications read as the same name;
//! - `X-Forwarded-For/-Proto/-Host` and `Forwarded` (RFC 7239) are set, or for a trusted peer continued;
//! - `Banyan-*` goes, `Banyan-Hop` is continued; `traceparent` passes or begins.
//!
//! To the client: hop-by-hop fields, what `Connection` names, and `Banyan-*` go.
//!
//! - `seen`: what of all this a head has. `added`: what nearly every request gets, as lines. `chain`: the addresses a request came through, read and written. `removal`:
//!   fields that `Connection` names. `trace`: W3C trace context.

mod added;
mod chain;
mod removal;
mod seen;
mod trace;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, FORWARDED, HOST, HeaderName, HeaderValue, TE, UPGRADE, VIA,
};
use http::{StatusCode, Version};
use ipnet::IpNet;

use crate::guard::{Refused, has_quote};
use crate::message::{Fields, Span};
pub(crate) use added::Added;
use added::Last;
use chain::Node;
pub(crate) use chain::client_address;
use removal::{has_option, remove_nominated};
pub(crate) use seen::Seen;
use seen::{remove_from_answer, remove_from_request};
pub(crate) use trace::{TraceId, child_span};

static BANYAN_HOP: HeaderName = HeaderName::from_static("banyan-hop");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Most Banyans that one request passes.
const MAX_HOPS: usize = 8;

/// How one gateway signs what it forwards.
pub(crate) struct Identity {
    hop: HeaderValue,
    via: bool,
}

/// The client side of a connection, with its address rendered once.
pub(crate) struct Peer {
    /// IPv4 even when it came mapped into IPv6.
    pub(crate) address: IpAddr,
    for_list: HeaderValue,
    node: Node,
    last: Mutex<Option<Last>>,
}

/// How the request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// What is known of a request besides its fields.
pub(crate) struct Onward<'c> {
    pub(crate) identity: &'c Identity,
    pub(crate) peer: &'c Peer,
    pub(crate) trusted_proxies: &'c [IpNet],
    pub(crate) scheme: Scheme,
    pub(crate) version: Version,
    /// The upgrade to pass on, as [`wanted_upgrade`] found it.
    pub(crate) upgrade: Option<HeaderValue>,
}

/// What the upstream is told of where a request came from and of the trace it belongs to.
pub(crate) struct Told {
    pub(crate) trace_id: TraceId,
    pub(crate) said_by: SaidBy,
    /// What goes with the request and is not among its fields.
    pub(crate) added: Option<Added>,
}

/// Who says which scheme and host the client used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SaidBy {
    /// Banyan, of the connection and of `Host`.
    Us(Scheme, Option<Span>),
    /// Whoever wrote `X-Forwarded-Proto` and `X-Forwarded-Host` of the request.
    Fields,
}

impl Identity {
    /// `via` adds `Via: 1.1 banyan` both ways.
    pub(crate) fn new(via: bool) -> Self {
        // The keys of the hash come from the system's randomness.
        let random = RandomState::new().build_hasher().finish();
        // Leaked once per gateway: cloning a static value touches no counter that other threads touch.
        let hop: &'static str = Box::leak(format!("{random:016x}").into_boxed_str());
        Self { hop: HeaderValue::from_static(hop), via }
    }

    /// Refuses a request that this gateway has already forwarded, or that passed too many gateways.
    pub(crate) fn check_loop(&self, fields: &Fields) -> Result<(), Refused> {
        let lines = fields.get_all(&BANYAN_HOP);
        let hops = lines.flat_map(|line| line.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        let mut count = 0;
        for hop in hops {
            count += 1;
            if hop == self.hop.as_bytes() || count >= MAX_HOPS {
                return Err(Refused::Loop);
            }
        }
        Ok(())
    }
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let address = address.ip().to_canonical();
        let for_list = HeaderValue::try_from(address.to_string()).expect("an address is visible ASCII");
        Self { address, for_list, node: Node::from(address), last: Mutex::default() }
    }

    /// What a request gets that tells nothing of its way here.
    fn lines(&self, hop: &HeaderValue, scheme: Scheme, host: Option<&[u8]>) -> Arc<Fields> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(last) if (last.scheme, last.host.as_deref()) == (scheme, host) => Arc::clone(&last.lines),
            _ => Arc::clone(&last.insert(Last::new(hop, self, scheme, host)).lines),
        }
    }

    fn is_trusted(&self, trusted_proxies: &[IpNet]) -> bool {
        is_trusted(self.address, trusted_proxies)
    }
}

fn is_trusted(address: IpAddr, trusted_proxies: &[IpNet]) -> bool {
    trusted_proxies.iter().any(|net| net.contains(&address))
}

impl Onward<'_> {
    /// Changes the fields of a request for the upstream. `seen` is what they are. What a request gets that tells nothing of its
    /// way here, or nothing any more, is not put among its fields: it goes out as lines.
    pub(crate) fn prepare(&self, fields: &mut Fields, seen: Seen) -> Told {
        let trusted = self.peer.is_trusted(self.trusted_proxies);
        let hops = seen.has(Seen::HOP).then(|| joined(fields, &BANYAN_HOP, self.identity.hop.as_bytes()));
        let takes_trailers = seen.has(Seen::TE) && takes_trailers(fields);
        if seen.has(Seen::CONNECTION) {
            remove_nominated(fields);
        }
        if seen.needs_removal() {
            remove_from_request(fields, trusted);
        }
        if self.version == Version::HTTP_2 {
            join_cookies(fields);
            keep_one_length(fields, seen);
        }
        self.set_connection(fields, takes_trailers);
        if self.identity.via {
            add_via(fields, self.version);
        }
        let host = fields.span(&HOST).filter(|host| !fields.text(*host).is_empty());
        let (trace_id, traceparent) = trace::pass_or_begin(fields, seen);
        let (is_begun, hop) = (hops.is_none() && !(trusted && seen.has(Seen::CLAIM)), &self.identity.hop);
        if is_begun {
            let lines = self.peer.lines(hop, self.scheme, host.map(|host| fields.text(host)));
            let added = Added { lines, traceparent };
            return Told { trace_id, said_by: SaidBy::Us(self.scheme, host), added: Some(added) };
        }
        fields.insert(&BANYAN_HOP, &hops.unwrap_or_else(|| hop.clone()));
        if trusted {
            chain::complete(fields);
        }
        self.continue_forwarded(fields, host);
        trace::put(fields, traceparent);
        Told { trace_id, said_by: SaidBy::Fields, added: None }
    }

    fn set_connection(&self, fields: &mut Fields, takes_trailers: bool) {
        if takes_trailers {
            fields.insert(&TE, &HeaderValue::from_static("trailers"));
        }
        let options = match (&self.upgrade, takes_trailers) {
            (Some(_), true) => "upgrade, te",
            (Some(_), false) => "upgrade",
            (None, true) => "te",
            (None, false) => return,
        };
        fields.insert(&CONNECTION, &HeaderValue::from_static(options));
        if let Some(protocols) = &self.upgrade {
            fields.insert(&UPGRADE, protocols);
        }
    }

    /// Appends to what is left of what a trusted peer says, of which an untrusted one has nothing left. `-Proto` and `-Host` tell what the first proxy saw, so that they stay.
    fn continue_forwarded(&self, fields: &mut Fields, host: Option<Span>) {
        let element = chain::element(&self.peer.node, self.scheme, host.map(|host| fields.text(host)));
        let for_list = joined(fields, &X_FORWARDED_FOR, self.peer.for_list.as_bytes());
        let forwarded = joined(fields, &FORWARDED, element.as_bytes());
        fields.insert(&X_FORWARDED_FOR, &for_list);
        fields.insert(&FORWARDED, &forwarded);
        if !fields.contains(&X_FORWARDED_PROTO) {
            fields.append(&X_FORWARDED_PROTO, &self.scheme.value());
        }
        if let Some(host) = host.filter(|_| !fields.contains(&X_FORWARDED_HOST)) {
            fields.append_copy(&X_FORWARDED_HOST, host);
        }
    }
}

impl Scheme {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.as_str())
    }
}

/// The protocols a client asks to change to: `Upgrade` of an HTTP/1.1 request whose `Connection` names it
/// (RFC 9110 7.8). None for `h2c`, which RFC 9113 took back and which would smuggle requests past routing.
pub(crate) fn wanted_upgrade(version: Version, fields: &Fields) -> Option<HeaderValue> {
    if version != Version::HTTP_11 || !has_option(fields, "upgrade") {
        return None;
    }
    let mut lines = fields.get_all(&UPGRADE);
    let protocols = lines.next()?;
    let is_plain = lines.next().is_none() && elements_of(protocols).all(|name| name != b"" && !is_h2c(name));
    HeaderValue::from_bytes(protocols).ok().filter(|_| is_plain)
}

/// Whether an answer changes to a protocol that was asked for; for a 101 otherwise, the answer is nonsense.
pub(crate) fn is_wanted_switch(wanted: &HeaderValue, answer: &Fields) -> bool {
    let Some(chosen) = answer.get(&UPGRADE) else { return false };
    elements_of(chosen)
        .all(|chosen| elements_of(wanted.as_bytes()).any(|wanted| wanted.eq_ignore_ascii_case(chosen)))
}

/// Changes the fields of an answer for the client, and says what they were. A wanted 101 keeps its `Upgrade`.
pub(crate) fn prepare_answer(
    status: StatusCode,
    version: Version,
    fields: &mut Fields,
    identity: &Identity,
) -> Seen {
    // RFC 9112 6.3: the coding frames the answer, and the length lies. The body was read by the coding, and both were left.
    let seen = Seen::in_answer(fields);
    if seen.has(Seen::CODING) {
        fields.remove(&CONTENT_LENGTH);
    } else if seen.has(Seen::LENGTH) {
        keep_one_length(fields, seen);
    }
    let is_switch = status == StatusCode::SWITCHING_PROTOCOLS;
    let upgrade = if is_switch { fields.get(&UPGRADE) } else { None };
    let upgrade = upgrade.and_then(|protocol| HeaderValue::from_bytes(protocol).ok());
    if seen.has(Seen::CONNECTION) {
        remove_nominated(fields);
    }
    if seen.needs_removal() {
        remove_from_answer(fields);
    }
    if let Some(protocol) = upgrade {
        fields.insert(&UPGRADE, &protocol);
        fields.insert(&CONNECTION, &HeaderValue::from_static("upgrade"));
    }
    if version == Version::HTTP_2 {
        // To a client with HTTP/1 such a name is none.
        fields.retain(|name| !has_quote(name));
    }
    if identity.via {
        add_via(fields, version);
    }
    seen
}

/// RFC 9110 8.6: a length that is said several times is said once, and one that is none is not said at all. The body
/// was read by it where there is one, and `5, 5` passes as it stands.
fn keep_one_length(fields: &mut Fields, seen: Seen) {
    let is_plain = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !seen.has(Seen::LENGTHS) && fields.get(&CONTENT_LENGTH).is_none_or(is_plain) {
        return;
    }
    let mut said: Vec<_> =
        fields.get_all(&CONTENT_LENGTH).flat_map(elements_of).map(<[u8]>::to_vec).collect();
    said.dedup();
    match &said[..] {
        [length] if is_plain(length) => {
            let length = HeaderValue::from_bytes(length).expect("digits are visible ASCII");
            fields.insert(&CONTENT_LENGTH, &length);
        }
        _ => fields.remove(&CONTENT_LENGTH),
    }
}

/// Elements of a list field: `websocket`, `foo/2`.
fn elements_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn is_h2c(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
}

/// Only `trailers` of `TE` concerns the other side: codings are taken off here.
fn takes_trailers(fields: &Fields) -> bool {
    fields.get_all(&TE).flat_map(elements_of).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// HTTP/2 clients may send one line per cookie; everybody else expects one for all (RFC 9113 8.2.3).
fn join_cookies(fields: &mut Fields) {
    let lines: Vec<&[u8]> = fields.get_all(&COOKIE).collect();
    if lines.len() > 1 {
        let all = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
        let all = all.expect("valid values with `; ` between them are valid");
        fields.insert(&COOKIE, &all);
    }
}

/// All lines of a list field and one more element, as one line.
fn joined(fields: &Fields, name: &HeaderName, last: &[u8]) -> HeaderValue {
    let lines = fields.get_all(name);
    let length: usize = lines.clone().map(|line| line.len() + 2).sum();
    let mut text = BytesMut::with_capacity(length + last.len());
    for line in lines.filter(|line| !line.is_empty()) {
        text.extend_from_slice(line);
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(last);
    HeaderValue::from_maybe_shared(text.freeze()).expect("valid values with commas between them are valid")
}

/// RFC 9110 7.6.3. The version is the one in which the message arrived.
fn add_via(fields: &mut Fields, version: Version) {
    let hop = HeaderValue::from_static(match version {
        Version::HTTP_10 => "1.0 banyan",
        Version::HTTP_2 => "2 banyan",
        _ => "1.1 banyan",
    });
    let via = if fields.contains(&VIA) { joined(fields, &VIA, hop.as_bytes()) } else { hop };
    fields.insert(&VIA, &via);
}

#[cfg(test)]
mod tests;
