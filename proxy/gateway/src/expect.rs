//! `Expect: 100-continue` (RFC 9110 10.1.1): the client's body is pulled only when the upstream wants it.
//!
//! Our server sends `100 Continue` to the client when the body is first read. So the body is read only
//! after the upstream's own 100, or after a second of silence: some servers never send one.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header;
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep};

use crate::message::Fields;

/// How long a silent upstream may keep the client waiting (RFC 9110 10.1.1 lets a client give up, too).
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps a request body back until the upstream asks for it.
pub(crate) struct Gate {
    permission: Pin<Box<dyn Future<Output = ()> + Send>>,
    patience: Pin<Box<Sleep>>,
}

/// The other side of a [`Gate`].
pub(crate) struct Opener(Arc<Notify>);

/// Whether the client waits for permission.
pub(crate) fn is_expected(fields: &Fields) -> bool {
    fields.get(&header::EXPECT).is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
}

pub(crate) fn gate() -> (Gate, Opener) {
    let notify = Arc::new(Notify::new());
    let waiting = Arc::clone(&notify);
    let permission = Box::pin(async move { waiting.notified().await });
    (Gate { permission, patience: Box::pin(sleep(PATIENCE)) }, Opener(notify))
}

impl Opener {
    /// The upstream wants the body.
    pub(crate) fn open(&self) {
        // Leaves a permit behind when nobody waits yet.
        self.0.notify_one();
    }
}

impl Gate {
    pub(crate) fn poll_open(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.permission.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        self.patience.as_mut().poll(cx)
    }
}
