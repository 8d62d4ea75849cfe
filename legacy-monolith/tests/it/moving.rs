//! Users, catalog and inventory change hands: between two monoliths, each the other's service.

use boxoffice_kit::query;
use boxoffice_trial::{places, until};
use reqwest::Method;
use serde_json::json;

use crate::shop::Shop;

const MODULES: [&str; 3] = ["users", "catalog", "inventory"];

#[tokio::test(flavor = "multi_thread")]
async fn the_modules_an_order_needs_change_hands_and_back() {
    for (one, two) in places().await.into_iter().zip(places().await) {
        let (shop, service) = Shop::pair(&one.address(), &two.address(), &MODULES).await;
        // The replica begins empty, and a few of the seeded rows are enough.
        for sql in ["DELETE FROM sessions", "DELETE FROM users", "DELETE FROM tickets"] {
            query!(sql).execute(&service.database.write).await.unwrap();
        }
        for sql in [
            "DELETE FROM sessions WHERE user_id > 3",
            "DELETE FROM users WHERE id > 3",
            "DELETE FROM tickets WHERE id > 50",
        ] {
            query!(sql).execute(&shop.database.write).await.unwrap();
        }
        let sold = shop.order(1, 50).await;
        assert_eq!(shop.pay(1, sold, "tok_visa", "a").await.0, 201);
        for module in MODULES {
            let (status, told) = shop.post(1, &format!("/internal/replay/{module}"), &json!({})).await;
            assert_eq!((status, told["events"].as_i64() > Some(5)), (200, true), "{told}");
            service.take(module).await;
        }

        // From here on the old one passes on what it is asked, and asks itself: for sessions, to sign in, for stock.
        let new = json!({ "email": "new@example.com", "password": "long enough" });
        let signed_up = shop.anonymous(Method::POST, "/api/users/signup").json(&new).send().await.unwrap();
        let cookie =
            signed_up.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let as_new = |method, path: &str| shop.anonymous(method, path).header("cookie", &cookie);
        let cart = as_new(Method::PUT, "/api/cart/items/1").json(&json!({ "quantity": 2 }));
        assert_eq!(shop.ask(cart).await.1["subtotalCents"], 5000);
        let ticket = json!({ "title": "New", "priceCents": 100, "capacity": 9 });
        let (status, made) = shop.ask(as_new(Method::POST, "/api/tickets").json(&ticket)).await;
        assert_eq!((status, &made["id"], &made["ownerId"]), (201, &json!(51), &json!(4)));
        shop.get(1, "/api/tickets/51").await;
        assert_eq!(shop.get(1, "/api/tickets/51").await.1["views"], 2);
        let form =
            shop.anonymous(Method::POST, "/signin").body("email=new%40example.com&password=long+enough");
        let form = form.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(form.status(), 303);
        until("the new ticket is known here", || async {
            shop.get(1, "/api/orders/quote?item=51:1").await.0 == 200
        })
        .await;
        let cancelled = shop.order(2, 51).await;
        let kept = shop.order(2, 51).await;
        let stock = |sql| service.count(sql);
        assert_eq!(stock("SELECT reserved FROM tickets WHERE id = 51").await, 4);
        let small = json!({ "items": [{ "ticketId": 1, "quantity": 1 }, { "ticketId": 51, "quantity": 6 }] });
        let (status, refused) = shop.post(2, "/api/orders", &small).await;
        assert_eq!((status, &refused["errors"][0]["field"]), (409, &json!("items[1].quantity")));
        assert_eq!(stock("SELECT reserved FROM tickets WHERE id = 1").await, 0);
        shop.ask(shop.request(2, Method::DELETE, &format!("/api/orders/{cancelled}"))).await;
        until("the stock has heard of it", || async {
            stock("SELECT reserved FROM tickets WHERE id = 51").await == 2
        })
        .await;

        for module in MODULES {
            shop.take(module).await;
        }
        assert_eq!(shop.pay(2, kept, "tok_visa", "b").await.0, 201);
        assert_eq!(shop.ask(as_new(Method::GET, "/api/cart")).await.1["items"][0]["quantity"], 2);
        let left = service.get(2, "/api/tickets/51/availability").await.1;
        assert_eq!((&left["reserved"], &left["sold"], &left["available"]), (&json!(0), &json!(2), &json!(7)));
        assert_eq!(shop.post(3, "/api/tickets", &ticket).await.1["id"], 52);
        shop.ask(as_new(Method::POST, "/api/users/signout")).await;
        assert_eq!(shop.ask(as_new(Method::GET, "/api/cart")).await.0, 401);
        let dead = "SELECT count(*) FROM dead_letters";
        assert_eq!((shop.count(dead).await, service.count(dead).await), (0, 0));
    }
}

/// Orders ended while somebody else wrote the stock, and their events came here only.
#[tokio::test]
async fn who_takes_the_stock_over_settles_what_is_left() {
    for (one, two) in places().await.into_iter().zip(places().await) {
        let (shop, service) = Shop::pair(&one.address(), &two.address(), &["inventory"]).await;
        let (paid, cancelled) = (shop.order(1, 3).await, shop.order(1, 4).await);
        service.take("inventory").await;
        // As if the events were still on their way.
        for (id, status) in [(paid, "complete"), (cancelled, "cancelled")] {
            let ended = query!("UPDATE orders SET status = $1 WHERE id = $2", status, id);
            ended.execute(&shop.database.write).await.unwrap();
        }
        shop.take("inventory").await;
        assert_eq!(shop.count("SELECT CAST(sum(reserved) AS BIGINT) FROM tickets").await, 0);
        assert_eq!(shop.count("SELECT sold FROM tickets WHERE id = 3").await, 2);
        // A reservation whose event was held up, of an order that has ended.
        query!("UPDATE tickets SET reserved = 1 WHERE id = 5").execute(&shop.database.write).await.unwrap();
        let held = json!({ "orderId": cancelled, "ticketId": 5, "quantity": 1, "state": "held" });
        let late = json!({ "ticketId": 5, "capacity": 1, "reserved": 1, "sold": 0, "version": 1, "reservation": held });
        shop.send("stock.changed", "stock-5", 1, &late).await;
        assert_eq!(shop.count("SELECT reserved FROM tickets WHERE id = 5").await, 0);
        until("the other side knows", || async {
            service.count("SELECT CAST(sum(sold + 10 * reserved) AS BIGINT) FROM tickets").await == 2
        })
        .await;
    }
}
