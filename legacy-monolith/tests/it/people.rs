//! Signing up, in and out; who may do what.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::Shop;

#[tokio::test]
async fn signing_up_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let given = json!({ "email": " New@Example.com ", "password": "long enough" });

    let answer = shop.anonymous(Method::POST, "/api/users/signup").json(&given).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
    let user: Value = answer.json().await.unwrap();
    assert_eq!(user, json!({ "id": 501, "email": "new@example.com", "name": "" }), "and no hash");

    let session = cookie.split(';').next().unwrap();
    let current = || shop.anonymous(Method::GET, "/api/users/currentuser").header("cookie", session);
    assert_eq!(shop.ask(current()).await.1, json!({ "currentUser": user }));
    shop.ask(shop.anonymous(Method::POST, "/api/users/signout").header("cookie", session)).await;
    assert_eq!(shop.ask(current()).await.1, json!({ "currentUser": null }));

    let (status, again) = shop.post(1, "/api/users/signin", &given).await;
    assert_eq!((status, again), (200, user));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let table = [
        ("/api/users/signup", json!({"email": "nobody", "password": "long enough"}), 400, json!("email")),
        ("/api/users/signup", json!({"email": "a@b.example", "password": "short"}), 400, json!("password")),
        (
            "/api/users/signup",
            json!({"email": "user-1@example.com", "password": "long enough"}),
            400,
            json!("email"),
        ),
        (
            "/api/users/signin",
            json!({"email": "user-1@example.com", "password": "wrong one"}),
            400,
            Value::Null,
        ),
        (
            "/api/users/signin",
            json!({"email": "nobody@example.com", "password": "wrong one"}),
            400,
            Value::Null,
        ),
        ("/api/users/signin", json!({"email": "nobody@example.com"}), 422, Value::Null),
        ("/api/tickets", json!({"title": "", "priceCents": 1, "capacity": 1}), 400, json!("title")),
        ("/api/tickets", json!({"title": "x", "priceCents": -1, "capacity": 1}), 400, json!("priceCents")),
    ];
    for (path, body, status, field) in table {
        let answer = shop.post(9, path, &body).await;
        assert_eq!((answer.0, &answer.1["errors"][0]["field"]), (status, &field), "{path} {body}");
        assert!(answer.1["errors"][0]["message"].is_string(), "{path} {body}");
    }
    for (path, status) in [("/api/nothing", 404), ("/api/tickets/9999", 404), ("/api/tickets/x", 404)] {
        let (found, body) = shop.get(1, path).await;
        assert_eq!((found, body["errors"].as_array().unwrap().len()), (status, 1), "{path}");
    }
    assert_eq!(shop.ask(shop.anonymous(Method::GET, "/api/orders")).await.0, 401);
}

#[tokio::test]
async fn tickets_are_seen_counted_and_changed_by_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
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

#[tokio::test]
async fn pages_sign_in_with_a_redirect_to_the_own_host() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let form = |password| {
        let body = format!("email=user-3%40example.com&password={password}");
        let request = shop.anonymous(Method::POST, "/signin").header("host", "shop.example");
        request.header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let wrong = form("wrong-password").await.unwrap();
    assert_eq!((wrong.status().as_u16(), wrong.headers().contains_key("set-cookie")), (401, false));
    assert!(wrong.text().await.unwrap().contains("e-mail or password is wrong"));

    let right = form(boxoffice_monolith::seed::PASSWORD).await.unwrap();
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

#[tokio::test]
async fn only_this_machine_learns_whose_a_session_is() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path()).await;
    let ask = || shop.request(17, Method::GET, "/internal/session");
    let (status, known) = shop.ask(ask()).await;
    assert_eq!((status, &known["id"], &known["email"]), (200, &json!(17), &json!("user-17@example.com")));
    assert!(known["identity"].is_string(), "{known}");
    assert_eq!(shop.ask(shop.anonymous(Method::GET, "/internal/session")).await.0, 401);
    assert_eq!(shop.ask(ask().header("x-forwarded-for", "127.0.0.1")).await.0, 404);
}
