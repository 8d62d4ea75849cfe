//! Host names, and the `host` of a route.

use super::target;
use crate::problem::{Draft, Problems};
use crate::table::HostPattern;
use crate::written::reader::{Field, Located};

/// Labels of letters, digits, `-` and `_`, 253 characters at most (RFC 1035 2.3.4; `_` is met in practice).
pub(super) fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(good)
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// The `host` of a route, in lower case.
pub(super) fn pattern(field: &Field<String>, problems: &mut Problems) -> Option<HostPattern> {
    let written = match field {
        Field::Absent => return Some(HostPattern::Any),
        Field::Bad(_) => return None,
        Field::Good(written) => written,
    };
    let text = written.value.to_ascii_lowercase();
    match text.strip_prefix("*.") {
        Some(parent) if is_name(parent) => Some(HostPattern::Suffix(format!(".{parent}").into())),
        None if is_name(&text) => Some(HostPattern::Exact(text.into())),
        _ => {
            problems.push(refusal(written));
            None
        }
    }
}

fn refusal(written: &Located<String>) -> Draft {
    let text = &written.value;
    let error = |message: String| Draft::error("bad-host", written.spot, message);
    let name = text.rsplit_once(':').filter(|(name, port)| is_name(name) && target::port(port).is_some());
    let name = name.map(|(name, _)| name);
    if text == "*" {
        return error("`*` is no host".to_owned()).hint("leave `host` out to take every host");
    }
    if let Some(name) = name {
        return error(format!("`{text}` holds a port"))
            .hint(format!("hosts match on any port: write `{name}`"));
    }
    if text.contains('*') {
        return error(format!("`{text}` has a wildcard that is not its first label"))
            .hint("a wildcard stands for whole labels at the beginning: `*.example.com`");
    }
    if !text.is_ascii() {
        return error(format!("`{text}` is not ASCII"))
            .hint("write it as browsers send it, beginning with `xn--`");
    }
    error(format!("`{text}` is no host name")).hint("write it like `api.example.com` or `*.example.com`")
}
