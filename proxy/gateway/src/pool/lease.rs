//! A connection in use.

use std::sync::Arc;
use std::time::Instant;

use super::{Idle, Slot};
use crate::body::RequestBody;
use crate::forward::{Naming, in_http2};
use crate::forwarding::Added;
use crate::http1::upstream::{Connection, Interim};
use crate::http1::{Incoming, StreamError, Switched};
use crate::message::{AnswerHead, RequestHead};
use crate::shadow::Said;
use crate::streams::Stream;

/// A connection in use, or a share in one. Dropped without [`super::Pool::give_back`], one that is not shared closes when
/// what is being sent on it has ended.
#[must_use]
pub(crate) struct Lease {
    sender: Sender,
    home: usize,
    slot: Arc<Slot>,
}

/// What a request is given to.
pub(super) enum Sender {
    Http1(Connection),
    Http2(Stream),
}

/// Why there is no answer.
pub(crate) struct Unanswered {
    pub(crate) error: StreamError,
    /// Nothing of the request was sent: it is as it was.
    pub(crate) is_unsent: bool,
}

impl Lease {
    pub(super) fn new(sender: Sender, home: usize, slot: Arc<Slot>) -> Self {
        Self { sender, home, slot }
    }

    pub(super) fn of(idle: Idle) -> Self {
        let Idle { connection, home, slot, .. } = idle;
        Self::new(Sender::Http1(connection), home, slot)
    }

    /// Sends a request, and waits for the head of its answer. It takes the body along, unless it says that nothing was sent.
    /// Interim answers are told of with HTTP/1 only: hyper keeps those of HTTP/2 to itself.
    pub(crate) async fn send(
        &mut self,
        head: &RequestHead,
        body: &mut RequestBody,
        added: Option<&Added>,
        naming: Naming<'_>,
        interim: Interim<'_>,
    ) -> Result<(AnswerHead, Incoming), Unanswered> {
        match &mut self.sender {
            Sender::Http1(connection) => {
                let answered = connection.send(head, body, added, interim).await;
                answered.map_err(|(error, is_unsent)| Unanswered { error: error.into(), is_unsent })
            }
            Sender::Http2(stream) => {
                let request = in_http2(head, std::mem::replace(body, RequestBody::Empty), added, naming);
                // On the heap, so that requests with HTTP/1 do not carry the room for it.
                let answered = Box::pin(stream.sender().try_send_request(request)).await;
                answered.map(AnswerHead::of_http2).map_err(|mut failed| {
                    let unsent = failed.take_message();
                    let is_unsent = unsent.is_some();
                    if let Some(unsent) = unsent {
                        *body = unsent.into_body();
                    }
                    Unanswered { error: failed.into_error().into(), is_unsent }
                })
            }
        }
    }

    /// A byte of the answer has come, as far as that can be told.
    pub(crate) fn has_heard(&self) -> bool {
        match &self.sender {
            Sender::Http1(connection) => connection.has_heard(),
            Sender::Http2(_) => false,
        }
    }

    /// The stream behind a 101; `None` for one that is shared.
    pub(crate) fn switched(&self) -> Option<Switched> {
        match &self.sender {
            Sender::Http1(connection) => Some(connection.switched()),
            Sender::Http2(_) => None,
        }
    }

    /// It can take another request. False when it is closed.
    pub(crate) async fn ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(connection) => connection.ready().await,
            Sender::Http2(_) => true,
        }
    }

    /// For which routes the other side said on this connection that it honours dry runs.
    pub(crate) fn honours_dry_runs(&self) -> &Said {
        self.slot.honours_dry_runs()
    }

    pub(crate) fn is_now_upgraded(&self) {
        self.slot.is_now_upgraded();
    }

    /// No answer came in time. A connection that is not shared closes anyway.
    pub(crate) fn suspect(&self) {
        if let Sender::Http2(stream) = &self.sender {
            stream.suspect();
        }
    }

    /// `None` for one that is shared.
    pub(super) fn into_idle(self, since: Instant) -> Option<Idle> {
        let Self { sender: Sender::Http1(connection), home, slot } = self else { return None };
        Some(Idle { connection, home, since, slot })
    }
}
