//! The path of a request as servers read it: none of this is Banyan's own code.
//!
//! A reader is a few habits. All decode what need not be encoded, once, and resolve dot segments (RFC 3986 6.2.2); they
//! differ in what else they take for a slash, in what they make of `;`, and in when they merge slashes. Letters keep
//! their case, and in the end slashes are merged: servers that do otherwise need routes that say so.

use std::fmt::Write as _;

/// When `;` and what follows it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameters {
    Kept,
    /// In each segment as it was sent.
    CutBeforeDecoding,
    /// In each segment as it is when all slashes are known.
    CutAfterDecoding,
}

// Habits.
const DECODES_SLASH: u8 = 1;
const DECODES_BACKSLASH: u8 = 2;
const TURNS_BACKSLASH: u8 = 4;
const MERGES_FIRST: u8 = 8;

#[derive(Debug, Clone, Copy)]
struct Reader {
    parameters: Parameters,
    habits: u8,
}

/// The path as each reader sees it, without repetition. `None` stands for one that leads above the root.
pub(crate) fn readings(path: &str) -> Vec<Option<String>> {
    let mut found: Vec<_> = readers().map(|reader| reader.read(path)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn readers() -> impl Iterator<Item = Reader> {
    let parameters = [Parameters::Kept, Parameters::CutBeforeDecoding, Parameters::CutAfterDecoding];
    (0..16).flat_map(move |habits| parameters.map(|parameters| Reader { parameters, habits }))
}

impl Reader {
    fn read(self, path: &str) -> Option<String> {
        let does = |habit| self.habits & habit != 0;
        let mut path = path.to_owned();
        if self.parameters == Parameters::CutBeforeDecoding {
            path = without_parameters(&path);
        }
        path = decoded(&path);
        if does(DECODES_SLASH) {
            path = path.replace("%2F", "/");
        }
        if does(TURNS_BACKSLASH) {
            path = path.replace('\\', "/");
        }
        if does(DECODES_BACKSLASH) {
            path = path.replace("%5C", "/");
        }
        if self.parameters == Parameters::CutAfterDecoding {
            path = without_parameters(&path);
        }
        if does(MERGES_FIRST) {
            path = merged(&path);
        }
        without_dots(&path).map(|path| merged(&path))
    }
}

fn without_parameters(path: &str) -> String {
    let plain = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(plain).collect::<Vec<_>>().join("/")
}

/// Unreserved characters as they are (RFC 3986 2.3), other encodings in capitals.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.map(char::from) {
            Some(found) if found.is_ascii_alphanumeric() || "-._~".contains(found) => out.push(found),
            Some(found) => {
                let _ = write!(out, "%{:02X}", u32::from(found));
            }
            None => {
                out.push('%');
                out.push_str(part);
                continue;
            }
        }
        out.push_str(&part[2..]);
    }
    out
}

/// RFC 3986 5.2.4, but for `..` above the root, which that lets pass.
fn without_dots(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    let mut all = path.split('/').skip(1).peekable();
    while let Some(segment) = all.next() {
        let is_last = all.peek().is_none();
        match segment {
            "." => {}
            ".." => drop(segments.pop()?),
            _ => {
                segments.push(segment);
                continue;
            }
        }
        // A dot segment at the end leaves its slash.
        if is_last {
            segments.push("");
        }
    }
    Some(format!("/{}", segments.join("/")))
}

fn merged(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for found in path.chars() {
        if !(found == '/' && out.ends_with('/')) {
            out.push(found);
        }
    }
    out
}
