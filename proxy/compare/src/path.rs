//! Where in a JSON document the comparison is: the way from its root.

use std::fmt::Write as _;

use crate::redact::is_secret;

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

/// Longest key that is told: what is longer is a value that somebody made a key.
const KEY_BYTES_MAX: usize = 64;

/// The pointer as RFC 6901 writes it, with `*` for keys that may be secrets themselves.
pub(crate) fn pointer(path: &[Step<'_>]) -> String {
    written(path, |step, may_be_secret, out| match step {
        Step::Key(_) if may_be_secret => out.push('*'),
        Step::Key(key) => push_escaped(out, key),
        Step::Index(index) => write!(out, "{index}").expect("a string takes everything"),
    })
}

/// The pointer with `*` for indices, too, and for keys that are ids.
pub(crate) fn folded(path: &[Step<'_>]) -> String {
    written(path, |step, may_be_secret, out| match step {
        Step::Key(key) if !may_be_secret && !is_id(key) => push_escaped(out, key),
        Step::Key(_) | Step::Index(_) => out.push('*'),
    })
}

/// Tells of each step whether its key may be a secret: it is too long for a name, or stands below a name of secrets, as in
/// `{"tokens":{"sk_live_1":{}}}`.
fn written(path: &[Step<'_>], write: impl Fn(&Step<'_>, bool, &mut String)) -> String {
    let (mut out, mut is_below_secret) = (String::new(), false);
    for step in path {
        out.push('/');
        let key = if let Step::Key(key) = step { key } else { "" };
        write(step, is_below_secret || key.len() > KEY_BYTES_MAX, &mut out);
        is_below_secret |= is_secret(key);
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
        assert_eq!(pointer(&[Step::Key(&"é".repeat(9_999)), Step::Key("x")]), "/*/x");
        let deep = vec![Step::Key("abcdefgh"); 100];
        assert!(pointer(&deep).len() <= 512);
    }

    #[test]
    fn keys_that_may_be_secrets_are_not_told() {
        let path = [Step::Key("apiTokens"), Step::Key("sk_live_9aQ"), Step::Index(0), Step::Key("expires")];
        assert_eq!((pointer(&path), folded(&path)), ("/apiTokens/*/0/*".into(), "/apiTokens/*/*/*".into()));
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
