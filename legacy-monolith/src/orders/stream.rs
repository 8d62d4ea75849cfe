//! The live status of one order, as server-sent events.

use std::{convert::Infallible, pin::Pin, time::Duration};

use axum::response::sse::Event;
use boxoffice_kit::{Problem, identity::User};
use futures_util::{Stream, stream};
use serde_json::json;

use super::{Order, Orders};
use crate::app::Shop;

/// Another process may change the order in a shared database, so the stream looks there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Events named `status`, each with `{"status","version"}`.
pub(super) type Changes = Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>;

/// The status now, then each change, until nothing more can happen to the order or the shop stops.
pub(super) async fn changes(shop: Shop, buyer: User, id: i64) -> Result<Changes, Problem> {
    let first = shop.orders.local.get(&buyer, id).await?;
    let start = Watch { shop, buyer, id, seen: None, next: Some(first) };
    Ok(Box::pin(stream::unfold(start, |mut watch| async move {
        let order = watch.next_change().await?;
        Some((Ok(event(&order)), watch))
    })))
}

struct Watch {
    shop: Shop,
    buyer: User,
    id: i64,
    /// Version and finality of what was sent last.
    seen: Option<(i64, bool)>,
    next: Option<Order>,
}

impl Watch {
    /// Waits for a version that was not sent yet; `None` ends the stream.
    async fn next_change(&mut self) -> Option<Order> {
        loop {
            if let Some(order) = self.next.take() {
                let last = self.seen.map(|(version, _)| version);
                self.seen = Some((order.version, order.status != "awaiting_payment"));
                if last != Some(order.version) {
                    return Some(order);
                }
            }
            if matches!(self.seen, Some((_, true))) {
                return None;
            }
            tokio::select! {
                () = self.shop.kit.stop.cancelled() => return None,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.next = Some(self.shop.orders.local.get(&self.buyer, self.id).await.ok()?);
        }
    }
}

fn event(order: &Order) -> Event {
    Event::default()
        .event("status")
        .data(json!({ "status": order.status, "version": order.version }).to_string())
}
