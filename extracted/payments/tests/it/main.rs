//! Payments: facts in any order, who gives money back, and never a charge too many.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use boxoffice_kit::{
    Event, query, scalar,
    service::{Failure, Kit, Options},
};
use boxoffice_trial::{
    Carrier, Legacy, Trial, ends_while_publishing, event, events_mistreated, places, poison_put_aside,
    settings, until,
};
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const SECRET: &str = "between us";

async fn app(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    boxoffice_payments::app(options, stop, SECRET).await
}

/// An order of user 3.
fn placed(id: i64, status: &str) -> Value {
    let version = if status == "awaiting_payment" { 1 } else { 2 };
    json!({ "userId": 3, "order": { "id": id, "totalCents": 7175, "status": status, "version": version } })
}

fn order(kind: &str, id: i64) -> Event {
    let status = match kind {
        "order.created" => "awaiting_payment",
        "order.completed" => "complete",
        _ => "cancelled",
    };
    event(kind, &format!("order-{id}"), 1, placed(id, status))
}

/// Payment and order have the same number.
fn payment(kind: &str, id: i64, version: i64) -> Event {
    let status = if kind == "payment.refunded" { "refunded" } else { "succeeded" };
    let payment = json!({ "id": id, "orderId": id, "amountCents": 7175, "status": status, "settled": false,
                          "createdAt": "2026-02-01T10:00:00Z" });
    let data = json!({ "userId": 3, "idempotencyKey": format!("key-{id}"), "refundWanted": false, "payment": payment,
                       "version": version });
    event(kind, &format!("payment-{id}"), version, data)
}

async fn pay(trial: &Trial, user: i64, key: &str, order: i64, token: &str) -> (u16, Value) {
    let body = json!({ "orderId": order, "token": token });
    let request = trial.request(Method::POST, "/api/payments").header("idempotency-key", key).json(&body);
    let answer = request.header("cookie", format!("session=user-{user}")).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn webhook(trial: &Trial, secret: &str, body: &'static str) -> u16 {
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    let request =
        trial.request(Method::POST, "/webhooks/pay").header("x-pay-signature", hex::encode(signature));
    request.body(body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn whatever_the_bus_does_the_payments_are_the_same() {
    let rows = "SELECT id || '|' || known_payments.status || '|' || known_payments.version || '|' || refund_wanted || '|' || orders.status
                FROM known_payments JOIN orders ON orders.order_id = known_payments.order_id ORDER BY id";
    let mut events = Vec::new();
    for id in [1, 2] {
        events.extend([order("order.created", id), payment("payment.created", id, 1)]);
    }
    events.extend([order("order.completed", 1), order("order.refund_requested", 2)]);
    events.extend([order("order.cancelled", 2), payment("payment.refunded", 2, 2)]);
    events_mistreated(app, &events, rows).await;
    poison_put_aside(app, &order("order.created", 1)).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.send(&order("order.created", 1)).await;
        trial.take("payments").await;
        assert_eq!(pay(trial, 3, "key", 1, "tok_visa").await.0, 201);
    };
    ends_while_publishing(app, act, "payment.created").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_are_one_charge() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Arc::new(Trial::open(&place, &Carrier::Http, &legacy, app).await);
        trial.send(&order("order.created", 1)).await;
        trial.take("payments").await;
        let asked = (0..20).map(|number| {
            let trial = trial.clone();
            let key = format!("key-{}", number % 2);
            tokio::spawn(async move { (pay(&trial, 3, &key, 1, "tok_slow").await, key) })
        });
        let mut answers = BTreeMap::new();
        for asked in asked.collect::<Vec<_>>() {
            let ((status, payment), key) = asked.await.unwrap();
            answers.entry((status, key)).or_insert_with(Vec::new).push(payment);
        }
        let counts = answers.iter().map(|((status, _), same)| (*status, same.len())).collect::<Vec<_>>();
        assert_eq!(
            counts,
            [(200, 9), (201, 1), (409, 10)],
            "who has the same key waits for the same payment"
        );
        let payments = answers.iter().filter(|((status, _), _)| *status < 300).flat_map(|(_, same)| same);
        assert!(payments.clone().all(|payment| Some(payment) == payments.clone().next()));
        assert_eq!(trial.outbox().await, ["payment.created"]);
    }
}

#[tokio::test]
async fn money_goes_back_when_it_is_wanted_before_while_and_after() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, app).await;
        trial.send(&order("order.refund_requested", 1)).await;
        trial.send(&payment("payment.created", 1, 1)).await;
        assert!(trial.outbox().await.is_empty(), "the other side acts");
        trial.take("payments").await;
        assert_eq!(trial.outbox().await, ["payment.refunded"]);
        trial.send(&order("order.created", 2)).await;
        let meanwhile = async {
            until("the charge is on its way", || attempts(&trial, 1)).await;
            trial.send(&order("order.refund_requested", 2)).await;
        };
        let ((status, told), ()) = tokio::join!(pay(&trial, 3, "key-2", 2, "tok_slow"), meanwhile);
        assert_eq!(status, 409, "{told}");
        trial.send(&order("order.created", 3)).await;
        assert_eq!(pay(&trial, 3, "key-3", 3, "tok_visa").await.1["status"], "succeeded");
        for _ in 0..2 {
            trial.send(&order("order.refund_requested", 3)).await;
        }
        let told =
            ["refunded", "created", "refunded", "created", "refunded"].map(|what| format!("payment.{what}"));
        assert_eq!(trial.outbox().await, told);
        trial.close().await;
    }
}

async fn attempts(trial: &Trial, count: i64) -> bool {
    let found = scalar!("SELECT count(*) FROM attempts").fetch_one(&trial.database.read).await;
    found.is_ok_and(|found: i64| found == count)
}

