//! The payment provider: a fake one that keeps no books. A real one is given the order as idempotency key, so that to charge
//! an order again, after a crash, is to hear what became of the first time; trying again rests on that.

use std::time::Duration;

/// The cards it knows.
pub(crate) const TOKENS: [&str; 3] = ["tok_visa", "tok_declined", "tok_slow"];

/// Charges a card: whether it was good for it.
pub(crate) async fn charge(token: &str) -> bool {
    if token == "tok_slow" {
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    token != "tok_declined"
}
