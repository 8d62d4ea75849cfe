//! What is equal for equal kinds of difference: a place with array indices folded, and a kind.
//!
//! Signatures are stored and counted across restarts and versions: their text never changes. In full:
//!
//! | difference | signature |
//! |---|---|
//! | status | `status 200 -> 500` |
//! | header | `header:NAME missing`, `extra` or `value` |
//! | cookie | `cookie:NAME missing`, `extra`, `value` or `attribute ATTRIBUTE` |
//! | JSON | `POINTER missing`, `extra`, `type`, `value` or `order`; the whole document is `(root)` |
//! | text | `text removed`, `added` or `changed`, then `#` and 8 hexadecimal digits |
//! | bytes | `bytes` |
//! | form | `form json -> text` |
//!
//! - In a pointer, `*` stands for an array index, for a key that may be a secret (above 64 bytes, or below a name such as
//!   `tokens`: see [`crate::Redactor`]), and for a key that is an id: digits only, a UUID, 16 or more
//!   hexadecimal digits, or a date as `2024-05-01`.
//! - Control characters are written as `\u{a}`. A signature has at most 256 bytes: what is longer is cut and
//!   ends in `~` with 8 hexadecimal digits of a hash of all of it.
//! - The digits of a text are the lower half of SipHash-2-4 (key `banyan-compare-1`) over what both lines begin
//!   with, up to the last character that is no letter, digit, `_`, `-`, `+`, `/` or `=`; of a line that only one
//!   arm has, over the line with runs of digits as `0`.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::difference::{CookieChange, Difference};

/// Bytes of the longest signature.
pub const SIGNATURE_BYTES_MAX: usize = 256;

/// What is equal for equal kinds of difference. At most [`SIGNATURE_BYTES_MAX`] bytes, without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature(Box<str>);

impl Signature {
    /// Of one difference.
    pub fn of(difference: &Difference) -> Self {
        let kind = difference.kind();
        Self::bounded(&match difference {
            Difference::Status { legacy, candidate } => {
                format!("status {} -> {}", legacy.as_u16(), candidate.as_u16())
            }
            Difference::Header { name, .. } => format!("header:{name} {kind}"),
            Difference::Cookie { name, change: CookieChange::Attribute(attribute) } => {
                format!("cookie:{name} attribute {attribute}")
            }
            Difference::Cookie { name, .. } => format!("cookie:{name} {kind}"),
            Difference::Json { folded, .. } if folded.is_empty() => format!("(root) {kind}"),
            Difference::Json { folded, .. } => format!("{folded} {kind}"),
            Difference::Text { shape, .. } => format!("text {kind} #{shape:08x}"),
            Difference::Bytes { .. } => "bytes".to_owned(),
            Difference::Form { legacy, candidate } => {
                format!("form {} -> {}", legacy.as_str(), candidate.as_str())
            }
        })
    }

    /// One that was stored. Any text is made to fit: what came from [`Signature::as_str`] stays as it is.
    pub fn stored(text: &str) -> Self {
        Self::bounded(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn bounded(text: &str) -> Self {
        let clean = without_controls(text);
        if clean.len() <= SIGNATURE_BYTES_MAX {
            return Self(clean.into());
        }
        let end = clean.floor_char_boundary(SIGNATURE_BYTES_MAX - 9);
        Self(format!("{}~{:08x}", &clean[..end], short_hash(clean.as_bytes())).into())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The lower half of the hash that signatures use.
pub(crate) fn short_hash(bytes: &[u8]) -> u32 {
    let mut hasher = SipHasher24::new_with_key(b"banyan-compare-1");
    hasher.write(bytes);
    u32::try_from(hasher.finish() & 0xffff_ffff).expect("32 bits were kept")
}

fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            clean.extend(character.escape_unicode());
        } else {
            clean.push(character);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{SIGNATURE_BYTES_MAX, Signature, short_hash};

    /// Computed by an independent implementation of `SipHash`. Never change a line.
    #[test]
    fn the_hash_is_the_same_for_ever() {
        assert_eq!(short_hash(b""), 0xb9ff_8588);
        assert_eq!(short_hash(b"<input name=\"csrf\" value=\""), 0x9311_ca60);
    }

    #[test]
    fn long_texts_are_cut_and_stay_apart() {
        let (one, other) = (format!("/{} value", "a".repeat(400)), format!("/{} value", "a".repeat(401)));
        let (one, other) = (Signature::stored(&one), Signature::stored(&other));
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), SIGNATURE_BYTES_MAX);
        assert_eq!(Signature::stored(one.as_str()), one);
        assert_eq!(Signature::stored("/a\nb value").as_str(), "/a\\u{a}b value");
    }
}
