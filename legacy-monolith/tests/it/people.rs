//! Signing up, in and out; who may do what.

use boxoffice_kit::scalar;
use boxoffice_monolith::seed::PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::Shop;

#[tokio::test]
async fn signing_up_in_and_out() {
    for (_place, shop) in Shop::everywhere().await {
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
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    for (_place, shop) in Shop::everywhere().await {
        let table = [
            ("/api/users/signup", json!({"email": "nobody", "password": "long enough"}), 400, json!("email")),
            (
                "/api/users/signup",
                json!({"email": "a@b.example", "password": "short"}),
                400,
                json!("password"),
            ),
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
            (
                "/api/users/signin",
                json!({"email": "a\0@b.example", "password": "wrong one"}),
                400,
                Value::Null,
            ),
            (
                "/api/users/signup",
                json!({"email": "a\0@b.example", "password": "long enough"}),
                400,
                json!("email"),
            ),
            ("/api/tickets", json!({"title": "x\0", "priceCents": 1, "capacity": 1}), 400, json!("title")),
            ("/api/notifications/a%00/read", json!({}), 404, Value::Null),
            ("/api/tickets", json!({"title": "", "priceCents": 1, "capacity": 1}), 400, json!("title")),
            (
                "/api/tickets",
                json!({"title": "x", "priceCents": -1, "capacity": 1}),
                400,
                json!("priceCents"),
            ),
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
}

#[tokio::test]
async fn only_this_machine_learns_whose_a_session_is() {
    for (_place, shop) in Shop::everywhere().await {
        let ask = || shop.request(17, Method::GET, "/internal/session");
        let (status, known) = shop.ask(ask()).await;
        assert_eq!((status, &known["id"], &known["email"]), (200, &json!(17), &json!("user-17@example.com")));
        assert!(known["identity"].is_string(), "{known}");
        assert_eq!(shop.ask(shop.anonymous(Method::GET, "/internal/session")).await.0, 401);
        assert_eq!(shop.ask(ask().header("x-forwarded-for", "127.0.0.1")).await.0, 404);
    }
}

#[tokio::test]
async fn old_passwords_are_kept_anew_once_they_are_known() {
    for (_place, shop) in Shop::everywhere().await {
        let told = "SELECT count(*) FROM outbox WHERE subject = 'user.changed'";
        for (password, hash, changes) in
            [("wrong-password", "sha256$", 0), (PASSWORD, "$argon2id$", 1), (PASSWORD, "$argon2id$", 1)]
        {
            let given = json!({ "email": "user-9@example.com", "password": password });
            let (status, _) = shop.post(1, "/api/users/signin", &given).await;
            assert_eq!(status == 200, password == PASSWORD);
            let kept: String = scalar!("SELECT password_hash FROM users WHERE id = 9")
                .fetch_one(&shop.database.read)
                .await
                .unwrap();
            assert!(kept.starts_with(hash), "{kept}");
            assert_eq!(shop.count(told).await, changes);
        }
        let rename = |name| shop.request(9, Method::PATCH, "/api/users/me").json(&json!({ "name": name }));
        for bad in [" ", "N\0"] {
            assert_eq!(shop.ask(rename(bad)).await.1["errors"][0]["field"], "name");
        }
        let (status, user) = shop.ask(rename("Nine")).await;
        assert_eq!((status, user), (200, json!({ "id": 9, "email": "user-9@example.com", "name": "Nine" })));
        assert_eq!(shop.get(9, "/api/users/currentuser").await.1["currentUser"]["name"], "Nine");
    }
}
