//! Orders: sums, numbers, stock.

use std::{collections::BTreeSet, sync::Arc};

use boxoffice_kit::query;
use boxoffice_monolith::Settings;
use boxoffice_trial::places;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::shop::Shop;

#[tokio::test]
async fn the_fee_is_of_the_order_and_a_quote_agrees_with_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let quote = shop.ask(shop.anonymous(Method::GET, "/api/orders/quote?item=1:1&item=2:1")).await.1;
    let items = json!({ "items": [{"ticketId": 1, "quantity": 1}, {"ticketId": 2, "quantity": 1}] });
    let (status, order) = shop.post(1, "/api/orders", &items).await;
    assert_eq!(status, 201);
    for sums in [&quote, &order] {
        assert_eq!(
            (&sums["subtotalCents"], &sums["feeCents"], &sums["totalCents"]),
            (&json!(7000), &json!(175), &json!(7175))
        );
        assert_eq!(sums["items"], quote["items"]);
    }
    let cheap =
        shop.post(1, "/api/tickets", &json!({"title": "x", "priceCents": 100, "capacity": 1})).await.1;
    let path = format!("/api/orders/quote?item={}:1", cheap["id"]);
    assert_eq!(shop.get(1, &path).await.1["feeCents"], 50);
}

#[tokio::test]
async fn refused_orders_take_neither_stock_nor_number() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let (good, small) = (json!({"ticketId": 1, "quantity": 2}), json!({"ticketId": 50, "quantity": 10}));
    let table = [
        (json!([]), 400, "items"),
        (json!([good, {"ticketId": 2, "quantity": 11}]), 400, "items[1].quantity"),
        (json!([good, good]), 400, "items[1].ticketId"),
        (json!([good, {"ticketId": 999, "quantity": 1}]), 400, "items[1].ticketId"),
    ];
    for (items, status, field) in table {
        let (found, body) = shop.post(1, "/api/orders", &json!({ "items": items })).await;
        assert_eq!((found, &body["errors"][0]["field"]), (status, &json!(field)), "{items}");
    }
    for number in 1..=4 {
        let (status, order) = shop.post(2, "/api/orders", &json!({ "items": [small] })).await;
        assert_eq!((status, &order["number"]), (201, &json!(number)));
    }
    let (status, body) = shop.post(1, "/api/orders", &json!({ "items": [good, small] })).await;
    assert_eq!((status, &body["errors"][0]["field"]), (409, &json!("items[1].quantity")));
    assert_eq!(shop.get(1, "/api/tickets/1/availability").await.1["reserved"], 0);
    assert_eq!(shop.post(1, "/api/orders", &json!({ "items": [good] })).await.1["number"], 5);
}

#[tokio::test]
async fn cancelling_gives_back_once_and_orders_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let order = shop.post(1, "/api/orders", &json!({"items": [{"ticketId": 3, "quantity": 4}]})).await.1;
    let path = format!("/api/orders/{}", order["id"]);
    assert_eq!(shop.get(1, &path).await, (200, order.clone()));
    assert_eq!(shop.get(2, &path).await.0, 404);
    assert_eq!(shop.ask(shop.request(2, Method::DELETE, &path)).await.0, 404);
    assert_eq!(shop.get(1, "/api/tickets/3/availability").await.1["reserved"], 4);
    for _ in 0..2 {
        let (status, cancelled) = shop.ask(shop.request(1, Method::DELETE, &path)).await;
        assert_eq!(
            (status, &cancelled["status"], &cancelled["version"]),
            (200, &json!("cancelled"), &json!(2))
        );
        assert_eq!(shop.get(1, "/api/tickets/3/availability").await.1["reserved"], 0);
    }
    let unplaced = query!(
        "INSERT INTO orders SELECT 99, 99, 1, 'placing', 1, 1, 2, 1, created_at, expires_at FROM orders"
    );
    unplaced.execute(&shop.database.write).await.unwrap();
    assert_eq!(shop.get(1, "/api/orders/99").await.0, 404, "another program is still at it");
    let listed = shop.get(1, "/api/orders").await.1;
    assert_eq!((&listed["total"], &listed["orders"][0]["id"]), (&json!(1), &order["id"]));
    assert_eq!(shop.get(2, "/api/orders").await.1["total"], 0);
}

/// Two shops with pools of their own on one database, as two processes: forty seats, sixty buyers at once, half of whom pay.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_oversold_and_no_number_is_missing() {
    for place in places().await {
        let start = async || Arc::new(Shop::start(&place.address(), Settings::default()).await);
        let shops = [start().await, start().await];
        let mut buyers = JoinSet::new();
        for buyer in 1..=60_u32 {
            let shop = shops[buyer as usize % 2].clone();
            let items = json!({ "items": [{"ticketId": 50, "quantity": 1}, {"ticketId": 1, "quantity": 1}] });
            buyers.spawn(async move {
                let (status, order) = shop.post(buyer, "/api/orders", &items).await;
                if status == 201 && buyer % 4 < 2 {
                    let paid = shop.pay(buyer, order["id"].as_i64().unwrap(), "tok_visa", "a").await;
                    assert_eq!(paid.0, 201, "{paid:?}");
                }
                (status, order)
            });
        }
        let answers: Vec<(u16, Value)> = buyers.join_all().await;
        let numbers: BTreeSet<i64> = answers
            .iter()
            .filter(|(status, _)| *status == 201)
            .map(|(_, order)| order["number"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=40).collect());
        assert_eq!(answers.iter().filter(|(status, _)| *status == 409).count(), 20);
        let left = shops[0].get(1, "/api/tickets/50/availability").await.1;
        let paid = shops[1].count("SELECT count(*) FROM payments").await;
        assert_eq!(
            (&left["sold"], &left["reserved"], &left["available"]),
            (&json!(paid), &json!(40 - paid), &json!(0))
        );
    }
}

/// The past adds up, and can be told again.
#[tokio::test]
async fn seeded_orders_are_consistent() {
    const WRONG: [&str; 4] = [
        "SELECT count(*) FROM orders WHERE total_cents <> subtotal_cents + fee_cents OR subtotal_cents <>
             (SELECT CAST(sum(price_cents * quantity) AS BIGINT) FROM order_items WHERE order_id = orders.id)
             OR fee_cents <> CASE WHEN subtotal_cents < 2020 THEN 50 ELSE (subtotal_cents * 25 + 500) / 1000 END",
        "SELECT count(*) FROM tickets WHERE reserved <> 0 OR sold <> coalesce((SELECT CAST(sum(quantity) AS BIGINT)
             FROM order_items JOIN orders ON orders.id = order_id AND status = 'complete' WHERE ticket_id = tickets.id), 0)",
        "SELECT count(*) FROM orders WHERE (status = 'complete') <> (id IN (SELECT order_id FROM payments
             WHERE status = 'succeeded' AND amount_cents = total_cents AND payments.user_id = orders.user_id))",
        "SELECT max(number) - count(*) FROM orders",
    ];
    for place in places().await {
        let database = boxoffice_monolith::open(&place.address()).await.unwrap();
        boxoffice_monolith::seed::fill(&database, true, 300).await.unwrap();
        let shop = Shop::start(&place.address(), Settings::default()).await;
        for sql in WRONG {
            assert_eq!(shop.count(sql).await, 0, "{sql}");
        }
        let told = shop.post(1, "/internal/replay/notifications", &json!({})).await;
        assert_eq!(told, (200, json!({ "events": 600 })));
        assert_eq!(shop.order(1, 1).await, 301);
        assert_eq!(shop.get(1, "/api/orders").await.1["orders"][0]["number"], 301);
    }
}
