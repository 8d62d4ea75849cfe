//! The requests to ask, from a file or from a running proxy.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use super::har;
use crate::args::ReplayArgs;
use crate::commands::mismatches::unknown_route;
use crate::failure::{Exit, Failure};
use crate::screen;
use crate::settings::Settings;

/// Most bytes of a file that is read: in a HAR file, answers are in it, too.
pub(super) const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What stands for a secret that was taken out.
const REDACTED: &str = banyan_compare::REDACTED;

/// Fields by which an application takes a request for one of another method.
const METHOD_FIELDS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// One request to ask.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) method: Method,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    /// It is the request that was asked once, but for secrets in its header.
    pub(super) is_whole: bool,
    /// As far as it is known to have no effects.
    pub(super) is_safe: bool,
}

/// A line of `banyan record`. What other tools write may leave the rest out.
#[derive(Deserialize)]
struct Line {
    request: Written,
}

/// A request as it is written down.
#[derive(Deserialize)]
struct Written {
    method: String,
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default = "yes")]
    whole: bool,
    /// What the proxy knew. Without it, the request itself is all there is.
    #[serde(default = "yes")]
    safe: bool,
}

fn yes() -> bool {
    true
}

impl Question {
    /// Checks what was written down.
    pub(super) fn new(
        method: &str,
        target: String,
        headers: &[(String, String)],
        body: Option<Vec<u8>>,
        whole: bool,
    ) -> Result<Self, String> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| format!("not a method: `{method}`"))?;
        if !target.starts_with('/') {
            return Err(format!("expected a target that begins with `/`, found `{target}`"));
        }
        let is_whole = whole && !target.contains(REDACTED);
        // RFC 9110, 9.2.1. Of what was written, as fields that lost a secret are left out.
        let is_safe = method.is_safe() && !headers.iter().any(|(name, _)| changes_method(name));
        Ok(Self { method, target, headers: fields(headers)?, body, is_whole, is_safe })
    }

    /// With what is known of its route.
    fn and_safe(self, safe: bool) -> Self {
        Self { is_safe: self.is_safe && safe, ..self }
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

/// Whether a field of this name makes a request one of another method.
pub(super) fn changes_method(name: &str) -> bool {
    METHOD_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// Without those that lost a secret: half a cookie is worse than none.
fn fields(written: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        // HTTP/2 has some that are no fields, and HAR files have them.
        if name.starts_with(':') || value.contains(REDACTED) {
            continue;
        }
        let read = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
        let (name, value) = read.ok_or_else(|| format!("not a header field: `{name}`"))?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// All requests of the file or proxy that the arguments name: just one is given. Nothing is asked before all of them could
/// be read.
pub(super) fn read(args: &ReplayArgs, settings: &Settings) -> Result<Vec<Question>, Failure> {
    if let Some(path) = &args.jsonl {
        return lines(path);
    }
    if let Some(path) = &args.har {
        return har::read(path);
    }
    let route = args.stored.as_deref().unwrap_or_default();
    let admin = settings.admin()?;
    let stored = admin.stored_requests(route).map_err(|error| unknown_route(error, route, &admin))?;
    let question = |request: banyan_control::api::SampleRequest| {
        let body = request.body.map(String::into_bytes);
        Question::new(&request.method, request.target, &request.headers, body, request.whole)
            .map(|question| question.and_safe(request.safe))
    };
    stored.requests.into_iter().map(question).collect::<Result<_, _>>().map_err(|problem: String| {
        let problem = screen::printable(&problem);
        Failure::new(Exit::Failed, format!("a sample of route `{route}` cannot be asked: {problem}"))
    })
}

fn lines(path: &Path) -> Result<Vec<Question>, Failure> {
    let unread = |error: io::Error| unread(path, &error.to_string());
    let mut reader = BufReader::new(File::open(path).map_err(unread)?.take(FILE_BYTES_MAX));
    let (mut questions, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(unread)? == 0 {
            break;
        }
        let line = line.trim_ascii();
        if !line.is_empty() {
            questions.push(parsed(line).map_err(|problem| malformed(path, number, &problem))?);
        }
    }
    Ok(questions)
}

fn parsed(line: &[u8]) -> Result<Question, String> {
    let Line { request } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let Written { method, target, headers, body, whole, safe } = request;
    Question::new(&method, target, &headers, body.map(String::into_bytes), whole)
        .map(|question| question.and_safe(safe))
}

fn malformed(path: &Path, line: usize, problem: &str) -> Failure {
    // The column is that of the line; its own line number would be 1 always.
    let problem = screen::printable(&problem.replace(" at line 1 column", ", column"));
    Failure::new(Exit::Failed, format!("{}:{line}: not a request: {problem}", path.display()))
        .hint(r#"a line looks like {"request":{"method":"GET","target":"/a","headers":[["accept","*/*"]]}}"#)
}

/// A file that is not there, or not readable.
pub(super) fn unread(path: &Path, error: &str) -> Failure {
    Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display()))
}
