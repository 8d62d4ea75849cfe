//! Orders come from the monolith, and go back.

use boxoffice_kit::Event;
use boxoffice_trial::{Carrier, event, places, settings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Shop, expiration, payment};

/// An order of user 1 as the other side tells it.
fn placed(id: i64, status: &str, version: i64) -> Event {
    let kind = if status == "complete" { "order.completed" } else { "order.created" };
    let item = json!({"ticketId": 1, "title": "Ticket 1", "priceCents": 2_500, "quantity": 1});
    let order = json!({"id": id, "number": id - 30, "status": status, "items": [item], "subtotalCents": 2_500,
        "feeCents": 63, "totalCents": 2_563, "version": version, "createdAt": "2026-01-01T00:00:00Z",
        "expiresAt": "2026-01-01T00:15:00Z"});
    event(kind, &format!("order-{id}"), version, json!({"userId": 1, "order": order}))
}

#[tokio::test]
async fn numbers_go_on_and_what_was_left_over_is_done() {
    for (place, carrier) in settings().await {
        let shop = Shop::replica(&place, &carrier, false).await;
        // Facts before their orders, a newer version before an older one.
        for event in [
            payment(&json!(32), "succeeded"),
            expiration(&json!(32)),
            expiration(&json!(33)),
            placed(31, "complete", 2),
            placed(31, "awaiting_payment", 1),
            placed(32, "awaiting_payment", 1),
            placed(33, "awaiting_payment", 1),
            placed(34, "awaiting_payment", 1),
            payment(&json!(34), "succeeded"),
        ] {
            shop.trial.send(&event).await;
        }
        let statuses = || async {
            let list = shop.trial.get(1, "/api/orders").await.1;
            let orders = list["orders"].as_array().unwrap().iter();
            orders.map(|order| order["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let open = "awaiting_payment";
        assert_eq!(statuses().await, [open, open, open, "complete"], "who does not write does not act");
        assert!(shop.trial.outbox().await.is_empty());
        shop.legacy.answer("POST /api/orders", 418, json!({}));
        assert_eq!(shop.order(1).await.0, 418, "the other side writes");

        shop.trial.take("orders").await;
        assert_eq!(statuses().await, ["complete", "cancelled", "complete", "complete"]);
        assert_eq!(shop.trial.outbox().await, ["order.completed", "order.completed", "order.cancelled"]);
        let (status, order) = shop.order(1).await;
        assert_eq!((status, &order["number"]), (201, &json!(5)));
        assert!(order["id"].as_i64().unwrap() > 1_034, "none that is on its way at the other side");
        assert_eq!(shop.trial.post(0, "/internal/replay/orders", &Value::Null).await.1, json!({"events": 5}));

        // Given away between the reservation and the order: that one is the other side's, and holds nothing here.
        let held = shop.stock.held();
        shop.stock.meanwhile(format!("{}/internal/writers/orders/give", shop.trial.address));
        assert_eq!(shop.order(1).await.0, 418);
        assert_eq!((shop.stock.held(), shop.count("SELECT count(*) FROM placements").await), (held, 0));
        shop.trial.send(&payment(&order["id"], "succeeded")).await;
        assert_eq!(shop.trial.outbox().await.len(), 9, "who does not write any more does not act");
        shop.trial.take("orders").await;
        assert_eq!(shop.status(&order["id"]).await, "complete");
        assert_eq!(shop.order(1).await.1["number"], 6);
    }
}

/// The gate passes questions on to the other side, which takes them for ours: strangers must not get that far.
#[tokio::test]
async fn a_stranger_gets_nobodys_order_from_either_side() {
    for place in places().await {
        let shop = Shop::open(&place, &Carrier::Http).await;
        let (_, order) = shop.order(1).await;
        let path = format!("/internal/orders/{}", order["id"]);
        shop.legacy.answer(&format!("GET {path}"), 200, json!("by legacy"));
        for (act, expected) in [("keep", &order), ("give", &json!("by legacy"))] {
            shop.trial.post(0, &format!("/internal/writers/orders/{act}"), &Value::Null).await;
            let (status, told) = shop.trial.get(0, &path).await;
            assert_eq!((status, told.get("order").unwrap_or(&told)), (200, expected));
            for field in ["x-forwarded-for", "forwarded", "via"] {
                let asked = shop.trial.request(Method::GET, &path).header(field, "1.2.3.4");
                assert_eq!(asked.send().await.unwrap().status(), 404, "{act} {field}");
            }
        }
        assert_eq!(
            shop.legacy.asked().iter().filter(|(asked, _)| *asked == format!("GET {path}")).count(),
            1
        );
    }
}
