//! Answers that Banyan gives itself: a status, a word in `Banyan-Reason`, a short text. Details go to the log.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK, RETRY_AFTER};

use banyan_routes::Retire;

use crate::message::AnswerHead;

/// Says why Banyan answered instead of an upstream.
pub(crate) const BANYAN_REASON: HeaderName = HeaderName::from_static("banyan-reason");

/// Its value on an answer of legacy in place of the candidate's.
pub(crate) const FELL_BACK: &str = "fallback";

/// A refusal or failure in one word and one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Own {
    pub(crate) const fn new(status: StatusCode, reason: &'static str) -> Self {
        Self { status, reason, retry_after: None }
    }

    /// With `Retry-After` (RFC 9110 10.2.3): whole seconds, at least one.
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        Self { retry_after: u64::try_from(seconds).ok(), ..self }
    }

    pub(crate) fn text(self) -> Bytes {
        let title = self.status.canonical_reason().unwrap_or("refused");
        Bytes::from(format!("{} {title}: {}\n", self.status.as_u16(), self.reason))
    }

    pub(crate) fn head(self) -> AnswerHead {
        let mut head = AnswerHead::new(self.status);
        head.fields.append(&BANYAN_REASON, &HeaderValue::from_static(self.reason));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        head.fields.append(&CONTENT_TYPE, &text);
        if let Some(seconds) = self.retry_after {
            head.fields.append(&RETRY_AFTER, &HeaderValue::from(seconds));
        }
        head
    }
}

/// 410 for a route that is gone.
pub(crate) fn gone(retire: &Retire) -> AnswerHead {
    let mut head = Own::new(StatusCode::GONE, "retired").head();
    if let Some(link) = &retire.link {
        head.fields.insert(&LINK, link);
    }
    head
}
