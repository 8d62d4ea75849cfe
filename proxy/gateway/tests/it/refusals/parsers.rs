//! Two ways to read a request, as upstreams do it.

use std::fmt;

/// A request as a parser sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) body: Vec<u8>,
    is_chunked: bool,
    /// Bytes of the whole.
    pub(super) length: usize,
}

impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.method, self.target)?;
        match (self.is_chunked, self.body.len()) {
            (false, 0) => Ok(()),
            (true, bytes) => write!(out, ", {bytes} bytes in chunks"),
            (false, bytes) => write!(out, ", {bytes} bytes by length"),
        }
    }
}

#[derive(Debug)]
pub(super) enum Parsed {
    Whole(Request),
    Unfinished,
    Malformed(&'static str),
}

/// RFC 9112 to the letter, and nothing that it lets a recipient forgive.
pub(super) fn strict(bytes: &[u8]) -> Parsed {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Parsed::Unfinished };
    let Ok(head) = str::from_utf8(&bytes[..end]) else { return Parsed::Malformed("not text") };
    if head.replace("\r\n", "").contains(|found: char| found.is_control() && found != '\t') {
        return Parsed::Malformed("control characters");
    }
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Parsed::Malformed("request line") };
    if method.is_empty() || !(target.starts_with('/') || target == "*") {
        return Parsed::Malformed("method or target");
    }
    let mut fields = Vec::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            return Parsed::Malformed("field without colon");
        };
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Parsed::Malformed("field name");
        }
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])));
    }
    let all = |wanted: &str| -> Vec<&str> {
        fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| *value).collect()
    };
    if all("host").len() != 1 {
        return Parsed::Malformed("not one Host");
    }
    let start = end + 4;
    let (body, length, is_chunked) = match (&all("content-length")[..], &all("transfer-encoding")[..]) {
        ([], []) => (Vec::new(), 0, false),
        ([], ["chunked"]) => match chunks(&bytes[start..]) {
            Chunks::Whole(body, length) => (body, length, true),
            Chunks::Unfinished => return Parsed::Unfinished,
            Chunks::Malformed => return Parsed::Malformed("chunks"),
        },
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length: usize = length.parse().unwrap();
            match bytes[start..].get(..length) {
                Some(body) => (body.to_vec(), length, false),
                None => return Parsed::Unfinished,
            }
        }
        _ => return Parsed::Malformed("framing"),
    };
    let (method, target) = (method.to_owned(), target.to_owned());
    Parsed::Whole(Request { method, target, body, is_chunked, length: start + length })
}

enum Chunks {
    Whole(Vec<u8>, usize),
    Unfinished,
    Malformed,
}

/// A size in plain digits, no extensions, trailers to the empty line.
fn chunks(bytes: &[u8]) -> Chunks {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Chunks::Unfinished };
        let line = String::from_utf8_lossy(&bytes[at..at + end]);
        let Ok(size) = usize::from_str_radix(&line, 16) else { return Chunks::Malformed };
        at += end + 2;
        if size == 0 {
            let Some(end) = find(&bytes[at - 2..], b"\r\n\r\n") else { return Chunks::Unfinished };
            return Chunks::Whole(body, at - 2 + end + 4);
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Chunks::Unfinished };
        if !data.ends_with(b"\r\n") {
            return Chunks::Malformed;
        }
        body.extend_from_slice(&data[..size]);
        at += size + 2;
    }
}

/// What a careless server makes of it: lines end with LF or CR, names may have spaces, any `chunked` anywhere counts, else
/// the last length does, and what follows is the next request. Targets and bodies.
pub(super) fn sloppy(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let head_end = find(bytes, b"\r\n\r\n").map(|at| at + 4);
        let head_end = head_end.or_else(|| find(bytes, b"\n\n").map(|at| at + 2)).unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
        let original = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let target = original.split_whitespace().nth(1).unwrap_or_default().to_owned();
        bytes = &bytes[head_end..];
        let mut length = 0;
        let mut is_chunked = false;
        for line in head.split(['\r', '\n']).skip(1) {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.trim().replace('_', "-").as_str() {
                "content-length" => {
                    let digits: String = value.trim().chars().take_while(char::is_ascii_digit).collect();
                    length = digits.parse().unwrap_or(0);
                }
                "transfer-encoding" => is_chunked |= value.contains("chunked"),
                _ => {}
            }
        }
        let body = if is_chunked { take_chunks(&mut bytes) } else { take(&mut bytes, length) };
        found.push((target, body));
    }
    found
}

fn take(bytes: &mut &[u8], count: usize) -> Vec<u8> {
    let (taken, rest) = bytes.split_at(count.min(bytes.len()));
    *bytes = rest;
    taken.to_vec()
}

fn take_chunks(bytes: &mut &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line_end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let line = take(bytes, line_end);
        let digits: String =
            line.iter().map(|&byte| byte as char).take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        if size == 0 {
            let end = find(bytes, b"\r\n").map_or(bytes.len(), |at| at + 2);
            take(bytes, end);
            return body;
        }
        body.extend(take(bytes, size));
        take(bytes, 2);
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
