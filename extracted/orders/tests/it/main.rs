//! The service on each database and bus, with stand-ins for the inventory and everybody else.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod crashes;
mod dry_runs;
mod events;
mod handing_over;
mod same;
mod stock;

use boxoffice_kit::{Event, scalar};
use boxoffice_orders::{Settings, open};
use boxoffice_trial::{Carrier, Legacy, Place, Trial, event};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::stock::Stock;

/// The service and its surroundings. Tickets 1 and 2 cost 25.00 and 45.00.
struct Shop {
    trial: Trial,
    legacy: Legacy,
    stock: Stock,
}

impl Shop {
    /// The writer of orders.
    async fn open(place: &Place, carrier: &Carrier) -> Self {
        let shop = Self::replica(place, carrier, false).await;
        shop.trial.take("orders").await;
        shop
    }

    async fn replica(place: &Place, carrier: &Carrier, planted_fee_bug: bool) -> Self {
        let (legacy, stock) = (Legacy::start().await, Stock::start().await);
        let trial = start(place, carrier, (&legacy, &stock), planted_fee_bug).await;
        trial.send(&ticket(1, 2_500, 1)).await;
        trial.send(&ticket(2, 4_500, 1)).await;
        Self { trial, legacy, stock }
    }

    /// Orders one of ticket 1: the status and the JSON.
    async fn order(&self, user: i64) -> (u16, Value) {
        self.trial.post(user, "/api/orders", &one()).await
    }

    async fn cancel(&self, user: i64, id: &Value) -> (u16, Value) {
        self.trial.ask(user, Method::DELETE, &format!("/api/orders/{id}"), &Value::Null).await
    }

    /// The status of an order of user 1.
    async fn status(&self, id: &Value) -> String {
        let (_, order) = self.trial.get(1, &format!("/api/orders/{id}")).await;
        order["status"].as_str().unwrap_or_default().to_owned()
    }

    async fn count(&self, sql: &'static str) -> i64 {
        scalar!(sql).fetch_one(&self.trial.database.read).await.unwrap()
    }

    /// How many events of a type are in the outbox.
    async fn told(&self, kind: &str) -> usize {
        self.trial.outbox().await.iter().filter(|told| *told == kind).count()
    }
}

async fn start(place: &Place, carrier: &Carrier, others: (&Legacy, &Stock), planted_fee_bug: bool) -> Trial {
    let inventory = Some(others.1.address.parse().unwrap());
    let settings =
        Settings { inventory, pay_within: SignedDuration::from_mins(15), shared: false, planted_fee_bug };
    Trial::open(place, carrier, others.0, |options, stop| open(options, settings, stop)).await
}

fn one() -> Value {
    json!({"items": [{"ticketId": 1, "quantity": 1}]})
}

/// A price of nothing: deleted.
fn ticket(id: i64, price_cents: i64, version: i64) -> Event {
    let data = json!({"id": id, "title": format!("Ticket {id}"), "priceCents": price_cents, "ownerId": 1, "views": 0,
        "capacity": 10, "deleted": price_cents == 0, "version": version, "createdAt": "2026-01-01T00:00:00Z"});
    event(
        if version == 1 { "ticket.created" } else { "ticket.updated" },
        &format!("ticket-{id}"),
        version,
        data,
    )
}

fn payment(order_id: &Value, status: &str) -> Event {
    let (kind, version) = if status == "refunded" { ("payment.refunded", 2) } else { ("payment.created", 1) };
    let payment = json!({"id": order_id, "orderId": order_id, "amountCents": 2_563, "status": status, "settled": false,
        "createdAt": "2026-01-01T00:00:00Z"});
    let data = json!({"userId": 1, "idempotencyKey": "key", "refundWanted": false, "payment": payment, "version": version});
    event(kind, &format!("payment-{order_id}"), version, data)
}

fn expiration(order_id: &Value) -> Event {
    event("expiration.complete", &format!("order-{order_id}"), 1, json!({"orderId": order_id}))
}
