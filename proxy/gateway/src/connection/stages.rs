//! How long a connection goes on: to its end, to the drain, to a client that owes a request for too long.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::sleep;

use super::beginning::stop;
use super::{Broken, Connection};
use crate::lazy_sleep::LazySleep;

/// How the first part of a connection ended.
pub(super) enum Stage<E> {
    Ended(Result<(), E>),
    Draining,
    HeadTooLate,
    /// It has carried as many requests as it may.
    UsedUp,
}

/// When a connection has waited too long for a request; `None` while it has one.
pub(super) type Deadline = fn(&Connection) -> Option<Instant>;

/// Serves until the connection ends, the drain begins, it has carried enough, or the client owes a request for too long.
pub(super) async fn until_draining<C, E>(
    connection: &Connection,
    mut served: Pin<&mut C>,
    deadline: Deadline,
) -> Stage<E>
where
    C: Future<Output = Result<(), E>>,
{
    let mut stop = std::pin::pin!(stop(connection.draining.clone()));
    let mut head = LazySleep::new(connection.opened + connection.limits().head_timeout);
    let mut knows_waker = false;
    poll_fn(|cx| {
        // Asked once, it wakes this task; asking it at every turn would cost more than the rest of this. It is asked
        // before the stream may have used up what this task may do at a time.
        if !knows_waker || connection.draining.has_changed().unwrap_or(true) {
            knows_waker = true;
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Stage::Draining);
            }
        }
        if let Poll::Ready(ended) = served.as_mut().poll(cx) {
            return Poll::Ready(Stage::Ended(ended));
        }
        if connection.is_used_up.load(Ordering::Relaxed) {
            return Poll::Ready(Stage::UsedUp);
        }
        poll_head(connection, &mut head, deadline, cx).map(|()| Stage::HeadTooLate)
    })
    .await
}

/// Ready when the client has owed the head of a request for too long.
fn poll_head(
    connection: &Connection,
    timer: &mut LazySleep,
    deadline: Deadline,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let Some(until) = deadline(connection) else { return Poll::Pending };
    if timer.poll_until(cx, until).is_pending() {
        return Poll::Pending;
    }
    // A client that still takes the last answer, however slowly, owes nothing yet.
    if !connection.stream.is_stalled() {
        return Poll::Ready(());
    }
    let now = Instant::now();
    connection.is_idle_since(now);
    timer.poll_until(cx, now + connection.limits().keep_alive)
}

/// The last requests of a connection. When for some time there is none, and the client has taken all there was, one that
/// does not close is not waited for.
pub(super) async fn until_done<C, E>(
    connection: &Connection,
    mut served: Pin<&mut C>,
    quiet: u32,
) -> Result<(), Broken>
where
    C: Future<Output = Result<(), E>>,
    Broken: From<E>,
{
    let mut quiet_for = 0;
    while quiet_for < quiet {
        tokio::select! {
            biased;
            ended = served.as_mut() => return Ok(ended?),
            () = sleep(connection.latecomer()) => {}
        }
        let is_busy = connection.turns.load(Ordering::Relaxed) > 0 || connection.stream.is_taking();
        quiet_for = if is_busy { 0 } else { quiet_for + 1 };
    }
    Ok(())
}
