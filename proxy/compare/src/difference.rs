//! The closed set of differences, each with its place.
//!
//! A difference carries no value of a body, header or cookie: it may be logged and shown as it is. Values are in
//! samples, which are redacted.

use http::{HeaderName, StatusCode};

/// One difference between two answers. Missing: only legacy has it. Extra: only the candidate has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The status.
    Status {
        /// Of legacy's answer.
        legacy: StatusCode,
        /// Of the candidate's.
        candidate: StatusCode,
    },
    /// A header field.
    Header {
        /// Its name.
        name: HeaderName,
        /// What of it.
        change: HeaderChange,
    },
    /// A cookie that is set.
    Cookie {
        /// Its name.
        name: String,
        /// What of it.
        change: CookieChange,
    },
    /// A value of a JSON document, or of a form read as one.
    Json {
        /// RFC 6901, with the true indices; cut after 512 bytes. Legacy's index where both have the value.
        pointer: String,
        /// The same with indices and keys that are ids as `*`.
        folded: String,
        /// What of it.
        change: JsonChange,
    },
    /// A line of a text.
    Text {
        /// Its number from 1: legacy's, or the candidate's if it was added.
        line: usize,
        /// What of it.
        change: LineChange,
        /// A hash of what such lines have in common: see [`crate::Signature`].
        shape: u32,
    },
    /// Bytes that are neither text nor JSON.
    Bytes {
        /// Offset of the first difference.
        offset: usize,
    },
    /// One body is of another form than the other.
    Form {
        /// Of legacy's body.
        legacy: Form,
        /// Of the candidate's.
        candidate: Form,
    },
}

/// What differs of a header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeaderChange {
    /// Only legacy sends it.
    Missing,
    /// Only the candidate sends it.
    Extra,
    /// Its value.
    Value,
}

/// What differs of a cookie.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CookieChange {
    /// Only legacy sets it.
    Missing,
    /// Only the candidate sets it.
    Extra,
    /// Its value.
    Value,
    /// An attribute, in lower case.
    Attribute(String),
}

/// What differs of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonChange {
    /// Only legacy has it.
    Missing,
    /// Only the candidate has it.
    Extra,
    /// Its type, such as string for number.
    Type,
    /// Its value.
    Value,
    /// An array has the same items in another order.
    Order,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineChange {
    /// Only legacy has it.
    Removed,
    /// Only the candidate has it.
    Added,
    /// It reads otherwise.
    Changed,
}

/// As what a body is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// No bytes.
    Empty,
    /// JSON, lines of JSON, or a form.
    Json,
    /// Text by lines, HTML included.
    Text,
    /// Bytes.
    Bytes,
}

impl Form {
    /// A fixed word, part of signatures.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Json => "json",
            Self::Text => "text",
            Self::Bytes => "bytes",
        }
    }
}

impl Difference {
    /// The fixed word for its kind, part of signatures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Header { change, .. } => match change {
                HeaderChange::Missing => "missing",
                HeaderChange::Extra => "extra",
                HeaderChange::Value => "value",
            },
            Self::Cookie { change, .. } => match change {
                CookieChange::Missing => "missing",
                CookieChange::Extra => "extra",
                CookieChange::Value => "value",
                CookieChange::Attribute(_) => "attribute",
            },
            Self::Json { change, .. } => match change {
                JsonChange::Missing => "missing",
                JsonChange::Extra => "extra",
                JsonChange::Type => "type",
                JsonChange::Value => "value",
                JsonChange::Order => "order",
            },
            Self::Text { change, .. } => match change {
                LineChange::Removed => "removed",
                LineChange::Added => "added",
                LineChange::Changed => "changed",
            },
            Self::Bytes { .. } => "bytes",
            Self::Form { .. } => "form",
        }
    }
}
