//! The `methods` of a route.

use http::Method;

use crate::problem::{Draft, Problems};
use crate::table::MethodSet;
use crate::written::reader::{Field, Located};
use crate::written::table::nearest;

/// The IANA registry of methods without CONNECT and PRI, and what caches know: PURGE, BAN.
const KNOWN: [&str; 42] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "PURGE",
    "BAN",
    "NOTIFY",
    "SUBSCRIBE",
];

/// Sorted, without repetition, and with HEAD where there is GET: equal sets are equal values.
pub(super) fn set(field: &Field<Vec<Located<String>>>, problems: &mut Problems) -> Option<MethodSet> {
    let written = match field {
        Field::Absent => return Some(MethodSet::Any),
        Field::Bad(_) => return None,
        Field::Good(written) => written,
    };
    if written.value.is_empty() {
        let draft = Draft::error("empty-list", written.spot, "a route without methods takes nothing");
        problems.push(draft.hint("leave `methods` out to take all of them"));
        return None;
    }
    let read: Vec<_> = written.value.iter().map(|word| method(word, problems)).collect();
    let mut methods = read.into_iter().collect::<Option<Vec<_>>>()?;
    if methods.contains(&Method::GET) {
        methods.push(Method::HEAD);
    }
    methods.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    methods.dedup();
    Some(MethodSet::Only(methods))
}

fn method(word: &Located<String>, problems: &mut Problems) -> Option<Method> {
    let text = word.value.as_str();
    if KNOWN.contains(&text) {
        return Method::from_bytes(text.as_bytes()).ok();
    }
    let hint = match nearest(text, KNOWN) {
        _ if text == "*" => "leave `methods` out to take all of them".to_owned(),
        _ if text == "CONNECT" => "CONNECT asks for a tunnel, which a reverse proxy does not dig".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None => "methods are written in upper case: `GET`, `POST`".to_owned(),
    };
    let message = if text == "CONNECT" {
        "`CONNECT` cannot be routed".to_owned()
    } else {
        format!("`{text}` is no method")
    };
    problems.push(Draft::error("unknown-method", word.spot, message).hint(hint));
    None
}

/// Whether a safe method (RFC 9110 9.2.1) is taken.
pub(super) fn any_safe(methods: &MethodSet) -> bool {
    match methods {
        MethodSet::Any => true,
        MethodSet::Only(methods) => methods.iter().any(Method::is_safe),
    }
}

/// Anything but the safe methods (RFC 9110 9.2.1) may change something.
pub(super) fn any_unsafe(methods: &MethodSet) -> bool {
    match methods {
        MethodSet::Any => true,
        MethodSet::Only(methods) => !methods.iter().all(Method::is_safe),
    }
}
