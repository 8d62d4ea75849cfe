//! stub
use std::sync::Arc; use std::time::Duration;
use crate::gateway::AccessLogTarget; use crate::metrics::Metrics;
#[derive(Default)]
pub(crate) struct Entry { pub banyan_reason: Option<&'static str>, pub upstream: Option<Arc<str>>, pub target: Option<Arc<str>>, pub upstream_time: Option<Duration>, pub retries: u32, pub aborted: Option<&'static str>, pub status: u16, pub duration: Duration, pub bytes_in: u64, pub bytes_out: u64 }
pub(crate) struct AccessLog;
impl AccessLog { pub(crate) fn open(_t: &AccessLogTarget, _m: Arc<Metrics>) -> std::io::Result<Self> { Ok(Self) }
 pub(crate) fn write(&self, _e: Box<Entry>) {} pub(crate) fn reopen(&self) {} pub(crate) fn flush(&self) {} }
