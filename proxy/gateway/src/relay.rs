//! An answer on its way to an HTTP/2 client, read by a task of its own.
//!
//! hyper asks a body for more only when the client has opened its window, and cannot be told to give up on one stream. A
//! client that opens no window would keep the upstream's connection for ever. So a task stands between: it reads one frame
//! ahead, and lets the upstream go when the client takes nothing for too long (RFC 9113 10.5).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::body::{BodyError, Download};
use crate::connection::Turn;

/// Longest time a client may take nothing of an answer: as long as with HTTP/1.
const STALL: Duration = Duration::from_mins(1);

type Piece = Result<Frame<Bytes>, BodyError>;

/// The client's end.
pub(crate) struct Relay {
    /// The connection is not idle before the client has taken the last piece.
    _turn: Turn,
    pieces: mpsc::Receiver<Piece>,
    /// The answer came to its end: without that, the end of the pieces is not the end of the answer.
    is_whole: Arc<AtomicBool>,
    hint: SizeHint,
}

impl Relay {
    pub(crate) fn begin(download: Download) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        let hint = download.size_hint();
        let turn = Turn::begin(download.connection());
        let is_whole = Arc::new(AtomicBool::new(false));
        tokio::spawn(pass_on(download, sender, Arc::clone(&is_whole)));
        Self { _turn: turn, pieces, is_whole, hint }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        let piece = ready!(self.pieces.poll_recv(cx));
        let is_cut = piece.is_none() && !self.is_whole.swap(true, Ordering::AcqRel);
        Poll::Ready(if is_cut { Some(Err(BodyError::Idle)) } else { piece })
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

async fn pass_on(mut download: Download, client: mpsc::Sender<Piece>, is_whole: Arc<AtomicBool>) {
    loop {
        let piece = tokio::select! {
            piece = poll_fn(|cx| download.poll_frame(cx)) => piece,
            // What is dropped here counts as left by the client.
            () = client.closed() => return,
        };
        let Some(piece) = piece else { return is_whole.store(true, Ordering::Release) };
        let is_last = piece.is_err();
        let mut sending = pin!(client.send(piece));
        let sent = poll_fn(|cx| {
            let sent = sending.as_mut().poll(cx);
            if sent.is_pending() {
                download.keep_moving(cx);
            }
            sent
        });
        match timeout(STALL, sent).await {
            Ok(Ok(())) if !is_last => {}
            Ok(_) => return,
            Err(_) => return download.stalled(),
        }
    }
}
