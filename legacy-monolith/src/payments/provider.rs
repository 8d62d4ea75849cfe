//! A payment provider that exists only here.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

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
}

/// As real ones do, it takes a key with each charge, and charges once for it. Ours is the order: whoever broke off, or
/// handed payments over in the middle, asks again without fear.
#[derive(Debug, Default)]
pub(super) struct Provider {
    charged: Mutex<HashSet<i64>>,
}

impl Provider {
    /// Whether the money was taken.
    pub(super) async fn charge(&self, order_id: i64, amount_cents: i64, card: Card) -> bool {
        if matches!(card, Card::Slow) {
            tokio::time::sleep(SLOW).await;
        }
        let good = !matches!(card, Card::Declined);
        if good && self.charged.lock().unwrap_or_else(PoisonError::into_inner).insert(order_id) {
            tracing::info!(order_id, amount_cents, "charged");
        }
        good
    }
}
