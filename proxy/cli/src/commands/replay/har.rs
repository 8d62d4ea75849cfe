//! The requests of a HAR file: what a browser's network tab saves (HAR 1.2).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::input::{FILE_BYTES_MAX, Question, unread};
use crate::failure::{Exit, Failure};
use crate::screen;

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Pair>,
    #[serde(default, rename = "postData")]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    text: Option<String>,
    /// `base64` for bytes: in the standard for answers only, written for requests by many.
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Param>,
    #[serde(default)]
    mime_type: String,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(default)]
    value: String,
}

/// Every request of the file.
pub(super) fn read(path: &Path) -> Result<Vec<Question>, Failure> {
    let file = File::open(path).map_err(|error| unread(path, &error.to_string()))?;
    let read: Result<Har, _> = serde_json::from_reader(BufReader::new(file.take(FILE_BYTES_MAX)));
    let har = read.map_err(|error| malformed(path, error.line(), &error.to_string()))?;
    let question = |(number, entry): (usize, Entry)| {
        question(entry.request).map_err(|problem| {
            let problem = screen::printable(&problem);
            let problem = format!("entry {} of `log.entries`: {problem}", number + 1);
            Failure::new(Exit::Failed, format!("{}: {problem}", path.display()))
        })
    };
    har.log.entries.into_iter().enumerate().map(question).collect()
}

fn question(request: Request) -> Result<Question, String> {
    let Request { method, url, headers, post_data } = request;
    let target = target(&url)?;
    let headers: Vec<_> = headers.into_iter().map(|pair| (pair.name, pair.value)).collect();
    let body = post_data.map(body).transpose()?.flatten();
    Question::new(&method, target, &headers, body, true)
}

/// Path and query of an address.
fn target(url: &str) -> Result<String, String> {
    let url = url.split('#').next().unwrap_or_default();
    let uri: http::Uri = url.parse().map_err(|_| format!("not an address: `{url}`"))?;
    uri.path_and_query().map(ToString::to_string).ok_or_else(|| format!("not an address: `{url}`"))
}

fn body(data: PostData) -> Result<Option<Vec<u8>>, String> {
    match (data.text, data.encoding.as_deref()) {
        (Some(text), Some("base64")) => {
            let bytes = STANDARD.decode(text.trim());
            bytes.map(Some).map_err(|error| format!("the body is not base64: {error}"))
        }
        (Some(text), _) if !text.is_empty() => Ok(Some(text.into_bytes())),
        _ if data.params.is_empty() => Ok(None),
        _ if data.mime_type.starts_with("multipart/") => {
            Err("the body is multipart without its text: its boundary is not known".to_owned())
        }
        _ => Ok(Some(pairs(&data.params).into_bytes())),
    }
}

/// Some leave the text of a form out. Names and values are written as they were sent (HAR 1.2).
fn pairs(params: &[Param]) -> String {
    params.iter().map(|param| format!("{}={}", param.name, param.value)).collect::<Vec<_>>().join("&")
}

fn malformed(path: &Path, line: usize, problem: &str) -> Failure {
    let problem = screen::printable(problem);
    Failure::new(Exit::Failed, format!("{}:{line}: not a HAR file: {problem}", path.display()))
        .hint("save it anew with the network tab of a browser: \"Save all as HAR\"")
}
