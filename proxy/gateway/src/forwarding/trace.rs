//! W3C trace context (<https://www.w3.org/TR/trace-context/>): passed on as it came, or begun here.
//!
//! Banyan records no span, so a valid `traceparent` passes unchanged. One that is begun here is marked as sampled:
//! samplers that follow their parent, the default of OpenTelemetry, would otherwise drop every trace behind the proxy.

use std::fmt;

use http::header::{HeaderName, HeaderValue};

use super::Seen;
use crate::message::Fields;

pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-` 32 digits `-` 16 digits `-` 2 digits.
const LENGTH: usize = 55;

/// A value begun here.
pub(super) type Traceparent = [u8; LENGTH];

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

/// The trace of a request; begins one, and forgets `tracestate`, when `traceparent` is absent, repeated or not valid. What
/// is begun is yet to be added.
pub(super) fn pass_or_begin(fields: &mut Fields, seen: Seen) -> (TraceId, Option<Traceparent>) {
    if seen.has(Seen::TRACEPARENT) {
        if let Some(trace) = passed(fields) {
            return (trace, None);
        }
        fields.remove(&TRACEPARENT);
    }
    if seen.has(Seen::TRACESTATE) {
        fields.remove(&TRACESTATE);
    }
    let (trace, value) = begin();
    (trace, Some(value))
}

/// Puts one that was begun among the fields.
pub(super) fn put(fields: &mut Fields, value: Option<Traceparent>) {
    let Some(value) = value else { return };
    let value = HeaderValue::from_bytes(&value).expect("hexadecimal digits and hyphens");
    fields.insert(&TRACEPARENT, &value);
}

fn passed(fields: &Fields) -> Option<TraceId> {
    let mut lines = fields.get_all(&TRACEPARENT);
    let trace = trace_of(lines.next()?);
    trace.filter(|_| lines.next().is_none())
}

/// Makes a request that is ready to go out a child of its own in the same trace.
pub(crate) fn child_span(fields: &mut Fields) {
    let Some(value) = fields.get(&TRACEPARENT) else { return };
    let mut text = value.to_vec();
    if let Some(parent) = text.get_mut(36..52) {
        parent.copy_from_slice(&digits(fastrand::u64(1..)));
    }
    if let Ok(child) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
        fields.insert(&TRACEPARENT, &child);
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

fn begin() -> (TraceId, Traceparent) {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    text[3..19].copy_from_slice(&digits(fastrand::u64(..)));
    // Never zero, which is no id.
    text[19..35].copy_from_slice(&digits(fastrand::u64(1..)));
    text[36..52].copy_from_slice(&digits(fastrand::u64(1..)));
    let id = TraceId(text[3..35].try_into().expect("32 bytes by their bounds"));
    (id, text)
}

/// A number in hexadecimal, all digits at once: each four bits are moved into a byte of their own.
fn digits(number: u64) -> [u8; 16] {
    const LOW: u128 = 0x0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f_0f0f;
    const ONE: u128 = 0x0101_0101_0101_0101_0101_0101_0101_0101;
    let mut spread = u128::from(number);
    spread = (spread | spread << 32) & 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff;
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff_0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff;
    spread = (spread | spread << 4) & LOW;
    // 1 where the digit is a letter.
    let letters = ((spread + 6 * ONE) >> 4) & ONE;
    (spread + u128::from(b'0') * ONE + u128::from(b'a' - b'9' - 1) * letters).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn digits_are_those_that_format_writes() {
        let random = std::iter::repeat_with(|| fastrand::u64(..)).take(1000);
        for number in
            [0, 1, 9, 10, 15, 16, 0x9a9a_a9a9, 0x0123_4567_89ab_cdef, u64::MAX].into_iter().chain(random)
        {
            assert_eq!(digits(number), *format!("{number:016x}").as_bytes());
        }
    }
}
