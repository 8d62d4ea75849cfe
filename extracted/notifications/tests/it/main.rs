//! What users are told: once, by whoever writes, whatever the bus and the process do.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use axum::{Router, http::Method};
use boxoffice_kit::{
    Event,
    service::{Failure, Kit, Options},
};
use boxoffice_notifications::{Settings, app, send_pending};
use boxoffice_trial::{
    Legacy, Trial, ends_while_publishing, event, events_mistreated, poison_put_aside, settings, until,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const ROWS: &str = "SELECT id || '|' || state || '|' || read || '|' || version FROM notifications
    UNION SELECT email || '|' || name || '|' || version FROM contacts ORDER BY 1";

async fn silent(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    app(options, Settings::default(), stop).await
}

fn order(what: &str) -> Event {
    let order = json!({ "id": 17, "number": 9, "totalCents": 7175, "expiresAt": "2026-01-01T00:15:00Z" });
    event(&format!("order.{what}"), "order-17", 1, json!({ "userId": 3, "order": order }))
}

fn sent(id: &str, read: bool, version: i64) -> Event {
    let row = json!({
        "id": id, "userId": 3, "kind": "order.created", "subject": "S", "body": "B", "read": read, "state": "sent",
        "version": version, "createdAt": "2026-01-01T00:00:00.000000Z",
    });
    event("notification.sent", &format!("notification-{id}"), version, row)
}

fn registered(name: &str, version: i64) -> Event {
    event(
        "user.registered",
        "user-3",
        version,
        json!({ "id": 3, "email": "user-3@example.com", "name": name }),
    )
}

fn refunded() -> Event {
    event(
        "payment.refunded",
        "payment-5",
        2,
        json!({ "userId": 3, "payment": { "id": 5, "amountCents": 7105 } }),
    )
}

#[tokio::test]
async fn what_was_noted_as_a_replica_is_sent_on_taking_over_and_left_on_giving() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let mail = tempfile::tempdir().unwrap();
        let with_mail = Settings { mail: Some(PathBuf::from(mail.path())) };
        let trial =
            Trial::open(&place, &carrier, &legacy, |options, stop| app(options, with_mail, stop)).await;
        trial.send(&order("created")).await;
        trial.send(&order("completed")).await;
        trial.send(&sent("order-17-created", false, 2)).await; // by the other side
        let listed = trial.request(Method::GET, "/api/notifications").header("cookie", "session=user-3");
        assert_eq!(
            listed.send().await.unwrap().text().await.unwrap(),
            r#"{"notifications":[{"id":"order-17-created","kind":"order.created","subject":"S","body":"B","read":false,"createdAt":"2026-01-01T00:00:00.000000Z"}],"unread":1}"#
        );
        let read = "/api/notifications/order-17-created/read";
        legacy.answer(&format!("POST {read}"), 200, json!({ "by": "legacy" }));
        assert_eq!(trial.post(3, read, &Value::Null).await.1["by"], "legacy");

        trial.take("notifications").await;
        trial.send(&refunded()).await;
        until("all is sent", || async {
            trial.get(3, "/api/notifications/unread-count").await.1["unread"] == 3
        })
        .await;
        let files = std::fs::read_dir(mail.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files = files.collect::<Vec<_>>();
        files.sort();
        assert_eq!(files, ["order-17-completed.txt", "payment-5-refunded.txt"]);
        assert_eq!(
            std::fs::read_to_string(mail.path().join("payment-5-refunded.txt")).unwrap(),
            "To: user 3\nSubject: Your payment is refunded\n\n71.05 are on their way back to you.\n"
        );
        for (user, path, status) in [
            (3, read, 200),
            (3, read, 200),
            (4, read, 404),
            (0, read, 401),
            (3, "/api/notifications/none/read", 404),
            (3, "/api/notifications/a%00/read", 404),
        ] {
            assert_eq!(trial.post(user, path, &Value::Null).await.0, status, "{user} {path}");
        }
        let (_, counted) = trial.get(3, "/api/notifications/unread-count").await;
        assert_eq!(counted, json!({ "unread": 2 }));
        until("it is told", || async { carrier.published(&legacy, "notification.sent").await.len() >= 3 })
            .await;

        let (status, _) = trial.post(0, "/internal/writers/notifications/give", &Value::Null).await;
        assert_eq!(status, 200);
        trial.send(&order("cancelled")).await;
        let told = trial.outbox().await.len();
        send_pending(&trial.database, None).await.unwrap();
        assert_eq!(trial.outbox().await.len(), told, "somebody else sends");
        trial.take("notifications").await;
        until("what was left is sent", || async { trial.outbox().await.len() == told + 1 }).await;
        assert!(mail.path().join("order-17-cancelled.txt").exists());
        trial.close().await;
    }
}

#[tokio::test]
async fn whatever_the_bus_does_the_notifications_are_the_same() {
    let events = [
        registered("", 1),
        order("created"),
        sent("order-17-created", false, 2),
        sent("order-17-created", true, 3),
        order("completed"),
        refunded(),
        registered("Ada", 2),
    ];
    events_mistreated(silent, &events, ROWS).await;
    poison_put_aside(silent, &order("created")).await;
}

#[tokio::test]
async fn what_is_told_arrives_whenever_the_process_ends() {
    let act = async |trial: &Trial| {
        trial.send(&order("created")).await;
        trial.take("notifications").await;
    };
    ends_while_publishing(silent, act, "notification.sent").await;
}
