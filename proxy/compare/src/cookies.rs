//! `Set-Cookie` by name, value and attributes (RFC 6265, 5.2), whatever their order and case.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::difference::{CookieChange, Difference};
use crate::findings::Findings;

/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 128;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cookie {
    name: String,
    attributes: BTreeMap<String, String>,
    value: String,
}

/// Adds what differs.
pub(crate) fn differ(legacy: &HeaderMap, candidate: &HeaderMap, findings: &mut Findings<'_>) {
    let (legacy, candidate) = (cookies(legacy), cookies(candidate));
    let (mut one, mut other) = (legacy.iter().peekable(), candidate.iter().peekable());
    loop {
        let order = match (one.peek(), other.peek()) {
            (Some(one), Some(other)) => one.name.cmp(&other.name),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return,
        };
        let left = if order.is_le() { one.next() } else { None };
        let right = if order.is_ge() { other.next() } else { None };
        match (left, right) {
            (Some(left), Some(right)) => differ_cookie(left, right, findings),
            (Some(only), None) => add(only, CookieChange::Missing, findings),
            (None, Some(only)) => add(only, CookieChange::Extra, findings),
            (None, None) => return,
        }
    }
}

fn differ_cookie(legacy: &Cookie, candidate: &Cookie, findings: &mut Findings<'_>) {
    if legacy.value != candidate.value {
        add(legacy, CookieChange::Value, findings);
    }
    let names = legacy.attributes.keys().chain(candidate.attributes.keys());
    let mut names: Vec<&String> = names.collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if legacy.attributes.get(name) != candidate.attributes.get(name) {
            add(legacy, CookieChange::Attribute(name.clone()), findings);
        }
    }
}

fn add(cookie: &Cookie, change: CookieChange, findings: &mut Findings<'_>) {
    findings.add(Difference::Cookie { name: cookie.name.clone(), change });
}

/// By name; those of one name by their attributes, so that scopes meet.
fn cookies(headers: &HeaderMap) -> Vec<Cookie> {
    let lines = headers.get_all(SET_COOKIE).iter();
    let mut cookies: Vec<Cookie> =
        lines.map(|line| cookie(&String::from_utf8_lossy(line.as_bytes()))).collect();
    cookies.sort();
    cookies
}

fn cookie(line: &str) -> Cookie {
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = pair(parts.next().unwrap_or_default());
    let mut attributes: BTreeMap<String, String> =
        parts.filter(|part| !part.is_empty()).map(pair).map(attribute).collect();
    // Max-Age wins (RFC 6265, 5.3), so what Expires says beside it does not matter.
    if attributes.contains_key("max-age") {
        attributes.remove("expires");
    }
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
    Cookie { name, attributes, value: value.to_owned() }
}

fn pair(text: &str) -> (&str, &str) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.trim(), value.trim())
}

fn attribute((name, value): (&str, &str)) -> (String, String) {
    let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_ascii_lowercase();
    let value = match name.as_str() {
        "domain" => value.trim_start_matches('.').to_ascii_lowercase(),
        "samesite" => value.to_ascii_lowercase(),
        "secure" | "httponly" | "partitioned" => String::new(),
        _ => value.to_owned(),
    };
    (name, value)
}
