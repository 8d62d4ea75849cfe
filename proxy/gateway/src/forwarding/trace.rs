//! W3C trace context (<https://www.w3.org/TR/trace-context/>): passed on as it came, or begun here.
//!
//! Banyan records no span, so a valid `traceparent` passes unchanged. One that is begun here is marked as sampled:
//! samplers that follow their parent, the default of OpenTelemetry, would otherwise drop every trace behind the proxy.

use std::fmt;

use http::header::{Entry, HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` 32 digits `-` 16 digits `-` 2 digits.
const LENGTH: usize = 55;

/// The trace a request belongs to: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceId([u8; 32]);

impl TraceId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of hexadecimal digits only")
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The trace of a request; begins one, and forgets `tracestate`, when `traceparent` is absent, repeated or not valid.
pub(super) fn pass_or_begin(headers: &mut HeaderMap) -> TraceId {
    let trace = match headers.entry(TRACEPARENT) {
        Entry::Occupied(mut entry) => {
            let is_single = entry.iter().count() == 1;
            if let Some(trace) = trace_of(entry.get().as_bytes()).filter(|_| is_single) {
                return trace;
            }
            let (trace, value) = begin();
            entry.insert(value);
            trace
        }
        Entry::Vacant(place) => {
            let (trace, value) = begin();
            place.insert(value);
            trace
        }
    };
    headers.remove(TRACESTATE);
    trace
}

/// Makes a request that is ready to go out a child of its own in the same trace.
pub(crate) fn child_span(headers: &mut HeaderMap) {
    let Some(value) = headers.get_mut(TRACEPARENT) else { return };
    let mut text = value.as_bytes().to_vec();
    if let Some(parent) = text.get_mut(36..52) {
        put_digits(parent, u128::from(fastrand::u64(1..)));
    }
    if let Ok(child) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
        *value = child;
    }
}

/// Later versions may have more after the flags (W3C 3.2.3); version `ff` is none.
fn trace_of(value: &[u8]) -> Option<TraceId> {
    let (head, rest) = value.split_at_checked(LENGTH)?;
    let (version, trace, parent, flags) = (&head[..2], &head[3..35], &head[36..52], &head[53..]);
    let are_separated = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let are_digits = [version, trace, parent, flags].into_iter().flatten().all(|&digit| is_digit(digit));
    let is_zero = |digits: &[u8]| digits.iter().all(|&digit| digit == b'0');
    let may_end = rest.is_empty() || (version != b"00" && rest[0] == b'-');
    if !are_separated || !are_digits || version == b"ff" || is_zero(trace) || is_zero(parent) || !may_end {
        return None;
    }
    Some(TraceId(trace.try_into().ok()?))
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn begin() -> (TraceId, HeaderValue) {
    // Never zero, which is no id.
    let trace = fastrand::u128(1..);
    let parent = fastrand::u64(1..);
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    put_digits(&mut text[3..35], trace);
    put_digits(&mut text[36..52], u128::from(parent));
    let id = TraceId(text[3..35].try_into().expect("32 bytes by their bounds"));
    (id, HeaderValue::from_bytes(&text).expect("hexadecimal digits and hyphens"))
}

/// The last digits of a number, as many as fit.
fn put_digits(place: &mut [u8], mut number: u128) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[usize::try_from(number & 15).expect("four bits")];
        number >>= 4;
    }
}
