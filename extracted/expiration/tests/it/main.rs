//! The clock: what is due is told until the order is closed, whatever the bus and the process do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use boxoffice_expiration::{app, tell};
use boxoffice_kit::{Event, query};
use boxoffice_trial::{
    Legacy, Trial, ends_while_publishing, event, events_mistreated, poison_put_aside, settings, until,
};
use serde_json::json;

const ROWS: &str =
    "SELECT CAST(order_id AS TEXT) || '|' || CAST(closed AS TEXT) FROM timers ORDER BY order_id";

fn order(kind: &str, id: i64) -> Event {
    let (status, version) = match kind {
        "order.created" => ("awaiting_payment", 1),
        "order.completed" => ("complete", 2),
        _ => ("cancelled", 2),
    };
    let order = json!({ "id": id, "status": status, "expiresAt": "2026-01-01T00:00:00.5Z" });
    event(kind, &format!("order-{id}"), version, json!({ "userId": 1, "order": order }))
}

#[tokio::test]
async fn what_is_due_is_told_again_until_the_order_is_closed() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, app).await;
        trial.send(&order("order.created", 1)).await;
        trial.send(&order("order.cancelled", 2)).await;
        trial.send(&order("order.created", 2)).await;
        tell(&trial.database).await.unwrap();
        assert!(trial.outbox().await.is_empty(), "the other side still tells");
        trial.take("expiration").await;
        for times in 1..=2 {
            let told = || async { carrier.published(&legacy, "expiration.complete").await.len() >= times };
            until("it is told", told).await;
            // Ten seconds pass.
            let pass = query!("UPDATE timers SET due_at = due_at - 10000");
            pass.execute(&trial.database.write).await.unwrap();
        }
        trial.send(&order("order.completed", 1)).await;
        let told = carrier.published(&legacy, "expiration.complete").await;
        assert!(told.iter().all(|event| event.data == json!({ "orderId": 1 })));
        let (status, _) = trial.post(0, "/internal/writers/expiration/give", &json!(null)).await;
        assert_eq!(status, 200);
        trial.send(&order("order.created", 3)).await;
        let before = trial.outbox().await.len();
        tell(&trial.database).await.unwrap();
        assert_eq!(trial.outbox().await.len(), before, "closed orders and given timers are silent");
        trial.take("expiration").await;
        until("what was left is told", || async { trial.outbox().await.len() == before + 1 }).await;
        trial.close().await;
    }
}

#[tokio::test]
async fn whatever_the_bus_does_the_timers_are_the_same() {
    let kinds = [("order.created", 1), ("order.created", 2), ("order.cancelled", 2), ("order.completed", 1)];
    let mut events = kinds.map(|(kind, id)| order(kind, id)).to_vec();
    events.push(order("order.created", 3));
    events_mistreated(app, &events, ROWS).await;
    poison_put_aside(app, &order("order.created", 1)).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.send(&order("order.created", 1)).await;
        trial.take("expiration").await;
    };
    ends_while_publishing(app, act, "expiration.complete").await;
}
