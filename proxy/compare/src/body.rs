//! Bodies: decoded, read as what they are, and compared.

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use crate::decode::decode;
use crate::difference::{Difference, Form};
use crate::findings::Findings;
use crate::json::{self, JsonProblem, Node};
use crate::media::{Media, media};
use crate::observation::{Answer, Arm, Body};
use crate::rules::{HtmlSpace, Rules};
use crate::verdict::{Incomparable, IncomparableReason};
use crate::{html, text};

/// Adds what differs.
pub(crate) fn differ(
    legacy: &Answer,
    candidate: &Answer,
    findings: &mut Findings<'_>,
) -> Result<(), Incomparable> {
    let captured = (captured(Arm::Legacy, legacy)?, captured(Arm::Candidate, candidate)?);
    let (Some(one), Some(other)) = captured else { return Ok(()) };
    if one == other && same_coding(&legacy.headers, &candidate.headers) {
        return Ok(());
    }
    let one = decode(&legacy.headers, one).map_err(|reason| Incomparable { arm: Arm::Legacy, reason })?;
    let other =
        decode(&candidate.headers, other).map_err(|reason| Incomparable { arm: Arm::Candidate, reason })?;
    if one == other {
        return Ok(());
    }
    let (one_text, other_text) = (Text::of(&legacy.headers, &one), Text::of(&candidate.headers, &other));
    let rules = findings.rules();
    let one = read(&one, &one_text, rules).map_err(|reason| Incomparable { arm: Arm::Legacy, reason })?;
    let other =
        read(&other, &other_text, rules).map_err(|reason| Incomparable { arm: Arm::Candidate, reason })?;
    differ_readings(one, other, findings);
    Ok(())
}

/// The bytes of a body; none if it was not wanted.
fn captured(arm: Arm, answer: &Answer) -> Result<Option<&Bytes>, Incomparable> {
    if let Some(reason) = IncomparableReason::of_body(&answer.body) {
        return Err(Incomparable { arm, reason });
    }
    Ok(match &answer.body {
        Body::Complete(bytes) => Some(bytes),
        _ => None,
    })
}

fn same_coding(legacy: &HeaderMap, candidate: &HeaderMap) -> bool {
    legacy.get_all(CONTENT_ENCODING).iter().eq(candidate.get_all(CONTENT_ENCODING))
}

/// A body as characters, if it is text at all.
struct Text<'b> {
    media: Media,
    characters: Option<Cow<'b, str>>,
}

impl<'b> Text<'b> {
    fn of(headers: &HeaderMap, body: &'b [u8]) -> Self {
        let (media, label) = media(headers);
        if media == Media::Bytes {
            return Self { media, characters: None };
        }
        let named = label.and_then(|label| Encoding::for_label(label.as_bytes()));
        let (characters, _, malformed) = named.unwrap_or(UTF_8).decode(body);
        // What is replaced would make different bytes equal.
        Self { media, characters: (!malformed).then_some(characters) }
    }
}

/// A body as what it is compared as.
enum Reading<'t> {
    Empty,
    Json(Node<'t>),
    Lines(Cow<'t, str>),
    Bytes(&'t [u8]),
}

impl Reading<'_> {
    fn form(&self) -> Form {
        match self {
            Self::Empty => Form::Empty,
            Self::Json(_) => Form::Json,
            Self::Lines(_) => Form::Text,
            Self::Bytes(_) => Form::Bytes,
        }
    }
}

fn read<'t>(body: &'t [u8], text: &'t Text<'_>, rules: &Rules) -> Result<Reading<'t>, IncomparableReason> {
    if body.is_empty() {
        return Ok(Reading::Empty);
    }
    let Some(characters) = text.characters.as_deref() else { return Ok(Reading::Bytes(body)) };
    let tree = match text.media {
        Media::Json => json::parse(characters),
        Media::JsonLines => json::parse_lines(characters),
        Media::UrlEncoded => json::parse_pairs(characters),
        Media::Unsaid if characters.trim_start().starts_with(['{', '[']) => json::parse(characters),
        Media::Html | Media::Text | Media::Unsaid | Media::Bytes => Err(JsonProblem::Syntax),
    };
    match tree {
        Ok(mut root) => {
            json::normalise(&mut root, rules);
            Ok(Reading::Json(root))
        }
        Err(JsonProblem::TooComplex) => Err(IncomparableReason::TooComplex),
        Err(JsonProblem::Syntax) => Ok(Reading::Lines(lines(text.media, characters, rules))),
    }
}

fn lines<'t>(media: Media, characters: &'t str, rules: &Rules) -> Cow<'t, str> {
    let unix = text::unix(characters);
    if media == Media::Html && rules.parts().html == HtmlSpace::Collapsed {
        return Cow::Owned(html::collapse(&unix));
    }
    unix
}

fn differ_readings(legacy: Reading<'_>, candidate: Reading<'_>, findings: &mut Findings<'_>) {
    match (legacy, candidate) {
        (Reading::Json(legacy), Reading::Json(candidate)) => json::differ(&legacy, &candidate, findings),
        (Reading::Lines(legacy), Reading::Lines(candidate)) => text::differ(&legacy, &candidate, findings),
        (Reading::Bytes(legacy), Reading::Bytes(candidate)) => {
            let offset = legacy.iter().zip(candidate).take_while(|(one, other)| one == other).count();
            findings.add(Difference::Bytes { offset });
        }
        (legacy, candidate) => {
            let (legacy, candidate) = (legacy.form(), candidate.form());
            findings.add(Difference::Form { legacy, candidate });
        }
    }
}
