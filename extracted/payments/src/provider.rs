//! The payment provider: a fake one. Like real ones it takes the order as idempotency key: to charge an order again, after
//! a crash, is to hear what became of the first time.

use std::time::Duration;

/// How it answers to a card's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Card {
    Good,
    Slow,
    Declined,
}

impl Card {
    /// `None` for a token it has never given out.
    pub(crate) fn of(token: &str) -> Option<Self> {
        match token {
            "tok_visa" => Some(Self::Good),
            "tok_slow" => Some(Self::Slow),
            "tok_declined" => Some(Self::Declined),
            _ => None,
        }
    }

    /// Charges: whether the card was good for it.
    pub(crate) async fn charge(self) -> bool {
        if self == Self::Slow {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        self != Self::Declined
    }
}
