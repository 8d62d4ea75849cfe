//! An address as it stands in a field: absolute, without scheme, or relative (RFC 3986, section 4).
//!
//! Read with less tolerance than browsers have: what could be taken for another host somewhere is not read at all, and
//! stays as it is.

use std::net::Ipv6Addr;

use crate::forwarding::Scheme;

/// One address, taken apart. What it was made of stays byte for byte.
pub(super) struct Reference<'t> {
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Option<Authority<'t>>,
    /// Up to the query or fragment.
    pub(super) path: &'t str,
    /// Query and fragment, with `?` or `#`.
    pub(super) rest: &'t str,
}

/// Who answers at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'t> {
    /// With the `@` at its end, empty without one.
    pub(super) user: &'t str,
    pub(super) host: Host<'t>,
    /// As written; none stands for the default of the scheme.
    pub(super) port: Option<u16>,
}

/// A name in any case, or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host<'t> {
    Name(&'t str),
    V6(Ipv6Addr),
}

impl<'t> Reference<'t> {
    /// `None` for other schemes than `http` and `https`, and for an authority that not everybody reads alike.
    ///
    /// None either for control characters: browsers leave tabs out, and `/<tab>/host` is another reference then.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (scheme, after) = match text.find([':', '/', '?', '#']).map(|at| text.split_at(at)) {
            Some((name, rest)) if rest.starts_with("://") => (Some(scheme(name)?), &rest[1..]),
            Some((_, rest)) if rest.starts_with(':') => return None,
            _ => (None, text),
        };
        let (authority, after) = match after.strip_prefix("//") {
            Some(after) => {
                let (authority, after) = split_before(after, &['/', '?', '#']);
                (Some(Authority::read(authority)?), after)
            }
            None => (None, after),
        };
        let (path, rest) = split_before(after, &['?', '#']);
        Some(Self { scheme, authority, path, rest })
    }
}

impl<'t> Authority<'t> {
    /// `user@host:port`, of which only the host must be there.
    pub(super) fn read(text: &'t str) -> Option<Self> {
        let (user, place) = text.split_at(text.find('@').map_or(0, |at| at + 1));
        let is_user = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@".contains(&byte);
        let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = if let Some((address, port)) = bracketed {
            (Host::V6(address.parse().ok()?), port)
        } else {
            let (name, port) = split_before(place, &[':']);
            (Host::name(name)?, port)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        user.bytes().all(is_user).then_some(Self { user, host, port })
    }

    pub(super) fn port_at(&self, scheme: Scheme) -> u16 {
        self.port.unwrap_or(default_port(scheme))
    }
}

impl<'t> Host<'t> {
    /// Letters, digits, `-`, `.` and `_`: nothing that has to be decoded.
    fn name(text: &'t str) -> Option<Self> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        (!text.is_empty() && text.bytes().all(is_good)).then_some(Self::Name(text))
    }

    /// Whether this is a host by its name in lower case, or its address without brackets.
    pub(super) fn is(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(host),
            Self::V6(address) => host.parse() == Ok(*address),
        }
    }
}

/// RFC 9110, sections 4.2.1 and 4.2.2.
pub(super) fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

fn scheme(name: &str) -> Option<Scheme> {
    [Scheme::Http, Scheme::Https].into_iter().find(|scheme| name.eq_ignore_ascii_case(scheme.as_str()))
}

fn split_before<'t>(text: &'t str, ends: &[char]) -> (&'t str, &'t str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::{Authority, Host, Reference};
    use crate::forwarding::Scheme;

    type Parts<'t> = (Option<Scheme>, Option<(&'t str, Option<u16>)>, &'t str, &'t str);

    #[track_caller]
    fn parts(text: &str) -> Parts<'_> {
        let read = Reference::read(text).expect("an address");
        let authority = read.authority.map(|it| (it.user, it.port));
        (read.scheme, authority, read.path, read.rest)
    }

    #[test]
    fn every_kind_of_address_is_taken_apart() {
        let http = Some(Scheme::Http);
        assert_eq!(parts("http://a.test:8080/x?y#z"), (http, Some(("", Some(8080))), "/x", "?y#z"));
        assert_eq!(parts("HTTPS://A.test"), (Some(Scheme::Https), Some(("", None)), "", ""));
        assert_eq!(parts("http://me:pw@a.test?x=//"), (http, Some(("me:pw@", None)), "", "?x=//"));
        assert_eq!(parts("http://[::1]:/x"), (http, Some(("", None)), "/x", ""));
        assert_eq!(parts("//a.test/x"), (None, Some(("", None)), "/x", ""));
        assert_eq!(parts("/x:y"), (None, None, "/x:y", ""));
        assert_eq!(parts("../x?http://a.test"), (None, None, "../x", "?http://a.test"));
        assert_eq!(parts("?x:y"), (None, None, "", "?x:y"));
        assert_eq!(parts(""), (None, None, "", ""));
    }

    #[test]
    fn what_could_be_another_host_is_not_read() {
        for text in [
            "mailto:me@a.test",
            "javascript:alert(1)",
            "http:/a.test",
            "http:a.test",
            "http:\\\\a.test",
            "http://",
            "http:///x",
            "http://a.test\\@evil.test/",
            "http://a.test@b@c/",
            "http://a b/",
            "http://a.test:80x/",
            "http://a.test:99999/",
            "http://[::1/",
            "http://[::1]x/",
            "http://%61.test/",
            "http://ä.test/",
            "ht\ttp://a.test/",
        ] {
            assert!(Reference::read(text).is_none_or(|it| it.authority.is_none()), "{text}");
        }
    }

    #[test]
    fn hosts_are_equal_in_any_spelling() {
        let host = |text| Authority::read(text).expect("an authority").host;
        assert!(host("A.Test:80").is("a.test") && host("a.test.").is("a.test"));
        assert!(host("[0:0::0001]:80").is("::1") && host("127.0.0.1").is("127.0.0.1"));
        assert!(!host("a.test").is("test") && !host("[::1]").is("::2"));
        assert_eq!(host("user@a.test"), Host::Name("a.test"));
    }
}
