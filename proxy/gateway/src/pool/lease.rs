//! A connection in use.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::Either;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};

use super::{Idle, Slot};
use crate::body::RequestBody;
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
    Http1(http1::SendRequest<RequestBody>),
    Http2(Stream),
}

/// Without an answer, the request comes back if nothing of it was sent.
pub(crate) type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

impl Lease {
    pub(super) fn new(sender: Sender, home: usize, slot: Arc<Slot>) -> Self {
        Self { sender, home, slot }
    }

    pub(super) fn of(idle: Idle) -> Self {
        let Idle { sender, home, slot, .. } = idle;
        Self::new(Sender::Http1(sender), home, slot)
    }

    /// In which a request must go out.
    pub(crate) fn version(&self) -> Version {
        match &self.sender {
            Sender::Http1(_) => Version::HTTP_11,
            Sender::Http2(_) => Version::HTTP_2,
        }
    }

    pub(crate) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Sent> + Send + use<> {
        match &mut self.sender {
            Sender::Http1(sender) => Either::Left(sender.try_send_request(request)),
            Sender::Http2(stream) => Either::Right(stream.sender().try_send_request(request)),
        }
    }

    /// From here to [`Self::has_answer`] what is read is counted, unless other answers come on the connection too.
    pub(crate) fn expects_answer(&self) {
        if matches!(self.sender, Sender::Http1(_)) {
            self.slot.expects_answer();
        }
    }

    /// A byte of the answer has come, as far as that can be told. Asked before [`Self::has_answer`].
    pub(crate) fn has_heard(&self) -> bool {
        self.slot.has_heard()
    }

    pub(crate) fn has_answer(&self) {
        self.slot.has_answer();
    }

    /// It can take another request. False when it is closed.
    pub(crate) async fn ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
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
        let Self { sender: Sender::Http1(sender), home, slot } = self else { return None };
        Some(Idle { sender, home, since, slot })
    }
}
