//! The catalog: facts in any order, the API, and who writes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use boxoffice_catalog::app;
use boxoffice_kit::Event;
use boxoffice_trial::{
    Carrier, Legacy, Trial, ends_while_publishing, event, events_mistreated, places, poison_put_aside,
};
use reqwest::Method;
use serde_json::{Value, json};

fn ticket(id: i64, version: i64, title: &str) -> Event {
    let kind = if version == 1 { "ticket.created" } else { "ticket.updated" };
    let data = json!({ "id": id, "title": title, "priceCents": 1250, "ownerId": 2, "views": 0, "capacity": 4,
                       "deleted": false, "version": version, "createdAt": "2026-02-01T10:00:00Z" });
    event(kind, &format!("ticket-{id}"), version, data)
}

fn stock(id: i64, version: i64, reserved: i64) -> Event {
    let data = json!({ "ticketId": id, "capacity": 4, "reserved": reserved, "sold": 0, "version": version,
                       "reservation": null });
    event("stock.changed", &format!("stock-{id}"), version, data)
}

#[tokio::test]
async fn whatever_the_bus_does_the_tickets_are_the_same() {
    let rows = "SELECT id || '|' || title || '|' || version || '|' || status FROM offers ORDER BY id";
    let first = [ticket(1, 1, "Opera"), stock(1, 1, 0), ticket(2, 1, "Circus"), ticket(1, 2, "Derby")];
    let events = [&first[..], &[stock(1, 2, 4), stock(1, 3, 1), stock(1, 4, 4)]].concat();
    events_mistreated(app, &events, rows).await;
    poison_put_aside(app, &ticket(1, 1, "Opera")).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.take("catalog").await;
        let new = json!({ "title": "Opera", "priceCents": 1, "capacity": 1 });
        assert_eq!(trial.post(2, "/api/tickets", &new).await.0, 201);
    };
    ends_while_publishing(app, act, "ticket.created").await;
}

#[tokio::test]
async fn a_replica_lists_and_passes_on_what_writes() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Http, &legacy, app).await;
        trial.send(&stock(7, 2, 4)).await;
        trial.send(&ticket(7, 1, "50% Opera")).await;
        legacy.answer("POST /api/tickets", 201, json!({ "id": 99 }));
        legacy.answer("GET /api/tickets/7", 200, json!({ "views": 5 }));
        assert_eq!(trial.post(2, "/api/tickets", &json!({})).await, (201, json!({ "id": 99 })));
        assert_eq!(trial.get(0, "/api/tickets/7").await.1["views"], 5, "to look is to write");
        // The higher count of looks, whichever version tells it.
        for (version, views, wanted) in [(1, 8, [8, 1]), (2, 3, [8, 2]), (1, 9, [9, 2])] {
            let mut told = ticket(7, version, "50% Opera");
            told.data["views"] = json!(views);
            trial.send(&told).await;
            let listed = trial.get(0, "/api/tickets").await.1["tickets"][0].take();
            assert_eq!([&listed["views"], &listed["version"]], wanted, "{version} with {views}");
        }
        let totals =
            [("", 1), ("?q=0%25%20o", 1), ("?q=_", 0), ("?status=sold_out", 1), ("?status=on_sale", 0)];
        for (query, total) in totals {
            assert_eq!(trial.get(0, &format!("/api/tickets{query}")).await.1["total"], total, "{query}");
        }
        trial.take("catalog").await;
        let new = json!({ "title": "Derby", "priceCents": 1999, "capacity": 3 });
        assert_eq!(trial.post(3, "/api/tickets", &new).await.1["id"], 8, "the numbers go on");
        let replayed = trial.post(0, "/internal/replay/catalog", &Value::Null).await.1;
        assert_eq!(replayed["events"], 2);
        trial.post(0, "/internal/writers/catalog/give", &Value::Null).await;
        assert_eq!(trial.post(2, "/api/tickets", &json!({})).await.1["id"], 99);
        trial.close().await;
    }
}

