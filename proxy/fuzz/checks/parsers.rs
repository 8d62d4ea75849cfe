//! Two ways to read a request, as upstreams do it.

use std::fmt;

/// A request as a parser sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    /// Names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    is_chunked: bool,
    /// Bytes of the whole.
    pub(crate) length: usize,
}

impl Request {
    /// The values of all fields of a name.
    pub(crate) fn all(&self, wanted: &str) -> Vec<&str> {
        self.fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect()
    }
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
pub(crate) enum Parsed {
    Whole(Request),
    Unfinished,
    Malformed(&'static str),
}

/// RFC 9112 to the letter, and nothing that it lets a recipient forgive.
pub(crate) fn strict(bytes: &[u8]) -> Parsed {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Parsed::Unfinished };
    // Bytes above 127 are allowed in values (RFC 9110 5.5).
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if head.replace("\r\n", "").contains(|found: char| found.is_ascii_control() && found != '\t') {
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
        fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let (method, target) = (method.to_owned(), target.to_owned());
    let request = Request { method, target, body: Vec::new(), fields, is_chunked: false, length: end + 4 };
    if request.all("host").len() == 1 { with_body(request, bytes) } else { Parsed::Malformed("not one Host") }
}

/// A head, and what follows it by its own words.
fn with_body(mut request: Request, bytes: &[u8]) -> Parsed {
    let rest = &bytes[request.length..];
    let lengths = request.all("content-length");
    let body = match (&lengths[..], &request.all("transfer-encoding")[..]) {
        ([], []) => return Parsed::Whole(request),
        ([], ["chunked"]) => chunks(rest),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            // A length that no number holds is not reached either.
            match length.parse().ok().and_then(|length| rest.get(..length)) {
                Some(body) => Body::Whole(body.to_vec(), body.len()),
                None => Body::Unfinished,
            }
        }
        _ => return Parsed::Malformed("framing"),
    };
    request.is_chunked = lengths.is_empty();
    match body {
        Body::Whole(body, length) => {
            request.length += length;
            Parsed::Whole(Request { body, ..request })
        }
        Body::Unfinished => Parsed::Unfinished,
        Body::Malformed => Parsed::Malformed("chunks"),
    }
}

/// With the bytes it took.
enum Body {
    Whole(Vec<u8>, usize),
    Unfinished,
    Malformed,
}

/// Nobody here sends a longer one.
const MOST_CHUNK: usize = 1 << 30;

/// A size in plain digits, no extensions, trailers to the empty line.
fn chunks(bytes: &[u8]) -> Body {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else { return Body::Unfinished };
        let line = String::from_utf8_lossy(&bytes[at..at + end]);
        let is_plain = line.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Ok(size @ 0..=MOST_CHUNK) = usize::from_str_radix(&line, 16) else { return Body::Malformed };
        if !is_plain {
            return Body::Malformed;
        }
        at += end + 2;
        if size == 0 {
            let Some(end) = find(&bytes[at - 2..], b"\r\n\r\n") else { return Body::Unfinished };
            return Body::Whole(body, at - 2 + end + 4);
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Body::Unfinished };
        if !data.ends_with(b"\r\n") {
            return Body::Malformed;
        }
        body.extend_from_slice(&data[..size]);
        at += size + 2;
    }
}

/// What a careless server makes of it: lines end with LF or CR, names may have spaces, any `chunked` anywhere counts, else
/// the last length does, and what follows is the next request. Targets and bodies.
pub(crate) fn sloppy(mut bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
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

fn take_line(bytes: &mut &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
    take(bytes, end)
}

fn take_chunks(bytes: &mut &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = take_line(bytes);
        let digits: String =
            line.iter().map(|&byte| byte as char).take_while(char::is_ascii_hexdigit).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        if size == 0 {
            // Trailers, to an empty line.
            while !matches!(take_line(bytes).as_slice(), b"" | b"\n" | b"\r\n") {}
            return body;
        }
        body.extend(take(bytes, size));
        take(bytes, 2);
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
