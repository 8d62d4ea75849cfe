//! Pages for browsers, the cart, the report.

use std::time::{Duration, Instant};

use boxoffice_monolith::{Settings, seed::PASSWORD};
use boxoffice_trial::places;
use reqwest::Method;
use serde_json::json;

use crate::shop::Shop;

#[tokio::test]
async fn pages_sign_in_with_a_redirect_to_the_own_host() {
    for (_place, shop) in Shop::everywhere().await {
        let form = |password| {
            let body = format!("email=user-3%40example.com&password={password}");
            let request = shop.anonymous(Method::POST, "/signin").header("host", "shop.example");
            request.header("content-type", "application/x-www-form-urlencoded").body(body).send()
        };
        let wrong = form("wrong-password").await.unwrap();
        assert_eq!((wrong.status().as_u16(), wrong.headers().contains_key("set-cookie")), (401, false));
        assert!(wrong.text().await.unwrap().contains("e-mail or password is wrong"));

        let right = form(PASSWORD).await.unwrap();
        assert_eq!(
            (right.status().as_u16(), &right.headers()["location"]),
            (303, &"http://shop.example/tickets".parse().unwrap())
        );
        let cookie = right.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let page = shop.anonymous(Method::GET, "/tickets").header("cookie", cookie).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(
            page.contains("user-3@example.com") && page.contains("Jazz Night in Lisbon, evening 1"),
            "{page}"
        );
        for path in ["/", "/signin", "/healthz", "/readyz"] {
            assert_eq!(shop.anonymous(Method::GET, path).send().await.unwrap().status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn the_cart_is_checked_out_by_a_form_of_the_own_session() {
    for place in places().await {
        let settings = Settings {
            public_url: Some("https://shop.example/".to_owned()),
            cookie_domain: Some("shop.example".to_owned()),
            ..Settings::default()
        };
        let shop = Shop::start(&place.address(), settings).await;
        let put = |ticket: i64, quantity: i64| {
            let path = format!("/api/cart/items/{ticket}");
            shop.ask(shop.request(3, Method::PUT, &path).json(&json!({ "quantity": quantity })))
        };
        assert_eq!(shop.ask(shop.anonymous(Method::GET, "/api/cart")).await.0, 401);
        assert_eq!((put(1, 0).await.0, put(999, 1).await.0, put(1, 1).await.0), (400, 404, 200));
        assert_eq!(put(2, 1).await.1["subtotalCents"], 7000);
        put(3, 5).await;
        let (_, cart) = shop.ask(shop.request(3, Method::DELETE, "/api/cart/items/3")).await;
        assert_eq!(cart["items"][1]["ticketId"], 2);
        assert_eq!(shop.get(3, "/api/cart").await.1, cart);

        let text = async |user, path: &str| {
            shop.request(user, Method::GET, path).send().await.unwrap().text().await.unwrap()
        };
        let page = text(3, "/Orders/?from=link").await;
        let token = page.split("name=\"form_token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(page.contains("Order for 70.00") && text(3, "/orders").await.contains(token), "{page}");
        let checkout = |user, token: &str| {
            let form = shop.request(user, Method::POST, "/checkout").body(format!("form_token={token}"));
            form.header("content-type", "application/x-www-form-urlencoded").send()
        };
        assert_eq!(checkout(3, "forged").await.unwrap().status(), 403);
        assert_eq!(checkout(4, token).await.unwrap().status(), 403, "somebody else's");
        let at_once = tokio::try_join!(checkout(3, token), checkout(3, token), checkout(3, token)).unwrap();
        let mut answers = <[_; 3]>::from(at_once);
        answers.sort_by_key(reqwest::Response::status);
        assert_eq!(answers.each_ref().map(|answer| answer.status().as_u16()), [303, 400, 400], "once");
        assert_eq!(answers[0].headers()["location"], "https://shop.example/orders/1");
        assert_eq!(shop.get(3, "/api/orders/1").await.1["feeCents"], 175);
        assert_eq!(shop.get(3, "/api/cart").await.1, json!({ "items": [], "subtotalCents": 0 }));
        assert_eq!(checkout(3, token).await.unwrap().status(), 400, "nothing to order");
        assert!(text(3, "/orders/1").await.contains("71.75"));
        put(50, 10).await;
        let items = json!({ "items": [{ "ticketId": 50, "quantity": 10 }] });
        for buyer in 4..8 {
            assert_eq!(shop.post(buyer, "/api/orders", &items).await.0, 201);
        }
        assert_eq!(checkout(3, token).await.unwrap().status(), 409, "sold out meanwhile");
        assert_eq!(shop.get(3, "/api/cart").await.1["items"][0]["quantity"], 10, "is put back");
        let away = shop.anonymous(Method::GET, "/ORDERS/1").send().await.unwrap();
        assert_eq!(away.headers()["location"], "https://shop.example/signin");
        let given = json!({ "email": "user-3@example.com", "password": PASSWORD });
        let signed_in = shop.anonymous(Method::POST, "/api/users/signin").json(&given).send().await.unwrap();
        let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("; SameSite=Lax; Domain=shop.example"), "{cookie}");
    }
}

#[tokio::test]
async fn the_report_is_slow_and_right() {
    for (_place, shop) in Shop::everywhere().await {
        let (sold, _) = (shop.order(1, 1).await, shop.order(1, 2).await);
        assert_eq!(shop.pay(1, sold, "tok_visa", "a").await.0, 201);
        let since = Instant::now();
        let page = shop.anonymous(Method::GET, "/reports/sales").send().await.unwrap().text().await.unwrap();
        assert!(since.elapsed() > Duration::from_millis(1_400));
        assert!(page.contains("<td>100000</td><td>2</td><td>2</td><td>50.00</td>"), "{page}");
        assert!(!page.contains("/tickets/2"), "{page}");
    }
}
