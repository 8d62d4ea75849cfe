//! The same requests with and without the proxy: the same answers.

use std::net::SocketAddr;

use crate::raw::{self, Answer};

/// Of the connection or of the moment, not of the answer.
const VOLATILE: [&str; 5] = ["connection", "date", "expires", "keep-alive", "transfer-encoding"];

/// The name under which both are asked.
pub(crate) const HOST: &str = "shop.example";

/// A request. `Host` and `Connection: close` come by themselves, `Content-Length` with a body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: Option<Vec<u8>>,
    /// Sends the body in chunks.
    pub(crate) is_chunked: bool,
}

/// A GET.
pub(crate) fn get(target: &str) -> Page {
    Page { method: "GET", target: target.to_owned(), ..Page::default() }
}

impl Page {
    pub(crate) fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    pub(crate) fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }

    /// Asks a server for it.
    pub(crate) async fn ask(&self, address: SocketAddr) -> Answer {
        raw::ask(address, &self.bytes()).await
    }

    fn bytes(&self) -> Vec<u8> {
        let mut fields = vec![("Host", HOST.to_owned())];
        fields.extend(self.fields.iter().cloned());
        let body = self.body.as_deref().unwrap_or_default();
        if self.is_chunked {
            fields.push(("Transfer-Encoding", "chunked".to_owned()));
        } else if self.body.is_some() {
            fields.push(("Content-Length", body.len().to_string()));
        }
        fields.push(("Connection", "close".to_owned()));
        let fields: String = fields.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let mut bytes = format!("{} {} HTTP/1.1\r\n{fields}\r\n", self.method, self.target).into_bytes();
        if self.is_chunked {
            bytes.extend(chunked(body));
        } else {
            bytes.extend(body);
        }
        bytes
    }
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in body.chunks(10_000) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Fails with the first difference. `mask` hides what the application makes up anew each time.
pub(crate) fn assert_same(page: &Page, direct: &Answer, proxied: &Answer, mask: fn(&str) -> String) {
    let what = format!("{} {}", page.method, page.target);
    assert_eq!(proxied.status, direct.status, "status of {what}\n{}", proxied.text());
    assert_eq!(lasting(proxied, mask), lasting(direct, mask), "fields of {what}");
    if masked(&proxied.body, mask) != masked(&direct.body, mask) {
        let at = proxied.body.iter().zip(&direct.body).take_while(|(one, other)| one == other).count();
        let around = |answer: &Answer| {
            let end = answer.body.len().min(at + 200);
            String::from_utf8_lossy(&answer.body[at.saturating_sub(100).min(end)..end]).into_owned()
        };
        panic!("body of {what} at {at}\nproxied: {}\ndirect: {}", around(proxied), around(direct));
    }
}

fn lasting(answer: &Answer, mask: fn(&str) -> String) -> Vec<(String, String)> {
    let kept = |(name, _): &&(String, String)| !VOLATILE.contains(&name.to_ascii_lowercase().as_str());
    let mut fields: Vec<_> =
        answer.fields.iter().filter(kept).map(|(name, value)| (name.clone(), mask(value))).collect();
    // Fields of different names have no order (RFC 9110 5.3), those of one name do.
    fields.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    fields
}

fn masked(body: &[u8], mask: fn(&str) -> String) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => mask(text).into_bytes(),
        Err(_) => body.to_vec(),
    }
}

/// Hides whatever stands between `from` and `to`, every time.
pub(crate) fn hide(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(to).unwrap_or(part.len());
        shown = shown + from + "*" + &part[end..];
    }
    shown
}
