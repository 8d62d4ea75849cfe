//! Accounts and sessions on either side of a hand-over, whatever the bus and the process do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::{
    Router,
    extract::FromRequestParts,
    http::{Method, Request},
};
use boxoffice_kit::{
    Event,
    identity::{IDENTITY, Sessions, SignedIn, token_hash},
    service::{Failure, Kit, Options, client},
};
use boxoffice_trial::{
    Legacy, Trial, ends_while_publishing, event, events_mistreated, poison_put_aside, settings,
};
use boxoffice_users::{Settings, app};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const ROWS: &str = "SELECT id || '|' || email || '|' || name || '|' || version FROM users
    UNION SELECT token_hash || '|' || user_id || '|' || ended FROM sessions ORDER BY 1";

async fn open(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    app(options, Settings { cookie_domain: Some("shop.example".to_owned()) }, stop).await
}

/// User 41, whose password is `box-office-demo`, as it was stored years ago.
fn user(name: &str, version: i64) -> Event {
    let hash = format!("sha256$salt${}", token_hash("saltbox-office-demo"));
    let row = json!({
        "id": 41, "email": "user-41@example.com", "name": name, "passwordHash": hash, "version": version,
        "createdAt": "2026-01-01T00:00:00Z",
    });
    event("user.changed", "user-41", version, row)
}

fn session(token: &str, ended: bool, version: i64) -> Event {
    let row = json!({
        "tokenHash": token_hash(token), "userId": 41, "ended": ended, "createdAt": "2026-01-01T00:00:00Z",
        "version": version,
    });
    event("session.changed", &format!("session-{}", token_hash(token)), version, row)
}

/// The status, the token of the new session and the answer.
async fn post(trial: &Trial, token: &str, path: &str, body: &Value) -> (u16, String, Value) {
    let method = if path.ends_with("/me") { Method::PATCH } else { Method::POST };
    let request = trial.request(method, path).header("cookie", format!("session={token}")).json(body);
    let answer = request.send().await.unwrap();
    let cookie = answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned());
    if let Some(cookie) = &cookie {
        assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Lax; Domain=shop.example"), "{cookie}");
    }
    let token = cookie.unwrap_or_default().split([';', '=']).nth(1).unwrap_or_default().to_owned();
    (answer.status().as_u16(), token, answer.json().await.unwrap_or_default())
}

async fn current(trial: &Trial, token: &str) -> Value {
    let request = trial.request(Method::GET, "/api/users/currentuser");
    let answer = request.header("cookie", format!("session={token}")).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["currentUser"].clone()
}

#[tokio::test]
async fn people_sign_up_in_and_out_on_both_sides_of_a_hand_over() {
    let given = json!({ "email": "user-41@example.com", "password": "box-office-demo" });
    let known = json!({ "id": 41, "email": "user-41@example.com", "name": "" });
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, open).await;
        trial.send(&user("", 1)).await;
        trial.send(&session("old", false, 1)).await;
        assert_eq!(current(&trial, "old").await, known);
        assert_eq!(current(&trial, "user-7").await["id"], 7, "the other side knows newer sessions");
        assert_eq!(current(&trial, "none").await, Value::Null);
        legacy.answer("POST /api/users/signin", 200, json!({ "by": "legacy" }));
        assert_eq!(post(&trial, "", "/api/users/signin", &given).await.2["by"], "legacy");

        trial.take("users").await;
        let (_, token, signed_in) = post(&trial, "", "/api/users/signin", &given).await;
        assert_eq!((signed_in, current(&trial, &token).await), (known.clone(), known.clone()));
        let changed: Vec<String> = trial.outbox().await;
        assert_eq!(changed, ["user.changed", "session.changed"], "the old hash is replaced");
        let hash: String = boxoffice_kit::scalar!("SELECT password_hash FROM users")
            .fetch_one(&trial.database.read)
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert_eq!(post(&trial, "", "/api/users/signin", &given).await.0, 200);
        let wrong = json!({ "email": "user-41@example.com", "password": "box-office-dem0" });
        let nobody = json!({ "email": "nobody@example.com", "password": "box-office-demo" });
        for refused in [&wrong, &nobody] {
            let (status, _, told) = post(&trial, "", "/api/users/signin", refused).await;
            assert_eq!(
                (status, told),
                (400, json!({ "errors": [{ "message": "e-mail or password is wrong" }] }))
            );
        }

        let (status, new, told) = post(&trial, "", "/api/users/signup", &nobody).await;
        let user = json!({ "id": 42, "email": "nobody@example.com", "name": "" });
        assert_eq!((status, &told), (201, &user), "the numbers go on");
        assert_eq!(post(&trial, "", "/api/users/signup", &nobody).await.0, 400, "the address is taken");
        let (status, _, told) = post(&trial, &new, "/api/users/me", &json!({ "name": " Ada " })).await;
        assert_eq!((status, told["name"].as_str()), (200, Some("Ada")));
        for bad in [" ", "A\0"] {
            assert_eq!(post(&trial, &new, "/api/users/me", &json!({ "name": bad })).await.0, 400);
        }
        for path in ["/api/users/signup", "/api/users/signin"] {
            let odd = json!({ "email": "a\0@b.example", "password": "long enough" });
            assert_eq!(post(&trial, "", path, &odd).await.0, 400);
        }
        assert_eq!(post(&trial, "none", "/api/users/me", &json!({})).await.0, 401);

        let asked =
            trial.request(Method::GET, "/internal/session").header("cookie", format!("session={new}"));
        let identified: Value = asked.send().await.unwrap().json().await.unwrap();
        let signed = Request::builder().header(IDENTITY, identified["identity"].as_str().unwrap());
        let (mut parts, ()) = signed.body(()).unwrap().into_parts();
        let sessions = Sessions::new(trial.address.parse().unwrap(), client().unwrap());
        let SignedIn(believed) = SignedIn::from_request_parts(&mut parts, &sessions).await.unwrap();
        assert_eq!((believed.id, believed.name.as_str()), (42, "Ada"));

        assert_eq!(post(&trial, &new, "/api/users/signout", &Value::Null).await.0, 200);
        assert_eq!(current(&trial, &new).await, Value::Null);
        let (_, replayed) = trial.post(0, "/internal/replay/users", &Value::Null).await;
        assert_eq!(replayed, json!({ "events": 6 }), "two users and four sessions");
        let (status, _) = trial.post(0, "/internal/writers/users/give", &Value::Null).await;
        legacy.answer("GET /api/users/currentuser", 200, json!({ "currentUser": "by legacy" }));
        assert_eq!((status, current(&trial, "old").await), (200, json!("by legacy")));
        let stranger = trial.request(Method::GET, "/internal/session").header("x-forwarded-for", "1.2.3.4");
        assert_eq!(stranger.header("cookie", "session=user-7").send().await.unwrap().status(), 404);
        trial.close().await;
    }
}

#[tokio::test]
async fn whatever_the_bus_does_the_users_are_the_same() {
    let events = [
        user("", 1),
        session("one", false, 1),
        session("two", false, 1),
        session("one", true, 2),
        user("Ada", 2),
    ];
    events_mistreated(open, &events, ROWS).await;
    poison_put_aside(open, &user("", 1)).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.take("users").await;
        let given = json!({ "email": "new@example.com", "password": "box-office-demo" });
        assert_eq!(post(trial, "", "/api/users/signup", &given).await.0, 201);
    };
    ends_while_publishing(open, act, "user.registered").await;
}
