//! What the monolith makes of events, and how a module changes hands: between two monoliths here, each the other's service.

use boxoffice_kit::query;
use boxoffice_monolith::Settings;
use boxoffice_trial::{event, places, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::Shop;

impl Shop {
    pub(crate) async fn send(&self, kind: &str, aggregate: &str, version: i64, data: &Value) {
        let event = event(kind, aggregate, version, data.clone());
        let sent = self.anonymous(Method::POST, "/internal/events").json(&event).send().await.unwrap();
        assert_eq!(sent.status(), 200, "{kind}");
    }

    async fn is_written_elsewhere(&self, module: &str) {
        let given = query!("UPDATE writers SET state = 'given' WHERE module = $1", module);
        given.execute(&self.database.write).await.unwrap();
    }

    pub(crate) async fn take(&self, module: &str) {
        let (status, told) = self.post(1, &format!("/internal/writers/{module}/take"), &json!({})).await;
        assert_eq!(status, 200, "{told}");
    }
}

fn payment(id: i64, order: &Value, status: &str, version: i64) -> Value {
    let payment = json!({ "id": id, "orderId": order["id"], "amountCents": order["totalCents"], "status": status,
                          "settled": false, "createdAt": "2026-06-10T10:00:00Z" });
    json!({ "userId": 1, "idempotencyKey": format!("key {id}"), "refundWanted": false, "payment": payment, "version": version })
}

/// Everything comes twice, and the newest first.
#[tokio::test]
async fn facts_are_kept_by_everyone_and_acted_on_by_the_writer() {
    for place in places().await {
        let shop = Shop::start(&place.address(), Settings::default()).await;
        let look = async |user, id: i64| shop.get(user, &format!("/api/orders/{id}")).await.1;
        let placed = shop.order(1, 3).await;
        let created = look(1, placed).await;
        shop.is_written_elsewhere("orders").await;
        let is = |order: &Value, status: &str, id: i64| {
            let mut order = order.clone();
            (order["status"], order["version"]) = (json!(status), json!(2));
            (order["id"], order["number"]) = (json!(id), json!(id));
            order
        };
        let complete = is(&created, "complete", placed);
        let mut unknown = is(&created, "cancelled", 7);
        for _ in 0..2 {
            shop.send("order.completed", "order-1", 2, &json!({ "userId": 1, "order": complete })).await;
            shop.send("order.created", "order-1", 1, &json!({ "userId": 1, "order": created })).await;
            shop.send("order.cancelled", "order-7", 2, &json!({ "userId": 2, "order": unknown })).await;
        }
        assert_eq!((look(1, placed).await, look(2, 7).await), (complete, unknown.clone()));
        (unknown["status"], unknown["version"]) = (json!("awaiting_payment"), json!(1));
        shop.send("order.created", "order-7", 1, &json!({ "userId": 2, "order": unknown })).await;
        assert_eq!(look(2, 7).await["status"], "cancelled");
        let left = shop.get(1, "/api/tickets/3/availability").await.1;
        assert_eq!((&left["reserved"], &left["sold"]), (&json!(0), &json!(2)), "stock is written here");
        until("both are told", || async { shop.get(2, "/api/notifications").await.1["unread"] == 2 }).await;

        let here = query!("UPDATE writers SET state = 'here' WHERE module = 'orders'");
        here.execute(&shop.database.write).await.unwrap();
        shop.is_written_elsewhere("payments").await;
        let (paid, cancelled, late) =
            (shop.order(1, 4).await, shop.order(1, 5).await, shop.order(1, 6).await);
        shop.ask(shop.request(1, Method::DELETE, &format!("/api/orders/{cancelled}"))).await;
        for _ in 0..2 {
            shop.send("payment.created", "payment-9", 1, &payment(9, &look(1, paid).await, "succeeded", 1))
                .await;
        }
        assert_eq!(look(1, paid).await["status"], "complete");
        let back = look(1, cancelled).await;
        shop.send("payment.created", "payment-10", 1, &payment(10, &back, "succeeded", 1)).await;
        assert_eq!(
            shop.count("SELECT count(*) FROM outbox WHERE subject = 'order.refund_requested'").await,
            1
        );
        assert_eq!(shop.count("SELECT refund_wanted FROM payments WHERE id = 10").await, 1);
        for (kind, status, version) in
            [("payment.refunded", "refunded", 2), ("payment.created", "succeeded", 1)]
        {
            shop.send(kind, "payment-10", version, &payment(10, &back, status, version)).await;
        }
        assert_eq!(shop.get(1, "/api/payments/10").await.1["status"], "refunded");
        for order in [paid, late] {
            shop.send("expiration.complete", "order", 1, &json!({ "orderId": order })).await;
        }
        assert_eq!(
            (look(1, paid).await["version"].clone(), look(1, late).await["status"].clone()),
            (json!(2), json!("cancelled"))
        );
        assert_eq!(shop.count("SELECT count(*) FROM dead_letters").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_change_hands_and_back_and_nothing_is_lost() {
    const MODULES: [&str; 4] = ["orders", "payments", "notifications", "expiration"];
    /// The stock stays: whoever writes orders asks for it.
    const WRITTEN_ONCE: [&str; 5] = ["orders", "payments", "notifications", "expiration", "inventory"];
    for (one, two) in places().await.into_iter().zip(places().await) {
        let (shop, service) = Shop::pair(&one.address(), &two.address(), &WRITTEN_ONCE).await;
        let (paid, open) = (shop.order(1, 3).await, shop.order(1, 4).await);
        assert_eq!(shop.pay(1, paid, "tok_visa", "a").await.0, 201);
        for module in MODULES {
            service.take(module).await;
        }
        assert_eq!(service.count("SELECT count(*) FROM orders WHERE status = 'complete'").await, 1);
        // From here on the old one passes on what it is asked.
        let third = shop.order(1, 5).await;
        assert_eq!(service.count("SELECT max(number) FROM orders").await, 3);
        assert_eq!(shop.pay(1, open, "tok_visa", "b").await.0, 201);
        assert_eq!(shop.pay(1, paid, "tok_visa", "a").await.0, 200, "known there, too");
        for module in MODULES {
            shop.take(module).await;
        }
        assert_eq!(shop.count("SELECT count(*) FROM orders WHERE status = 'complete'").await, 2);
        assert_eq!(service.pay(1, third, "tok_visa", "c").await.0, 201);
        shop.order(1, 6).await;
        assert_eq!(shop.count("SELECT max(number) FROM orders").await, 4);
        assert_eq!(shop.count("SELECT count(*) FROM orders").await, 4);
        until("all is told once", || async {
            shop.count("SELECT count(*) FROM notifications WHERE state = 'sent'").await == 7
        })
        .await;
        until("all is sold", || async {
            shop.count("SELECT CAST(sum(sold) AS BIGINT) FROM tickets").await == 6
        })
        .await;
        assert_eq!(shop.count("SELECT CAST(sum(reserved) AS BIGINT) FROM tickets").await, 2);
        let scarce = json!({ "items": [{"ticketId": 7, "quantity": 1}, {"ticketId": 50, "quantity": 10}] });
        service.take("orders").await;
        for _ in 0..4 {
            assert_eq!(shop.post(2, "/api/orders", &scarce).await.0, 201);
        }
        let (status, refused) = shop.post(2, "/api/orders", &scarce).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (409, &json!("items[1].quantity")));
        assert_eq!(shop.get(1, "/api/tickets/7/availability").await.1["reserved"], 4);
        let dead = "SELECT count(*) FROM dead_letters";
        assert_eq!((shop.count(dead).await, service.count(dead).await), (0, 0));
    }
}
