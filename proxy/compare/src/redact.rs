//! What is kept of a request or answer as a sample: bounded, and without secrets.
//!
//! - Header fields: values of [`SECRET_HEADERS`] and of every name that contains one of [`SECRET_WORDS`] are
//!   replaced whole; of `Set-Cookie`, the value stays out and name and attributes stay in; of `Cookie`, the names
//!   stay in. `Location`, `Referer`, `Link`, `Refresh` and `Content-Location` lose secrets of their queries.
//! - Parameters of paths (`;jsessionid=`) and queries, by the same words and by [`SECRET_NAMES`].
//! - JSON, lines of JSON and forms: members whose name contains one of [`SECRET_WORDS`], and configured pointers.
//!   Case, `_` and `-` do not count: `apiKey`, `API_KEY` and `api-key` contain `apikey`. The value goes, whole
//!   objects too.
//! - What is not parsed is not kept: text, HTML and bytes are replaced by their length, and so is JSON that breaks
//!   off, is beyond the bounds of a comparison, or cannot be decoded. There is no telling what is secret in them.
//! - Names can be secrets, too (a map by token): a key of 16 or more hexadecimal digits or over 64 bytes goes.
//!
//! "Contains" takes out too much (`tokenCount`), never too little of what is listed. A secret under a harmless name,
//! such as `note`, is kept unless a pointer names it.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use crate::decode::decode;
use crate::json::{self, Node, Value};
use crate::media::{Media, media};
use crate::path::Step;
use crate::pattern::PointerPattern;

/// What stands for a secret.
pub const REDACTED: &str = "[redacted]";

/// Header fields whose value is a secret.
pub const SECRET_HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "authentication-info",
    "proxy-authentication-info",
    "www-authenticate",
    "x-amz-signature",
    "x-forwarded-client-cert",
    "dpop",
];

/// A name that contains one of these holds a secret. Compared in lower case, without `_`, `-` and `.`.
pub const SECRET_WORDS: [&str; 27] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
    "session",
    "sessid",
    "signature",
    "jwt",
    "otp",
    "pincode",
    "card",
    "cvv",
    "cvc",
    "iban",
    "bic",
    "accountnumber",
    "ssn",
    "socialsecurity",
    "taxid",
    "passport",
];

/// A name that is one of these holds a secret, too; parts of other words do not. Compared as [`SECRET_WORDS`] are.
pub const SECRET_NAMES: [&str; 6] = ["auth", "xauth", "sid", "sig", "pass", "pin"];

/// The same in a query, where `code` is what OAuth gives out a session for.
const SECRET_PARAMETERS: [&str; 2] = ["code", "key"];

/// Bytes of the longest key that is kept.
const KEY_BYTES_MAX: usize = 64;

/// Redacts for one route.
#[derive(Debug, Clone)]
pub struct Redactor {
    pointers: Vec<PointerPattern>,
    bytes_max: usize,
}

impl Redactor {
    /// With the pointers of a route beside the default list; each text that comes out has at most `bytes_max` bytes.
    pub fn new(pointers: Vec<PointerPattern>, bytes_max: usize) -> Self {
        Self { pointers, bytes_max }
    }

    /// Header fields, in the order of the map, until their bytes reach the bound.
    pub fn headers(&self, headers: &HeaderMap) -> Vec<(HeaderName, String)> {
        let mut left = self.bytes_max;
        let mut kept = Vec::new();
        for (name, value) in headers {
            let value = header(name, &String::from_utf8_lossy(value.as_bytes()));
            let bytes = name.as_str().len() + value.len();
            if bytes > left {
                break;
            }
            left -= bytes;
            kept.push((name.clone(), value));
        }
        kept
    }

    /// A path with its query: values of secret names go.
    pub fn target(&self, target: &str) -> String {
        cut(url(target), self.bytes_max)
    }

    /// A body as it was sent, with the header fields that say what it is.
    pub fn body(&self, headers: &HeaderMap, body: &Bytes) -> String {
        let unread = || format!("[{} bytes]", body.len());
        let text = decode(headers, body).ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let shown = text.and_then(|text| self.tree(media(headers).0, &text)).unwrap_or_else(unread);
        cut(shown, self.bytes_max)
    }

