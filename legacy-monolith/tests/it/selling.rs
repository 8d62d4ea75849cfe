//! Tickets and how many of them are left.

use reqwest::Method;
use serde_json::json;

use crate::shop::Shop;

#[tokio::test]
async fn tickets_are_seen_counted_and_changed_by_their_owner() {
    for (_place, shop) in Shop::everywhere().await {
        let new = json!({ "title": "100% Opera", "priceCents": 1999, "capacity": 3 });
        let (status, ticket) = shop.post(5, "/api/tickets", &new).await;
        assert_eq!((status, &ticket["id"], &ticket["views"]), (201, &json!(201), &json!(0)));
        for views in 1..=2 {
            assert_eq!(shop.get(6, "/api/tickets/201").await.1["views"], views);
        }
        let left = shop.get(6, "/api/tickets/201/availability").await.1;
        assert_eq!(left, json!({"ticketId": 201, "capacity": 3, "reserved": 0, "sold": 0, "available": 3}));

        let change = json!({ "title": "Opera", "priceCents": 2000 });
        let put = |user| shop.request(user, Method::PUT, "/api/tickets/201").json(&change);
        assert_eq!(shop.ask(put(6)).await.0, 403);
        let (status, changed) = shop.ask(put(5)).await;
        assert_eq!((status, &changed["priceCents"], &changed["version"]), (200, &json!(2000), &json!(2)));

        let listed = shop.get(1, "/api/tickets?q=opera&limit=2&page=2").await.1;
        assert_eq!((listed["tickets"].as_array().unwrap().len(), &listed["total"]), (2, &json!(26)));
        let first = &shop.get(1, "/api/v0/tickets?limit=1").await.1[0];
        assert_eq!((&first["price"], &first["date"]), (&json!(25.0), &json!("01/01/2026")));
    }
}

#[tokio::test]
async fn tickets_leave_the_shop_are_found_by_status_and_repriced() {
    for (_place, shop) in Shop::everywhere().await {
        let total = async |status: &str| {
            shop.get(1, &format!("/api/tickets?status={status}")).await.1["total"].clone()
        };
        for buyer in 1..=4 {
            let items = json!({ "items": [{ "ticketId": 50, "quantity": 10 }] });
            assert_eq!(shop.post(buyer, "/api/orders", &items).await.0, 201);
        }
        assert_eq!((total("on_sale").await, total("sold_out").await), (json!(199), json!(1)));
        assert_eq!(
            shop.get(1, "/api/tickets?q=50&status=sold_out").await.1["tickets"][0]["status"],
            "sold_out"
        );
        assert_eq!(shop.get(1, "/api/tickets?status=gone").await.1["errors"][0]["field"], "status");
        assert_eq!(shop.get(1, "/api/tickets?q=%25").await.1["total"], 0, "means itself");
        assert_eq!(shop.get(1, "/api/tickets?q=%00").await.1["errors"][0]["field"], "q");

        let delete = |user| shop.request(user, Method::DELETE, "/api/tickets/7");
        assert_eq!(shop.ask(delete(8)).await.0, 403);
        assert_eq!((shop.ask(delete(7)).await.0, shop.ask(delete(7)).await.0), (200, 404));
        for path in ["/api/tickets/7", "/api/tickets/7/availability", "/tickets/7"] {
            assert_eq!(shop.anonymous(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
        }
        let (status, _) =
            shop.post(1, "/api/orders", &json!({ "items": [{ "ticketId": 7, "quantity": 1 }] })).await;
        assert_eq!((status, total("").await), (400, json!(199)));

        let percent = json!({ "percent": 10 });
        assert_eq!(shop.post(2, "/api/admin/tickets/reprice", &percent).await.0, 403);
        assert_eq!(shop.post(1, "/api/admin/tickets/reprice", &json!({ "percent": 101 })).await.0, 400);
        assert_eq!(
            shop.post(1, "/api/admin/tickets/reprice", &percent).await,
            (200, json!({ "repriced": 199 }))
        );
        assert_eq!(shop.get(1, "/api/orders/quote?item=1:1").await.1["subtotalCents"], 2750);
        assert_eq!(shop.count("SELECT count(*) FROM outbox WHERE subject = 'ticket.updated'").await, 200);

        let dear = json!({ "title": "École", "priceCents": 99_000_000, "capacity": 1 });
        assert_eq!(shop.post(1, "/api/tickets", &dear).await.0, 201);
        assert_eq!(shop.post(1, "/api/admin/tickets/reprice", &percent).await.0, 200);
        let found = shop.get(1, "/api/tickets?q=%C3%89COLE").await.1["tickets"][0].clone();
        assert_eq!((&found["title"], &found["priceCents"]), (&json!("École"), &json!(100_000_000)));
    }
}

/// What an orders service does, repeats and loses.
#[tokio::test]
async fn reservations_from_inside_are_idempotent_and_never_come_late() {
    for (_place, shop) in Shop::everywhere().await {
        let put = |order: i64, lines: &[(i64, i64)]| {
            let items: Vec<_> =
                lines.iter().map(|(id, many)| json!({ "ticketId": id, "quantity": many })).collect();
            shop.anonymous(Method::PUT, &format!("/internal/reservations/{order}"))
                .json(&json!({ "items": items }))
        };
        let delete = |order: i64| shop.anonymous(Method::DELETE, &format!("/internal/reservations/{order}"));
        let held = async || shop.count("SELECT CAST(sum(reserved) AS BIGINT) FROM tickets").await;
        for _ in 0..2 {
            assert_eq!(shop.ask(put(7, &[(1, 2), (50, 10)])).await.0, 200);
            assert_eq!(held().await, 12);
        }
        let (status, refused) = shop.ask(put(8, &[(1, 2), (50, 31)])).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (409, &json!("items[1].quantity")));
        assert_eq!(held().await, 12);
        for _ in 0..2 {
            assert_eq!(shop.ask(delete(7)).await.0, 200);
            assert_eq!(held().await, 0);
        }
        assert_eq!(shop.ask(delete(9)).await.0, 200);
        for order in [7, 9] {
            assert_eq!(shop.ask(put(order, &[(1, 2)])).await.0, 409, "taken back before it came");
        }
        assert_eq!(shop.ask(put(10, &[(1, 1)]).header("via", "1.1 proxy")).await.0, 404);
        assert_eq!(shop.count("SELECT count(*) FROM outbox WHERE subject = 'stock.changed'").await, 4);
    }
}
