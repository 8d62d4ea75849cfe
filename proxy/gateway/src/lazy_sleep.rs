//! A timer for deadlines that are set all the time and hardly ever reached.
//!
//! Setting a timer of the runtime and taking it back costs more than the rest of what a request does with it. This
//! one stays set to an earlier deadline when a later one is asked for, and looks again when it fires.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::{Sleep, sleep_until};

pub(crate) struct LazySleep(Pin<Box<Sleep>>);

impl LazySleep {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self(Box::pin(sleep_until(deadline.into())))
    }

    /// Ready when the deadline has passed. It may be another one at every call.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.0.deadline() > deadline.into() {
            self.0.as_mut().reset(deadline.into());
        }
        while self.0.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::{Instant, LazySleep};

    #[tokio::test]
    async fn later_and_earlier_deadlines_than_the_one_set_are_kept() {
        let ms = Duration::from_millis;
        for (set, wanted) in [(10, 40), (3_600_000, 20), (0, 30), (20, 20)] {
            let begun = Instant::now();
            let mut sleep = LazySleep::new(begun + ms(set));
            poll_fn(|cx| sleep.poll_until(cx, begun + ms(wanted))).await;
            assert!(begun.elapsed() >= ms(wanted), "{set} then {wanted}: {:?}", begun.elapsed());
        }
    }
}
