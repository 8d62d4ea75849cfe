//! `Connection`, and the fields it names.

use http::header::CONNECTION;

use crate::message::{Fields, is_name};

pub(super) fn has_option(fields: &Fields, wanted: &str) -> bool {
    let mut options = fields.get_all(&CONNECTION).flat_map(options_of);
    options.any(|option| option.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Options of one `Connection` line.
fn options_of(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Removes `Connection` and every field it names, but for those that the message itself needs.
pub(super) fn remove_nominated(fields: &mut Fields) {
    let mut named = Vec::new();
    // What nearly every message says, if it says anything, names nothing.
    for line in fields.get_all(&CONNECTION).filter(|line| !is_usual(line)) {
        named.extend(options_of(line).filter(|option| names_a_field(option)).map(<[u8]>::to_ascii_lowercase));
    }
    fields.remove(&CONNECTION);
    if named.is_empty() {
        return;
    }
    // As many names as a head has room for must not be looked for one by one.
    named.sort_unstable();
    fields.retain(|name| named.binary_search(&name.to_ascii_lowercase()).is_err());
}

fn names_a_field(option: &[u8]) -> bool {
    let is_needed = [b"host".as_slice(), b"content-length"].iter().any(|it| option.eq_ignore_ascii_case(it));
    !is_usual(option) && !is_needed && !option.is_empty()
}

/// The usual options name no field worth a look, or fields that go anyway.
fn is_usual(option: &[u8]) -> bool {
    let usual: [&[u8]; 4] = [b"keep-alive", b"close", b"upgrade", b"te"];
    usual.iter().any(|usual| is_name(option, usual))
}
