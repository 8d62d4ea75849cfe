//! Paying: once, whatever is repeated, raced or broken off.

use boxoffice_kit::{query, scalar};
use boxoffice_monolith::Settings;
use boxoffice_trial::{places, until};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::shop::Shop;

impl Shop {
    pub(crate) async fn order(&self, user: u32, ticket: i64) -> i64 {
        let wanted = json!({ "items": [{"ticketId": ticket, "quantity": 2}] });
        let (status, order) = self.post(user, "/api/orders", &wanted).await;
        assert_eq!(status, 201, "{order}");
        order["id"].as_i64().unwrap()
    }

    pub(crate) async fn pay(&self, user: u32, order: i64, token: &str, key: &str) -> (u16, Value) {
        let request = self.request(user, Method::POST, "/api/payments").header("idempotency-key", key);
        self.ask(request.json(&json!({ "orderId": order, "token": token }))).await
    }

    async fn webhook(&self, body: &str, secret: &[u8]) -> u16 {
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
        let request = self.anonymous(Method::POST, "/webhooks/pay").body(body.to_owned());
        self.ask(request.header("x-pay-signature", hex::encode(signature))).await.0
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        scalar!(sql).fetch_one(&self.database.read).await.unwrap()
    }
}

#[tokio::test]
async fn an_order_is_paid_sold_told_settled_and_refunded_once() {
    for place in places().await {
        let mail = tempfile::tempdir().unwrap();
        let settings = Settings { mail: Some(mail.path().to_owned()), ..Settings::default() };
        let shop = Shop::start(&place.address(), settings).await;
        let (order, other) = (shop.order(1, 3).await, shop.order(1, 4).await);
        let path = format!("/api/orders/{order}");
        assert_eq!(shop.pay(1, order, "tok_visa", "").await.0, 400);
        assert_eq!(shop.pay(1, order, "tok_unknown", "a").await.0, 400);
        assert_eq!(shop.pay(2, order, "tok_visa", "a").await.0, 404);
        assert_eq!(shop.get(1, &format!("{path}/ticket.svg")).await.0, 409);
        assert_eq!(shop.pay(1, order, "tok_declined", "a").await.0, 402);
        assert_eq!(shop.get(1, &path).await.1["status"], "awaiting_payment");

        let (status, payment) = shop.pay(1, order, "tok_visa", "a").await;
        assert_eq!(
            (status, &payment["status"], &payment["settled"]),
            (201, &json!("succeeded"), &json!(false))
        );
        assert_eq!(shop.pay(1, order, "tok_visa", "a").await, (200, payment.clone()));
        assert_eq!(shop.pay(1, order, "tok_visa", "b").await.0, 409, "paid already");
        assert_eq!(shop.pay(1, other, "tok_visa", "a").await.0, 409, "another order's key");
        let complete = shop.get(1, &path).await.1;
        assert_eq!((&complete["status"], &complete["version"]), (&json!("complete"), &json!(2)));
        assert_eq!(complete["totalCents"], payment["amountCents"]);
        assert_eq!(shop.ask(shop.request(1, Method::DELETE, &path)).await.0, 409);
        let left = shop.get(1, "/api/tickets/3/availability").await.1;
        assert_eq!((&left["reserved"], &left["sold"]), (&json!(0), &json!(2)));
        let svg = shop.request(1, Method::GET, &format!("{path}/ticket.svg")).send().await.unwrap();
        assert_eq!(svg.headers()["content-type"], "image/svg+xml");
        assert!(svg.text().await.unwrap().contains("2 × "));

        let id = payment["id"].as_i64().unwrap();
        let settled = format!(r#"{{"type": "charge.settled", "payment": {id}}}"#);
        assert_eq!(shop.webhook(&settled, b"another secret").await, 401);
        assert_eq!(shop.get(1, &format!("/api/payments/{id}")).await.1["settled"], false);
        for _ in 0..2 {
            assert_eq!(shop.webhook(&settled, b"demo-secret").await, 200);
        }
        assert_eq!(shop.get(2, &format!("/api/payments/{id}")).await.0, 404);
        for _ in 0..2 {
            let (status, refunded) = shop.post(1, &format!("/api/payments/{id}/refund"), &json!({})).await;
            assert_eq!(
                (status, &refunded["status"], &refunded["settled"]),
                (200, &json!("refunded"), &json!(true))
            );
        }
        assert_eq!(shop.count("SELECT version FROM payments WHERE status = 'refunded'").await, 3);

        until("all is told", || async { shop.get(1, "/api/notifications").await.1["unread"] == 4 }).await;
        let told = shop.get(1, "/api/notifications").await.1["notifications"].clone();
        let mut ids: Vec<&str> =
            told.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["order-1-completed", "order-1-created", "order-2-created", "payment-2-refunded"]);
        assert!(mail.path().join("payment-2-refunded.txt").exists());
        assert_eq!(shop.post(2, "/api/notifications/order-1-created/read", &json!({})).await.0, 404);
        for _ in 0..2 {
            assert_eq!(shop.post(1, "/api/notifications/order-1-created/read", &json!({})).await.0, 200);
        }
        assert_eq!(shop.get(1, "/api/notifications/unread-count").await.1, json!({ "unread": 3 }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_pay_once() {
    for place in places().await {
        let shop = std::sync::Arc::new(Shop::start(&place.address(), Settings::default()).await);
        let order = shop.order(1, 3).await;
        let mut payers = JoinSet::new();
        for payer in 0..20 {
            let shop = shop.clone();
            payers.spawn(async move { shop.pay(1, order, "tok_visa", &format!("key {}", payer / 2)).await });
        }
        let answers = payers.join_all().await;
        let count = |wanted| answers.iter().filter(|(status, _)| *status == wanted).count();
        assert_eq!((count(201), count(200), count(409)), (1, 1, 18), "{answers:?}");
        assert_eq!(shop.count("SELECT count(*) FROM outbox WHERE subject = 'payment.created'").await, 1);
        assert_eq!(shop.count("SELECT CAST(sum(sold) AS BIGINT) FROM tickets").await, 2);
    }
}

/// While the bank thinks, others order, and the buyer thinks better of it.
#[tokio::test]
async fn an_order_cancelled_while_it_is_paid_gives_the_money_back() {
    for place in places().await {
        let shop = Shop::start(&place.address(), Settings::default()).await;
        let order = shop.order(1, 3).await;
        let cancel = async {
            until("the charge is on its way", || async {
                shop.count("SELECT count(*) FROM payments WHERE status = 'pending'").await == 1
            })
            .await;
            assert_eq!(shop.get(1, "/api/payments/1").await.0, 404, "not a payment yet");
            shop.ask(shop.request(1, Method::DELETE, &format!("/api/orders/{order}"))).await.0
        };
        let (paid, cancelled) = tokio::join!(shop.pay(1, order, "tok_slow", "a"), cancel);
        assert_eq!((paid.0, cancelled), (409, 200), "{paid:?}");
        assert_eq!(shop.get(1, "/api/payments/1").await.1["status"], "refunded");
        assert_eq!(
            shop.count("SELECT count(*) FROM outbox WHERE subject = 'order.refund_requested'").await,
            1
        );
        assert_eq!(shop.count("SELECT CAST(sum(sold + reserved) AS BIGINT) FROM tickets").await, 0);
    }
}

#[tokio::test]
async fn a_buyer_who_hangs_up_has_paid() {
    for place in places().await {
        let shop = Shop::start(&place.address(), Settings::default()).await;
        let order = shop.order(1, 3).await;
        let count = async |sql| shop.count(sql).await == 1;
        tokio::select! {
            told = shop.pay(1, order, "tok_slow", "a") => panic!("answered before: {told:?}"),
            () = until("the charge is on its way", || count("SELECT count(*) FROM payments")) => {}
        }
        until("it has ended", || count("SELECT count(*) FROM payments WHERE status = 'succeeded'")).await;
        assert_eq!(shop.pay(1, order, "tok_slow", "a").await.0, 200);

        // As if the process had ended while another one was charged.
        let crashed = shop.order(1, 4).await;
        let sql = "INSERT INTO payments (id, order_id, user_id, idempotency_key, amount_cents, status, created_at, token)
                   VALUES (90, $1, 1, 'b', 7000, 'pending', '2026-01-01T00:00:00.000000Z', 'tok_visa')";
        query!(sql, crashed).execute(&shop.database.write).await.unwrap();
        let paid = "SELECT count(*) FROM payments WHERE id = 90 AND status = 'succeeded'";
        until("it is charged again", || count(paid)).await;
        assert_eq!(shop.get(1, &format!("/api/orders/{crashed}")).await.1["status"], "complete");
    }
}

#[tokio::test]
async fn only_unpaid_orders_expire() {
    for place in places().await {
        let shop = Shop::start(&place.address(), Settings::default()).await;
        let (paid, unpaid, fresh) = (shop.order(1, 3).await, shop.order(1, 4).await, shop.order(1, 5).await);
        assert_eq!(shop.pay(1, paid, "tok_visa", "a").await.0, 201);
        query!("UPDATE orders SET expires_at = '2000-01-01T00:00:00.000000Z' WHERE id <> $1", fresh)
            .execute(&shop.database.write)
            .await
            .unwrap();
        let status = async |id: i64| shop.get(1, &format!("/api/orders/{id}")).await.1["status"].clone();
        until("the unpaid one is cancelled", || async { status(unpaid).await == "cancelled" }).await;
        assert_eq!((status(paid).await, status(fresh).await), (json!("complete"), json!("awaiting_payment")));
        assert_eq!(shop.get(1, "/api/tickets/4/availability").await.1["reserved"], 0);
    }
}