    fn tree(&self, media: Media, text: &str) -> Option<String> {
        let root = match media {
            Media::Json => json::parse(text),
            Media::JsonLines => json::parse_lines(text),
            Media::UrlEncoded => json::parse_pairs(text),
            Media::Unsaid | Media::Html | Media::Text | Media::Bytes => return None,
        };
        let mut out = String::new();
        self.write(&root.ok()?, &mut Vec::new(), &mut out);
        Some(out)
    }

    /// Writes until the bound is reached: what comes after would be cut.
    fn write<'n>(&self, node: &'n Node<'_>, path: &mut Vec<Step<'n>>, out: &mut String) {
        if out.len() > self.bytes_max {
            return;
        }
        if self.pointers.iter().any(|pointer| pointer.covers(path)) {
            return quote(REDACTED, out);
        }
        match &node.value {
            Value::Null => out.push_str("null"),
            Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Number(text) => out.push_str(text),
            Value::String(text) => quote(text, out),
            Value::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| (Step::Index(index), item));
                self.nested('[', items, ']', path, out);
            }
            Value::Object(members) => {
                let members = members.iter().map(|member| (Step::Key(&member.key), &member.node));
                self.nested('{', members, '}', path, out);
            }
        }
    }

    fn nested<'n, 'a: 'n>(
        &self,
        open: char,
        children: impl Iterator<Item = (Step<'n>, &'n Node<'a>)>,
        close: char,
        path: &mut Vec<Step<'n>>,
        out: &mut String,
    ) {
        out.push(open);
        for (index, (step, child)) in children.enumerate() {
            if out.len() > self.bytes_max {
                break;
            }
            out.push_str(if index > 0 { "," } else { "" });
            let secret = key(step, out);
            path.push(step);
            if secret {
                quote(REDACTED, out);
            } else {
                self.write(child, path, out);
            }
            path.pop();
        }
        out.push(close);
    }
}

/// Writes the key, if it is one, and says whether its value is a secret.
fn key(step: Step<'_>, out: &mut String) -> bool {
    let Step::Key(key) = step else { return false };
    let long_hex = key.len() >= 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    quote(if key.len() > KEY_BYTES_MAX || long_hex { REDACTED } else { key }, out);
    out.push(':');
    is_secret(key)
}

/// Whether what has this name is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let bare = bare(name);
    SECRET_NAMES.contains(&bare.as_str()) || SECRET_WORDS.iter().any(|word| bare.contains(word))
}

fn is_secret_parameter(name: &str) -> bool {
    is_secret(name) || SECRET_PARAMETERS.contains(&bare(name).as_str())
}

fn bare(name: &str) -> String {
    name.chars().filter(|c| !"_-. ".contains(*c)).flat_map(char::to_lowercase).collect()
}

fn header(name: &HeaderName, value: &str) -> String {
    match name.as_str() {
        "set-cookie" => set_cookie(value),
        "cookie" => value.split(';').map(cookie).collect::<Vec<_>>().join("; "),
        name if SECRET_HEADERS.contains(&name) || is_secret(name) => REDACTED.to_owned(),
        "location" | "content-location" | "referer" | "link" | "refresh" => url(value),
        _ => value.to_owned(),
    }
}

fn set_cookie(line: &str) -> String {
    let (first, attributes) = line.split_once(';').map_or((line, ""), |(first, rest)| (first, rest));
    let separator = if attributes.is_empty() { "" } else { ";" };
    format!("{}{separator}{attributes}", cookie(first))
}

/// A cookie without `=` is all value.
fn cookie(pair: &str) -> String {
    pair.split_once('=')
        .map_or_else(|| REDACTED.to_owned(), |(name, _)| format!("{}={REDACTED}", name.trim()))
}

/// Secrets of a path's parameters (`;jsessionid=...`), a query and a fragment, and a password before an `@`.
fn url(text: &str) -> String {
    let text = without_user(text);
    let Some((path, query)) = text.split_once(['?', '#']) else { return path_parameters(&text) };
    let mut out = format!("{}{}", path_parameters(path), &text[path.len()..=path.len()]);
    for (index, pair) in query.split(['&', ';', '#', '?']).enumerate() {
        out.push_str(if index > 0 { "&" } else { "" });
        parameter(pair, &mut out);
    }
    out
}

