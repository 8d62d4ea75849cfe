//! Where in a JSON document the comparison is: the way from its root.

use std::fmt::Write as _;

/// Bytes after which a pointer is cut.
const POINTER_BYTES_MAX: usize = 512;

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into an array.
    Index(usize),
}

/// The pointer as RFC 6901 writes it.
pub(crate) fn pointer(path: &[Step<'_>]) -> String {
    written(path, |step, out| match step {
        Step::Key(key) => push_escaped(out, key),
        Step::Index(index) => write!(out, "{index}").expect("a string takes everything"),
    })
}

/// The pointer with `*` for indices and for keys that are ids.
pub(crate) fn folded(path: &[Step<'_>]) -> String {
    written(path, |step, out| match step {
        Step::Key(key) if !is_id(key) => push_escaped(out, key),
        Step::Key(_) | Step::Index(_) => out.push('*'),
    })
}

fn written(path: &[Step<'_>], write: impl Fn(&Step<'_>, &mut String)) -> String {
    let mut out = String::new();
    for step in path {
        out.push('/');
        write(step, &mut out);
        if out.len() > POINTER_BYTES_MAX {
            out.truncate(out.floor_char_boundary(POINTER_BYTES_MAX));
            break;
        }
    }
    out
}

fn push_escaped(out: &mut String, key: &str) {
    // A key can be as long as a body.
    let key = &key[..key.floor_char_boundary(POINTER_BYTES_MAX)];
    for character in key.chars() {
        match character {
            '~' => out.push_str("~0"),
            '/' => out.push_str("~1"),
            other => out.push(other),
        }
    }
}

/// Whether a key names one of many things rather than a property: see [`crate::Signature`].
fn is_id(key: &str) -> bool {
    let bytes = key.as_bytes();
    let all = |test: fn(&u8) -> bool| bytes.iter().all(test);
    (!bytes.is_empty() && all(u8::is_ascii_digit))
        || (bytes.len() >= 16 && all(u8::is_ascii_hexdigit))
        || has_shape(bytes, b"hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")
        || has_shape(bytes, b"dddd-dd-dd")
}

fn has_shape(bytes: &[u8], shape: &[u8]) -> bool {
    bytes.len() == shape.len()
        && bytes.iter().zip(shape).all(|(byte, shape)| match shape {
            b'h' => byte.is_ascii_hexdigit(),
            b'd' => byte.is_ascii_digit(),
            literal => byte == literal,
        })
}

#[cfg(test)]
mod tests {
    use super::{Step, folded, is_id, pointer};

    #[test]
    fn pointers_are_escaped_and_folded() {
        let path = [Step::Key("a/b~c"), Step::Index(3), Step::Key("4711"), Step::Key("x")];
        assert_eq!(pointer(&path), "/a~1b~0c/3/4711/x");
        assert_eq!(folded(&path), "/a~1b~0c/*/*/x");
        assert!(pointer(&[Step::Key(&"é".repeat(9_999))]).len() <= 512);
    }

    #[test]
    fn ids_are_told_from_names() {
        for id in ["1", "2024", "2024-05-01", "0123456789abcdef", "550e8400-e29b-41d4-a716-446655440000"] {
            assert!(is_id(id), "{id}");
        }
        for name in ["", "v1", "facade", "2024-05", "550e8400-e29b-41d4-a716", "-1"] {
            assert!(!is_id(name), "{name}");
        }
    }
}
