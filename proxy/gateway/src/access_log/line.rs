//! An entry as one line of JSON.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;
use serde::ser::Serializer;

use super::{Entry, Reason, TraceId};

const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The fields in their order. Absent ones are left out; durations are milliseconds with three decimals.
#[derive(Serialize)]
struct Line<'e> {
    #[serde(serialize_with = "rfc3339")]
    time: SystemTime,
    client: IpAddr,
    method: &'e str,
    host: &'e str,
    path: &'e str,
    status: u16,
    route: &'e str,
    arm: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'e str>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_ms: Option<f64>,
    bytes_in: u64,
    bytes_out: u64,
    retries: u32,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banyan_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted: Option<&'static str>,
}

/// Appends the line and its end.
pub(super) fn write(buffer: &mut Vec<u8>, entry: &Entry) {
    let line = Line {
        time: entry.time,
        client: entry.client,
        method: &entry.method,
        host: &entry.host,
        path: &entry.path,
        status: entry.status,
        route: &entry.route,
        arm: entry.arm.as_str(),
        reason: entry.reason.map(Reason::as_str),
        bucket: entry.bucket,
        upstream: entry.upstream.as_deref(),
        target: entry.target.as_deref(),
        duration_ms: milliseconds(entry.duration),
        upstream_ms: entry.upstream_time.map(milliseconds),
        bytes_in: entry.bytes_in,
        bytes_out: entry.bytes_out,
        retries: entry.retries,
        generation: entry.generation,
        trace_id: entry.trace_id.as_ref().map(TraceId::as_str),
        banyan_reason: entry.banyan_reason,
        fallback: entry.fallback.as_deref(),
        aborted: entry.aborted,
    };
    serde_json::to_writer(&mut *buffer, &line).expect("text and numbers into memory cannot fail");
    buffer.push(b'\n');
}

#[expect(clippy::cast_precision_loss, reason = "microseconds stay below 2^53 for 285 years")]
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}

/// `2026-01-31T23:59:59.123Z`
fn rfc3339<S: Serializer>(time: &SystemTime, out: S) -> Result<S::Ok, S::Error> {
    let time = Timestamp::try_from(*time).unwrap_or_default();
    out.collect_str(&TIME.timestamp_to_string(&time))
}
