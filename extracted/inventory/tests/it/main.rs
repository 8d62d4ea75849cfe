//! The inventory: facts in any order, who acts on them, and never a ticket too many.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use boxoffice_inventory::app;
use boxoffice_kit::Event;
use boxoffice_trial::{
    Carrier, Legacy, Trial, ends_while_publishing, event, events_mistreated, places, poison_put_aside,
    settings,
};
use reqwest::Method;
use serde_json::{Value, json};

fn ticket(id: i64, deleted: bool) -> Event {
    let kind = if deleted { "ticket.updated" } else { "ticket.created" };
    event(kind, &format!("ticket-{id}"), 1, json!({ "id": id, "capacity": 10, "deleted": deleted }))
}

/// The stock of ticket 1 as the monolith tells of it.
fn stock(version: i64, (reserved, sold): (i64, i64), (order, quantity, state): (i64, i64, &str)) -> Event {
    let held = json!({ "orderId": order, "ticketId": 1, "quantity": quantity, "state": state });
    let data = json!({ "ticketId": 1, "capacity": 10, "reserved": reserved, "sold": sold, "version": version,
                       "reservation": if order == 0 { Value::Null } else { held } });
    event("stock.changed", "stock-1", version, data)
}

fn ended(kind: &str, order: i64) -> Event {
    event(kind, &format!("order-{order}"), 2, json!({ "userId": 1, "order": { "id": order } }))
}

async fn reserve(trial: &Trial, order: i64, items: &Value) -> (u16, Value) {
    let path = format!("/internal/reservations/{order}");
    trial.ask(0, Method::PUT, &path, &json!({ "items": items })).await
}

async fn release(trial: &Trial, order: i64) -> u16 {
    trial.ask(0, Method::DELETE, &format!("/internal/reservations/{order}"), &Value::Null).await.0
}

/// Reserved and sold of a ticket.
async fn taken(trial: &Trial, id: i64) -> (i64, i64) {
    let left = trial.get(0, &format!("/api/tickets/{id}/availability")).await.1;
    (left["reserved"].as_i64().unwrap(), left["sold"].as_i64().unwrap())
}

#[tokio::test]
async fn whatever_the_bus_does_the_stock_is_the_same() {
    let rows =
        "SELECT ticket_id || '|' || reserved || '|' || sold || '|' || version || '|' || coalesce(state, '')
                FROM stock_of_orders ORDER BY ticket_id, order_id";
    let events = [
        ticket(1, false),
        stock(1, (0, 0), (0, 0, "")),
        stock(2, (2, 0), (5, 2, "held")),
        ticket(2, false),
        stock(3, (3, 0), (6, 1, "held")),
        stock(4, (1, 2), (5, 2, "sold")),
        ended("order.completed", 5),
        ended("order.cancelled", 6),
    ];
    events_mistreated(app, &events, rows).await;
    poison_put_aside(app, &ended("order.cancelled", 6)).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.send(&stock(1, (0, 0), (0, 0, ""))).await;
        trial.take("inventory").await;
        assert_eq!(reserve(trial, 1, &json!([{ "ticketId": 1, "quantity": 1 }])).await.0, 200);
    };
    ends_while_publishing(app, act, "stock.changed").await;
}

#[tokio::test]
async fn who_takes_over_settles_what_was_left_and_what_comes_late() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, app).await;
        trial.send(&ticket(2, false)).await;
        trial.send(&stock(3, (3, 0), (5, 2, "held"))).await;
        trial.send(&stock(4, (4, 0), (6, 1, "held"))).await;
        for (kind, order) in [("order.completed", 5), ("order.cancelled", 6), ("order.cancelled", 7)] {
            trial.send(&ended(kind, order)).await;
        }
        assert_eq!((taken(&trial, 1).await, trial.outbox().await.len()), ((4, 0), 0), "the other side acts");
        trial.take("inventory").await;
        assert_eq!((taken(&trial, 1).await, trial.outbox().await.len()), ((1, 2), 3));
        trial.send(&stock(2, (1, 0), (7, 1, "held"))).await;
        assert_eq!(taken(&trial, 1).await, (0, 2), "of what was lost it hears at last");
        trial.post(0, "/internal/writers/inventory/give", &Value::Null).await;
        legacy.answer("PUT /internal/reservations/8", 200, json!({ "from": "legacy" }));
        let (status, told) = reserve(&trial, 8, &json!([])).await;
        assert_eq!((status, &told["from"]), (200, &json!("legacy")));
        assert_eq!(trial.post(0, "/internal/replay/inventory", &Value::Null).await.1["events"], 4);
        trial.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_get_the_ten_there_are_and_each_once() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Arc::new(Trial::open(&place, &Carrier::Http, &legacy, app).await);
        trial.take("inventory").await;
        for id in [1, 2] {
            trial.send(&ticket(id, false)).await;
        }
        let one = json!([{ "ticketId": 1, "quantity": 1 }]);
        let asked = (1..=50).map(|order| {
            let (trial, one) = (trial.clone(), one.clone());
            tokio::spawn(async move { (order, reserve(&trial, order, &one).await) })
        });
        let (mut got, mut not) = (Vec::new(), Vec::new());
        for asked in asked.collect::<Vec<_>>() {
            let (order, (status, told)) = asked.await.unwrap();
            if status == 200 { got.push(order) } else { not.push(told["errors"][0]["field"].clone()) }
        }
        assert_eq!((got.len(), not), (10, vec![json!("items[0].quantity"); 40]));
        assert_eq!(reserve(&trial, got[0], &one).await.0, 200, "again is once");
        assert_eq!(taken(&trial, 1).await, (10, 0));
        let both = json!([{ "ticketId": 2, "quantity": 1 }, { "ticketId": 1, "quantity": 1 }]);
        let (status, told) = reserve(&trial, 51, &both).await;
        assert_eq!((status, &told["errors"][0]["field"]), (409, &json!("items[1].quantity")));
        assert_eq!(taken(&trial, 2).await, (0, 0), "all or nothing");

        trial.send(&ended("order.completed", got[0])).await;
        for _ in 0..2 {
            assert_eq!([release(&trial, got[0]).await, release(&trial, got[1]).await], [200, 200]);
            assert_eq!(taken(&trial, 1).await, (8, 1), "what is sold stays sold");
        }
        trial.send(&ended("order.cancelled", 52)).await;
        for late in [got[1], 52] {
            assert_eq!(reserve(&trial, late, &one).await.0, 409, "nobody would ever release it");
        }
        assert_eq!(taken(&trial, 1).await, (8, 1));
        let outside =
            trial.request(Method::DELETE, "/internal/reservations/1").header("x-forwarded-for", "10.0.0.1");
        assert_eq!(outside.send().await.unwrap().status(), 404);
        trial.send(&ticket(2, true)).await;
        assert_eq!(trial.get(0, "/api/tickets/2/availability").await.0, 404);
    }
}
