//! Whether a condition holds for a request. Nothing here allocates but for decoded query values of more than
//! 256 bytes.

use std::fmt;

use http::header::COOKIE;
use smallvec::SmallVec;

use crate::decide::{Fields, RequestParts};
use crate::path::split_target;
use crate::pattern::written;
use crate::table::{Check, Condition, MethodSet, Pin, Subject};

impl Condition {
    /// Whether it holds. Of several lines, cookies or parameters with one name any may satisfy the check.
    pub(crate) fn holds<F: Fields>(&self, request: &RequestParts<'_, F>) -> bool {
        match &self.subject {
            Subject::Header(name) => self.check.holds(request.headers.values(name)),
            Subject::Cookie(name) => self.check.holds(cookie_values(request.headers, name)),
            Subject::Query(name) => self.check.holds(query_values(request.target, name)),
            Subject::ClientIp => match &self.check {
                Check::Within(nets) => {
                    let client = request.client.to_canonical();
                    nets.iter().any(|net| net.contains(&client))
                }
                _ => false,
            },
        }
    }

    /// Counts for precedence as a query condition, not as a header one.
    pub(crate) fn is_query(&self) -> bool {
        matches!(self.subject, Subject::Query(_))
    }
}

impl Check {
    fn holds<V: AsRef<[u8]>>(&self, mut values: impl Iterator<Item = V>) -> bool {
        match self {
            Self::Equals(text) => values.any(|value| value.as_ref() == text.as_bytes()),
            Self::Prefix(text) => values.any(|value| value.as_ref().starts_with(text.as_bytes())),
            Self::Regex(regex) => {
                values.any(|value| str::from_utf8(value.as_ref()).is_ok_and(|text| regex.is_match(text)))
            }
            Self::Present(wanted) => values.next().is_some() == *wanted,
            Self::Within(_) => false,
        }
    }
}

/// As in the file, without the braces: `header = "x-beta", equals = "yes"`.
impl fmt::Display for Condition {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Header(name) => write!(out, "header = \"{name}\", ")?,
            Subject::Cookie(name) => write!(out, "cookie = {name:?}, ")?,
            Subject::Query(name) => write!(out, "query = {name:?}, ")?,
            Subject::ClientIp => out.write_str("client_ip = true, ")?,
        }
        match &self.check {
            Check::Equals(text) => write!(out, "equals = {text:?}"),
            Check::Prefix(text) => write!(out, "prefix = {text:?}"),
            Check::Regex(regex) => write!(out, "regex = {:?}", written(regex)),
            Check::Present(wanted) => write!(out, "present = {wanted}"),
            Check::Within(nets) => {
                let nets: Vec<_> = nets.iter().map(|net| format!("\"{net}\"")).collect();
                write!(out, "within = [{}]", nets.join(", "))
            }
        }
    }
}

/// As in the file, with the braces.
impl fmt::Display for Pin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arm = if self.to_candidate { "candidate" } else { "legacy" };
        write!(out, "{{ {}, to = \"{arm}\" }}", self.condition)
    }
}

impl MethodSet {
    /// Whether the method is taken; GET implies HEAD.
    pub(crate) fn takes(&self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(methods) => {
                let takes = |wanted: &str| methods.iter().any(|it| it.as_str() == wanted);
                takes(method) || (method == "HEAD" && takes("GET"))
            }
        }
    }
}

/// Values of one cookie, over several `Cookie` lines (HTTP/2 splits them: RFC 9113, section 8.2.3).
pub(crate) fn cookie_values<'r, F: Fields>(headers: &'r F, name: &str) -> impl Iterator<Item = &'r [u8]> {
    let pairs = headers.values(&COOKIE).flat_map(|line| line.split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (found, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        (found == name.as_bytes()).then_some(value)
    })
}

/// Decoded values of one query parameter, as forms are encoded: `+` is a space.
fn query_values<'r>(target: &'r str, name: &str) -> impl Iterator<Item = Decoded<'r>> {
    let query = split_target(target).1.unwrap_or_default();
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(move |pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(found).as_ref() == name.as_bytes()).then(|| decoded(value))
    })
}

// A box would be the allocation that the buffer is there to avoid.
#[allow(clippy::large_enum_variant)]
enum Decoded<'r> {
    AsSent(&'r [u8]),
    Changed(SmallVec<[u8; 256]>),
}

impl AsRef<[u8]> for Decoded<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::AsSent(bytes) => bytes,
            Self::Changed(bytes) => bytes,
        }
    }
}

/// A `%` without two hexadecimal digits stands for itself.
fn decoded(text: &str) -> Decoded<'_> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Decoded::AsSent(bytes);
    }
    let mut out = SmallVec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, crate::path::decode(bytes, at)) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    Decoded::Changed(out)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::{HeaderMap, HeaderName, HeaderValue, Method};

    use super::{cookie_values, query_values};
    use crate::decide::RequestParts;
    use crate::pattern::anchored;
    use crate::table::{Check, Condition, MethodSet, Subject};

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    #[track_caller]
    fn check(subject: Subject, check: Check, expected: bool) {
        let headers = headers(&[("x-a", "one"), ("x-a", "two"), ("cookie", "c=1; d=2"), ("cookie", "c=3")]);
        let client: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        let request = RequestParts {
            method: &Method::GET,
            host: "",
            target: "/?q=a%20b&q=c+d&flag",
            headers: &headers,
            client,
            fresh_id: 0,
        };
        let condition = Condition { subject, check };
        assert_eq!(condition.holds(&request), expected, "{condition}");
    }

    #[test]
    fn any_of_several_values_may_satisfy() {
        let header = || Subject::Header(HeaderName::from_static("x-a"));
        check(header(), Check::Equals("two".into()), true);
        check(header(), Check::Equals("one, two".into()), false);
        check(header(), Check::Prefix("tw".into()), true);
        check(header(), Check::Regex(anchored("o.e").unwrap()), true);
        check(header(), Check::Regex(anchored("o").unwrap()), false);
        check(header(), Check::Present(false), false);
        check(Subject::Header(HeaderName::from_static("x-b")), Check::Present(false), true);
        check(Subject::Cookie("c".into()), Check::Equals("3".into()), true);
        check(Subject::Cookie("C".into()), Check::Present(true), false);
        check(Subject::Query("q".into()), Check::Equals("a b".into()), true);
        check(Subject::Query("q".into()), Check::Equals("c d".into()), true);
        check(Subject::Query("flag".into()), Check::Equals("".into()), true);
        check(Subject::Query("fla".into()), Check::Present(true), false);
        check(Subject::ClientIp, Check::Within(["10.0.0.0/8".parse().unwrap()].into()), true);
        check(Subject::ClientIp, Check::Within(["11.0.0.0/8".parse().unwrap()].into()), false);
    }

    #[test]
    fn cookies_and_queries_are_split_as_browsers_write_them() {
        let headers = headers(&[("cookie", "a=1;b = 2 ; a=x=y; broken"), ("cookie", "a=3")]);
        let values: Vec<_> = cookie_values(&headers, "a").collect();
        assert_eq!(values, [b"1".as_slice(), b"x=y", b"3"]);
        let values: Vec<_> = query_values("/?%61=%41&a=%zz&&b", "a").map(|it| it.as_ref().to_vec()).collect();
        assert_eq!(values, [b"A".as_slice(), b"%zz"]);
    }

    #[test]
    fn get_implies_head() {
        let only = MethodSet::Only(vec![Method::GET]);
        assert!(only.takes("HEAD") && only.takes("GET") && !only.takes("POST"));
        assert!(!MethodSet::Only(vec![Method::HEAD]).takes("GET"));
    }
}