#[tokio::test]
async fn a_buyer_who_hangs_up_has_paid() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Http, &legacy, app).await;
        trial.send(&order("order.created", 1)).await;
        trial.take("payments").await;
        tokio::select! {
            told = pay(&trial, 3, "key", 1, "tok_slow") => panic!("answered before: {told:?}"),
            () = until("the charge is on its way", || attempts(&trial, 1)) => {}
        }
        until("the charge has ended", || attempts(&trial, 0)).await;
        assert_eq!(trial.outbox().await, ["payment.created"]);
        assert_eq!(pay(&trial, 3, "key", 1, "tok_slow").await.0, 200);

        // As if the process had ended while another one was charged.
        trial.send(&order("order.created", 2)).await;
        let sql = "INSERT INTO attempts (order_id, user_id, idempotency_key, since, token) VALUES (2, 3, 'b', 1, 'tok_visa')";
        query!(sql).execute(&trial.database.write).await.unwrap();
        until("it is charged again", || attempts(&trial, 0)).await;
        assert_eq!(pay(&trial, 3, "b", 2, "tok_visa").await.0, 200);
        trial.close().await;
    }
}

/// A crash between claiming an order and writing down the charge; a hand-over at the same place.
#[tokio::test]
async fn a_charge_that_left_no_trace_is_tried_again_later_or_elsewhere() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Http, &legacy, app).await;
        for id in [1, 2] {
            trial.send(&order("order.created", id)).await;
        }
        trial.take("payments").await;
        let now = jiff::Timestamp::now().as_second();
        let sql =
            "INSERT INTO attempts (order_id, user_id, idempotency_key, since) VALUES (1, 3, 'key-1', $1)";
        query!(sql, now).execute(&trial.database.write).await.unwrap();
        assert_eq!(
            pay(&trial, 3, "key-1", 1, "tok_visa").await.0,
            409,
            "waited in vain: it may be on its way"
        );
        query!("UPDATE attempts SET since = $1", now - 11).execute(&trial.database.write).await.unwrap();
        assert_eq!(pay(&trial, 3, "key-1", 1, "tok_visa").await.0, 201);

        legacy.answer("POST /api/payments", 201, json!({ "id": 2 }));
        let meanwhile = async {
            until("the charge is on its way", || attempts(&trial, 1)).await;
            trial.post(0, "/internal/writers/payments/give", &Value::Null).await
        };
        let (answer, given) = tokio::join!(pay(&trial, 3, "key-2", 2, "tok_slow"), meanwhile);
        assert_eq!((answer, given.0), ((201, json!({ "id": 2 })), 200), "who writes now is asked");
        trial.send(&payment("payment.created", 2, 1)).await;
        trial.take("payments").await;
        assert_eq!(pay(&trial, 3, "key-2", 2, "tok_slow").await.0, 200);
        assert!(attempts(&trial, 0).await);
        assert_eq!(trial.post(0, "/internal/replay/payments", &Value::Null).await.1["events"], 2);
        trial.close().await;
    }
}

#[tokio::test]
async fn the_api_is_that_of_the_monolith() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Http, &legacy, app).await;
        for (kind, id) in [("order.created", 1), ("order.completed", 2), ("order.cancelled", 4)] {
            trial.send(&order(kind, id)).await;
        }
        trial.take("payments").await;
        legacy.answer("GET /internal/orders/5", 200, placed(5, "awaiting_payment"));
        let table = [
            (3, "", 1, "tok_visa", 400),
            (3, "a", 1, "tok_none", 400),
            (3, "a", 6, "tok_visa", 404),
            (4, "a", 5, "tok_visa", 404),
            (4, "a", 1, "tok_visa", 404),
            (3, "a", 2, "tok_visa", 409),
            (3, "a", 4, "tok_visa", 409),
            (3, "a", 1, "tok_declined", 402),
            (3, "a", 1, "tok_visa", 201),
            (3, "a", 1, "tok_visa", 200),
            (3, "a", 5, "tok_visa", 409),
            (3, "b", 5, "tok_visa", 201),
        ];
        assert_eq!(trial.post(0, "/api/payments", &Value::Null).await.0, 401);
        for (user, key, order, token, status) in table {
            let (found, told) = pay(&trial, user, key, order, token).await;
            assert_eq!(found, status, "user {user} pays order {order} with {token} and key {key}: {told}");
        }
        for (secret, status) in [("guessed", 401), (SECRET, 200), (SECRET, 200)] {
            assert_eq!(webhook(&trial, secret, r#"{"type":"charge.settled", "payment":1}"#).await, status);
        }
        assert_eq!(webhook(&trial, SECRET, r#"{"type":"charge.settled", "payment":7}"#).await, 404);
        assert_eq!(trial.get(4, "/api/payments/1").await.0, 404);
        let answer = trial.request(Method::GET, "/api/payments/1").header("cookie", "session=user-3");
        let text = answer.send().await.unwrap().text().await.unwrap();
        let payment: Value = serde_json::from_str(&text).unwrap();
        let expected =
            r#"{"id":1,"orderId":1,"amountCents":7175,"status":"succeeded","settled":true,"createdAt":"#;
        assert_eq!(text, format!("{expected}{}}}", payment["createdAt"]));
        for _ in 0..2 {
            let (status, refunded) = trial.post(3, "/api/payments/1/refund", &Value::Null).await;
            assert_eq!((status, &refunded["status"]), (200, &json!("refunded")));
        }
        assert_eq!(trial.post(4, "/api/payments/2/refund", &Value::Null).await.0, 404);
        let told =
            ["failed", "created", "created", "created", "refunded"].map(|what| format!("payment.{what}"));
        assert_eq!(trial.outbox().await, told);
        trial.close().await;
    }
}
