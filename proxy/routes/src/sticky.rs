//! Which client a request belongs to.
//!
//! The first source that gives a value wins. A header or cookie that is absent, empty or given twice gives none:
//! of two values it would be up to the client, or to whoever merges them on the way, which one counts.
//! An IPv4 address counts as its dotted text, also when mapped into IPv6; an IPv6 address as the 16
//! hexadecimal digits of its upper half, because a client owns a whole /64.

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use crate::condition::cookie_values;
use crate::decide::{Fields, RequestParts};
use crate::table::StickySource;

/// What identifies a client: the bytes that are hashed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StickyValue<'r> {
    /// As it stands in the request.
    Sent(&'r [u8]),
    /// Made of an address or a fresh id: at most 16 bytes.
    Made {
        /// The text, then zeros.
        bytes: [u8; 16],
        /// Length of the text.
        length: usize,
    },
}

impl<'r> StickyValue<'r> {
    /// The first source that gives a value, and the value.
    pub(crate) fn find<'s, F: Fields>(
        sources: &'s [StickySource],
        request: &RequestParts<'r, F>,
    ) -> Option<(&'s StickySource, Self)> {
        sources.iter().find_map(|source| Some((source, Self::from_source(source, request)?)))
    }

    /// The identity of a client that is given one: what its cookie will say.
    pub(crate) fn fresh(id: u64) -> Self {
        Self::made(format_args!("{id:016x}"))
    }

    /// The bytes that are hashed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sent(bytes) => bytes,
            Self::Made { bytes, length } => &bytes[..*length],
        }
    }

    fn from_source<F: Fields>(source: &StickySource, request: &RequestParts<'r, F>) -> Option<Self> {
        match source {
            StickySource::Header(name) => only(request.headers.values(name)).map(Self::Sent),
            StickySource::Cookie(name) => only(cookie_values(request.headers, name)).map(Self::Sent),
            StickySource::ClientIp => Some(Self::address(request.client)),
        }
    }

    fn address(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::made(format_args!("{address}")),
            IpAddr::V6(address) => Self::made(format_args!("{:016x}", address.to_bits() >> 64)),
        }
    }

    fn made(text: fmt::Arguments<'_>) -> Self {
        let mut bytes = [0; 16];
        let mut rest = bytes.as_mut_slice();
        rest.write_fmt(text).expect("dotted addresses have at most 15 characters, 64 bits 16 digits");
        let length = 16 - rest.len();
        Self::Made { bytes, length }
    }
}

/// As in the file: `header:x-user-id`, `cookie:session`, `client-ip`.
impl fmt::Display for StickySource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(out, "header:{name}"),
            Self::Cookie(name) => write!(out, "cookie:{name}"),
            Self::ClientIp => out.write_str("client-ip"),
        }
    }
}

/// The one value, if there is one and it is not empty.
fn only<'r>(mut values: impl Iterator<Item = &'r [u8]>) -> Option<&'r [u8]> {
    let value = values.next()?;
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::StickyValue;
    use crate::decide::RequestParts;
    use crate::table::StickySource;

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], client: &str, expected: Option<(&str, &str)>) {
        let line = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers: HeaderMap = lines.iter().map(line).collect();
        let client = client.parse().unwrap();
        let (method, target) = (&Method::GET, "/");
        let request = RequestParts { method, host: "", target, headers: &headers, client, fresh_id: 0 };
        let sources = [
            StickySource::Header(HeaderName::from_static("x-user-id")),
            StickySource::Cookie("session".into()),
            StickySource::ClientIp,
        ];
        let sources = if client.is_unspecified() { &sources[..2] } else { &sources };
        let found = StickyValue::find(sources, &request);
        let found = found.map(|(source, value)| {
            (source.to_string(), String::from_utf8(value.as_bytes().to_vec()).unwrap())
        });
        assert_eq!(found, expected.map(|(source, value)| (source.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_first_source_with_exactly_one_value_wins() {
        let user = Some(("header:x-user-id", "42"));
        let session = Some(("cookie:session", "s1"));
        check(&[("x-user-id", "42"), ("cookie", "session=s1")], "1.2.3.4", user);
        check(&[("x-user-id", ""), ("cookie", "session=s1")], "1.2.3.4", session);
        check(&[("x-user-id", "1"), ("x-user-id", "2"), ("cookie", "a=b; session=s1")], "1.2.3.4", session);
        check(&[("cookie", "a=b"), ("cookie", "session=s1")], "0.0.0.0", session);
        check(&[("cookie", "session=s1"), ("cookie", "session=s2")], "0.0.0.0", None);
        check(&[("cookie", "session=")], "0.0.0.0", None);
    }

    #[test]
    fn addresses_have_one_text_per_client() {
        let address = |text| Some(("client-ip", text));
        check(&[], "192.0.2.1", address("192.0.2.1"));
        check(&[], "::ffff:192.0.2.1", address("192.0.2.1"));
        check(&[], "255.255.255.255", address("255.255.255.255"));
        check(&[], "2001:db8:0:1::7", address("20010db800000001"));
        check(&[], "2001:db8:0:1:ffff::", address("20010db800000001"));
        check(&[], "2001:db8:0:2::7", address("20010db800000002"));
    }
}
