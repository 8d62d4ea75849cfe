//! Status and header fields.
//!
//! Values are compared without the white space around them, several lines of a field as one list (RFC 9110, 5.3).
//! Where a field is a set, order, case and doubled members do not count. `Vary: Accept-Encoding` does not count,
//! because content codings do not. `charset` of a JSON type means nothing (RFC 8259, 11), a boundary is random.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW,
    CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName};

use crate::cookies;
use crate::difference::{Difference, HeaderChange};
use crate::findings::Findings;
use crate::media::{self, Media};
use crate::observation::Answer;

/// Adds what differs of the status.
pub(crate) fn differ_status(legacy: &Answer, candidate: &Answer, findings: &mut Findings<'_>) {
    if legacy.status != candidate.status {
        findings.add(Difference::Status { legacy: legacy.status, candidate: candidate.status });
    }
}

/// Adds what differs of the header fields and cookies.
pub(crate) fn differ_headers(legacy: &HeaderMap, candidate: &HeaderMap, findings: &mut Findings<'_>) {
    let compared = &findings.rules().parts().headers;
    let mut names: Vec<&HeaderName> = legacy.keys().chain(candidate.keys()).collect();
    names.retain(|name| **name != SET_COOKIE && compared.compares(name));
    names.sort_unstable_by_key(|name| name.as_str());
    names.dedup();
    for name in names {
        let change = match (value(legacy, name), value(candidate, name)) {
            (Some(legacy), Some(candidate)) if legacy != candidate => HeaderChange::Value,
            (Some(_), None) => HeaderChange::Missing,
            (None, Some(_)) => HeaderChange::Extra,
            _ => continue,
        };
        findings.add(Difference::Header { name: name.clone(), change });
    }
    if compared.compares(&SET_COOKIE) {
        cookies::differ(legacy, candidate, findings);
    }
}

/// The value in normal form; none if the field is absent, or says nothing that counts.
fn value(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
    let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
    if lines.is_empty() {
        return None;
    }
    if *name == CONTENT_TYPE {
        return Some(content_type(&lines[0]));
    }
    let joined = lines.join(", ");
    match set_of(name) {
        Some(of_tokens) => members(&joined, of_tokens, *name == VARY),
        None => Some(joined),
    }
}

/// Whether a field is a set, and whether its members are without case.
fn set_of(name: &HeaderName) -> Option<bool> {
    let caseless =
        [VARY, CACHE_CONTROL, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_EXPOSE_HEADERS].contains(name);
    (caseless || [ALLOW, ACCESS_CONTROL_ALLOW_METHODS].contains(name)).then_some(caseless)
}

fn members(list: &str, caseless: bool, vary: bool) -> Option<String> {
    let one_case = |member: &str| if caseless { member.to_ascii_lowercase() } else { member.to_owned() };
    let members = list.split(',').map(str::trim).filter(|member| !member.is_empty()).map(one_case);
    let mut members: Vec<String> = members.filter(|member| !(vary && member == "accept-encoding")).collect();
    members.sort_unstable();
    members.dedup();
    (!vary || !members.is_empty()).then(|| members.join(", "))
}

fn content_type(line: &str) -> String {
    let mut parts = line.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let is_json = matches!(media::of_essence(&essence), Media::Json | Media::JsonLines);
    let mut parameters: Vec<String> = parts.filter(|part| !part.is_empty()).map(parameter).collect();
    parameters.retain(|parameter| !(is_json && parameter.starts_with("charset=")));
    parameters.sort_unstable();
    [vec![essence], parameters].concat().join("; ")
}

fn parameter(text: &str) -> String {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'));
    match name.as_str() {
        "boundary" => name,
        "charset" => format!("{name}={}", value.to_ascii_lowercase()),
        _ => format!("{name}={value}"),
    }
}