#[tokio::test]
async fn the_api_is_that_of_the_monolith() {
    for place in places().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Http, &legacy, app).await;
        trial.take("catalog").await;
        let new = json!({ "title": "Derby", "priceCents": 1999, "capacity": 3 });
        let (status, made) = trial.post(2, "/api/tickets", &new).await;
        let expected = format!(
            r#"{{"id":1,"title":"Derby","priceCents":1999,"ownerId":2,"views":0,"status":"on_sale","version":1,"createdAt":{}}}"#,
            made["createdAt"]
        );
        assert_eq!((status, made), (201, serde_json::from_str(&expected).unwrap()));
        let answer = trial.request(Method::GET, "/api/tickets/1").send().await.unwrap().text().await.unwrap();
        assert_eq!(
            answer,
            expected.replace(r#""views":0"#, r#""views":1"#),
            "in this order, and a look counts"
        );
        let offer = |title: &str, cents: i64| json!({ "title": title, "priceCents": cents });
        let made_of =
            |title: &str, capacity: i64| json!({ "title": title, "priceCents": 1, "capacity": capacity });
        let refused = [
            (0, Method::POST, "/api/tickets", new.clone(), 401, Value::Null),
            (2, Method::POST, "/api/tickets", made_of(" ", 1), 400, json!("title")),
            (2, Method::POST, "/api/tickets", made_of("x", -1), 400, json!("capacity")),
            (2, Method::PUT, "/api/tickets/1", offer("x", -1), 400, json!("priceCents")),
            (3, Method::PUT, "/api/tickets/1", offer("x", 1), 403, Value::Null),
            (3, Method::DELETE, "/api/tickets/1", Value::Null, 403, Value::Null),
            (2, Method::PUT, "/api/tickets/2", offer("x", 1), 404, Value::Null),
            (2, Method::POST, "/api/admin/tickets/reprice", json!({ "percent": 1 }), 403, Value::Null),
            (1, Method::POST, "/api/admin/tickets/reprice", json!({ "percent": 101 }), 400, json!("percent")),
            (0, Method::GET, "/api/tickets?status=x", Value::Null, 400, json!("status")),
            (0, Method::GET, "/api/tickets?q=%00", Value::Null, 400, json!("q")),
        ];
        for (user, method, path, body, status, field) in refused {
            let (found, told) = trial.ask(user, method.clone(), path, &body).await;
            assert_eq!((found, &told["errors"][0]["field"]), (status, &field), "{method} {path} {body}");
        }
        let repriced = trial.post(1, "/api/admin/tickets/reprice", &json!({ "percent": 50 })).await;
        assert_eq!(repriced, (200, json!({ "repriced": 1 })));
        let v0 = trial.get(0, "/api/v0/tickets").await.1;
        assert_eq!(
            (&v0[0]["name"], &v0[0]["price"]),
            (&json!("Derby"), &json!(29.99)),
            "half a cent is rounded up"
        );
        let changed = trial.ask(2, Method::PUT, "/api/tickets/1", &offer("École", 99_000_000)).await.1;
        assert_eq!((&changed["title"], &changed["version"]), (&json!("École"), &json!(3)));
        trial.post(1, "/api/admin/tickets/reprice", &json!({ "percent": 50 })).await;
        let found = trial.get(0, "/api/tickets?q=%C3%89COLE").await.1;
        assert_eq!(found["tickets"][0]["priceCents"], 100_000_000, "there is a highest price");
        for status in [200, 404] {
            assert_eq!(trial.ask(2, Method::DELETE, "/api/tickets/1", &Value::Null).await.0, status);
        }
        assert_eq!(trial.get(0, "/api/tickets").await.1["total"], 0);
        let told = [["ticket.created"].as_slice(), &["ticket.updated"; 4]].concat();
        assert_eq!(trial.outbox().await, told);
        trial.close().await;
    }
}