/// RFC 3986 3.3: `/cart;jsessionid=1F/items`.
fn path_parameters(path: &str) -> String {
    let mut out = String::new();
    for (index, segment) in path.split('/').enumerate() {
        out.push_str(if index > 0 { "/" } else { "" });
        for (index, part) in segment.split(';').enumerate() {
            out.push_str(if index > 0 { ";" } else { "" });
            if index > 0 { parameter(part, &mut out) } else { out.push_str(part) }
        }
    }
    out
}

fn parameter(pair: &str, out: &mut String) {
    let Some((name, value)) = pair.split_once('=') else { return out.push_str(pair) };
    let plain = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name);
    let secret = is_secret_parameter(name) || plain.is_some_and(|name| is_secret_parameter(&name));
    out.extend([name, "=", if secret { REDACTED } else { value }]);
}

fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::Redactor;
    use crate::PointerPattern;

    fn redactor() -> Redactor {
        Redactor::new(vec![PointerPattern::parse("/person/*/note").unwrap()], 4_096)
    }

    #[track_caller]
    fn body(content_type: &'static str, body: &'static str, expected: &str) {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        assert_eq!(redactor().body(&headers, &Bytes::from_static(body.as_bytes())), expected);
    }

    #[test]
    fn bodies_lose_their_secrets() {
        body(
            "application/json",
            r#"{"user":"ann","Pass_Word":"x","n":1.50}"#,
            r#"{"user":"ann","Pass_Word":"[redacted]","n":1.50}"#,
        );
        body(
            "application/json",
            r#"{"cards":[{"n":"4111"}],"a":[1,null]}"#,
            r#"{"cards":"[redacted]","a":[1,null]}"#,
        );
        body(
            "application/json",
            r#"{"person":[{"note":{"a":1},"x":2}]}"#,
            r#"{"person":[{"note":"[redacted]","x":2}]}"#,
        );
        body("application/json", r#"{"0123456789abcdef":1}"#, r#"{"[redacted]":1}"#);
        body("application/json", r#"{"password":"x""#, "[15 bytes]");
        body(
            "application/x-www-form-urlencoded",
            "user=ann&access%5Ftoken=x",
            r#"{"user":"ann","access_token":"[redacted]"}"#,
        );
        body("text/html", "<b>secret</b>", "[13 bytes]");
        body("application/x-ndjson", "{\"iban\":1}\n{\"a\":2}", r#"[{"iban":"[redacted]"},{"a":2}]"#);
    }

    #[test]
    fn fields_and_targets_lose_theirs() {
        let check = |name: &'static str, value: &'static str, expected: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            assert_eq!(redactor().headers(&headers)[0].1, expected, "{name}");
        };
        check("authorization", "Bearer abc", "[redacted]");
        check("x-api-key", "abc", "[redacted]");
        check("x-csrf-token", "abc", "[redacted]");
        check("cookie", "a=1; sid=x=y; z", "a=[redacted]; sid=[redacted]; [redacted]");
        check("set-cookie", "sid=x; Path=/; HttpOnly", "sid=[redacted]; Path=/; HttpOnly");
        check(
            "location",
            "https://u:p@a.example/cb?code=1&token=x#id_token=y",
            "https://[redacted]@a.example/cb?code=[redacted]&token=[redacted]&id_token=[redacted]",
        );
        check("accept", "*/*", "*/*");
        check("x-auth", "abc", "[redacted]");
        check("x-author", "ann", "ann");
        let target = "/cart;jsessionid=1F;v=2/items?sig=x&code=y&PHPSESSID=z&pin_count=1&page=2";
        let kept =
            "/cart;jsessionid=[redacted];v=2/items?sig=[redacted]&code=[redacted]&PHPSESSID=[redacted]";
        assert_eq!(redactor().target(target), format!("{kept}&pin_count=1&page=2"));
        assert_eq!(redactor().target("/a?q=1&api%5Fkey=x&flag"), "/a?q=1&api%5Fkey=[redacted]&flag");
        assert_eq!(Redactor::new(Vec::new(), 5).target("/aé/ü"), "/aé/");
    }

    proptest::proptest! {
        #[test]
        fn no_secret_comes_out_and_the_bound_holds(bound in 0_usize..200, pad in "[a-z\\\\\"{é]{0,40}") {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            let text = serde_json::json!({ "a": pad, "deep": [{ "userPassword": "hunter2" }] }).to_string();
            let out = Redactor::new(Vec::new(), bound).body(&headers, &Bytes::from(text));
            proptest::prop_assert!(out.len() <= bound && !out.contains("hunter2"));
        }
    }
}
