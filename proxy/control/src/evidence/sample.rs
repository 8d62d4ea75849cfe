//! A comparison as it is kept: without secrets, and bounded.

use banyan_compare::{
    Answer, Body, Difference, Differences, Failure, Observation, REDACTED, Redactor, Verdict,
};
use banyan_gateway::{Asked, Compared};
use http::HeaderMap;

use crate::api::{API_VERSION, Sample, SampleAnswer, SampleDifference, SampleRequest};
use crate::clock;

/// Most bytes of each text: a target, all header fields, a body.
pub(super) const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What differs, where that is worth a sample, and the word for it. A mismatch that was gone when both arms were asked
/// again is not.
pub(super) fn worth_keeping(compared: &Compared) -> Option<(&Differences, &'static str)> {
    match &compared.verdict {
        Verdict::Mismatch(differences) if !compared.is_transient => Some((differences, "mismatch")),
        Verdict::Noise(differences) => Some((differences, "noise")),
        _ => None,
    }
}

/// What takes the secrets of this route out.
pub(super) fn redactor(compared: &Compared) -> Redactor {
    Redactor::new(compared.redact.to_vec(), TEXT_BYTES_MAX)
}

/// The sample, still without its number.
pub(super) fn sample(compared: &Compared, differences: &Differences, verdict: &str) -> Sample {
    let redactor = redactor(compared);
    Sample {
        version: API_VERSION,
        id: 0,
        route: compared.route.to_string(),
        at: clock::told(compared.at),
        verdict: verdict.to_owned(),
        shown: compared.shown.as_str().to_owned(),
        differences: differences.kept.iter().map(difference).collect(),
        request: request(&redactor, &compared.request),
        legacy: answer(&redactor, &compared.legacy),
        candidate: answer(&redactor, &compared.candidate),
    }
}

/// What was asked, without its secrets.
pub(super) fn request(redactor: &Redactor, asked: &Asked) -> SampleRequest {
    let target = redactor.target(&asked.target);
    let headers = fields(redactor, &asked.headers);
    let (body, problem) = body(redactor, &asked.headers, &asked.body);
    let body_is_whole = match (&asked.body, &body) {
        (Body::Complete(bytes), Some(text)) => is_all_of(bytes, text),
        _ => problem.is_none(),
    };
    SampleRequest {
        whole: target == asked.target && headers.len() == asked.headers.len() && body_is_whole,
        method: asked.method.to_string(),
        target,
        headers,
        body,
        safe: asked.is_safe,
    }
}

/// Whether nothing was taken out or cut off. JSON comes with its own white space; what was no JSON and is kept as such, like
/// a form, is not what was sent.
fn is_all_of(bytes: &[u8], text: &str) -> bool {
    text.as_bytes() == bytes || (!text.contains(REDACTED) && is_same_json(bytes, text.as_bytes()))
}

fn is_same_json(one: &[u8], other: &[u8]) -> bool {
    let read = |bytes| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    read(one).is_some_and(|value| read(other) == Some(value))
}

fn difference(found: &banyan_compare::Found) -> SampleDifference {
    let pointer = match &found.first {
        Difference::Json { pointer, .. } => Some(without_secret_steps(pointer)),
        _ => None,
    };
    SampleDifference { signature: found.signature.as_str().to_owned(), pointer, count: found.count }
}

/// A key can be a secret, as in a map by token: those go that go from bodies.
fn without_secret_steps(pointer: &str) -> String {
    let step = |step: &str| {
        let is_long_hex = step.len() >= 16 && step.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_long_hex || step.len() > 64 { REDACTED.to_owned() } else { step.to_owned() }
    };
    pointer.split('/').map(step).collect::<Vec<_>>().join("/")
}

fn answer(redactor: &Redactor, observation: &Observation) -> SampleAnswer {
    match observation {
        Observation::Answered(answer) => answered(redactor, answer),
        Observation::Failed(failure) => SampleAnswer {
            status: None,
            problem: Some(word(*failure).to_owned()),
            headers: Vec::new(),
            body: None,
            seconds: None,
        },
    }
}

fn answered(redactor: &Redactor, answer: &Answer) -> SampleAnswer {
    let (body, problem) = body(redactor, &answer.headers, &answer.body);
    SampleAnswer {
        status: Some(answer.status.as_u16()),
        problem: problem.map(str::to_owned),
        headers: fields(redactor, &answer.headers),
        body,
        seconds: Some(answer.elapsed.as_secs_f64()),
    }
}

fn fields(redactor: &Redactor, headers: &HeaderMap) -> Vec<(String, String)> {
    redactor.headers(headers).into_iter().map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

/// Its text, or why there is none.
fn body(redactor: &Redactor, headers: &HeaderMap, body: &Body) -> (Option<String>, Option<&'static str>) {
    match body {
        Body::Complete(bytes) if bytes.is_empty() => (None, None),
        Body::Complete(bytes) => (Some(redactor.body(headers, bytes)), None),
        Body::TooLarge => (None, Some("the body is too large")),
        Body::Streaming => (None, Some("the body is a stream without end")),
        Body::Broken => (None, Some("the body broke off")),
        Body::HeadOnly => (None, Some("the body was not wanted")),
    }
}

fn word(failure: Failure) -> &'static str {
    banyan_compare::IncomparableReason::Failed(failure).as_str()
}
