//! A payment provider that exists only here. As real ones do, it takes a key with each charge and charges once for it. Ours
//! is the order: whoever broke off, or handed payments over in the middle, asks again without fear.

use std::time::Duration;

use boxoffice_kit::Problem;

const SLOW: Duration = Duration::from_millis(1500);

/// What the buyer's bank will do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Card {
    Good,
    Slow,
    Declined,
}

impl Card {
    pub(super) fn of(token: &str) -> Result<Self, Problem> {
        match token {
            "tok_visa" => Ok(Self::Good),
            "tok_slow" => Ok(Self::Slow),
            "tok_declined" => Ok(Self::Declined),
            _ => Err(Problem::invalid("token", "must be `tok_visa`, `tok_declined` or `tok_slow`")),
        }
    }

    /// Whether the money was taken.
    pub(super) async fn charge(self, order_id: i64, amount_cents: i64) -> bool {
        if matches!(self, Self::Slow) {
            tokio::time::sleep(SLOW).await;
        }
        tracing::info!(order_id, amount_cents, "charging: {self:?}");
        !matches!(self, Self::Declined)
    }
}
