//! Values that are one of a few words.

use super::reader::{Found, Reader};
use super::table::nearest;
use crate::problem::Draft;

/// Declares an enum of words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $word_doc:literal])+ $variant:ident = $word:literal, )+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $( $(#[doc = $word_doc])+ $variant, )+ }

        impl $crate::written::reader::Read for $name {
            const EXPECTED: &'static str = "a string";

            fn read(
                found: &$crate::written::reader::Found<'_>,
                reader: &mut $crate::written::reader::Reader<'_>,
            ) -> Option<Self> {
                let text = reader.text::<Self>(found, None)?;
                match text.as_str() {
                    $( $word => Some(Self::$variant), )+
                    _ => $crate::written::word::unknown(&text, &[$($word),+], found, reader),
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

words! {
    /// How the arms use a store.
    Mode {
        /// Both arms write one database.
        Shared = "shared",
        /// Each arm has its own.
        Separate = "separate",
    }
}

words! {
    /// One of the two arms.
    ArmWord {
        /// The upstream that answers whatever no route has taken.
        Legacy = "legacy",
        /// The upstream a route moves to.
        Candidate = "candidate",
    }
}

words! {
    /// Whether upper and lower case differ in paths.
    PathCase {
        /// They do.
        Sensitive = "sensitive",
        /// They do not.
        Insensitive = "insensitive",
    }
}

words! {
    /// Whether a slash at the end of a path counts.
    TrailingSlash {
        /// It does.
        Strict = "strict",
        /// It does not.
        Ignore = "ignore",
    }
}

words! {
    /// When an upstream is spoken to in HTTP/2.
    Http2Word {
        /// Never.
        Off = "off",
        /// Where a target with TLS offers it in the handshake.
        Alpn = "alpn",
        /// Always, without TLS: every target is known to speak it.
        PriorKnowledge = "prior-knowledge",
    }
}

words! {
    /// What becomes of copies of unsafe requests.
    ShadowWritesWord {
        /// There are none.
        Never = "never",
        /// They are sent as a dry run to a candidate that has said it honours that.
        DryRun = "dry-run",
    }
}

words! {
    /// Whether the way a number is written counts.
    NumbersWord {
        /// `1` and `1.0` differ.
        Written = "written",
        /// They do not.
        Value = "value",
    }
}

words! {
    /// Whether white space in HTML counts.
    HtmlSpaceWord {
        /// It does.
        Kept = "kept",
        /// It does not.
        Collapsed = "collapsed",
    }
}

pub(super) fn unknown<T>(
    text: &str,
    words: &[&str],
    found: &Found<'_>,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let known: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let message = format!("`{}` must be {}, found `{text}`", found.key, known.join(" or "));
    let hint = nearest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    reader.refuse(Draft::error("unknown-word", found.spot, message).maybe_hint(hint))
}
