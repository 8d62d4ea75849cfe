//! Events get where they should, whatever is repeated, refused, mixed up or broken off.

use boxoffice_kit::{query, scalar};
use boxoffice_trial::{Carrier, Legacy, Trial, event, places, settings, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::notes::{self, Note};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_handled_once_and_an_older_one_changes_nothing() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        let written = |version, text| {
            event("note.written", "note-1", version, json!({"id": 1, "text": text, "version": version}))
        };
        let (first, second, third) = (written(1, "a"), written(2, "b"), written(3, "c"));
        for event in [&second, &first, &second, &third, &second] {
            trial.send(event).await;
        }
        assert_eq!(trial.get(0, "/notes").await.1, json!([{"id": 1, "text": "c", "version": 3}]));
        assert_eq!(trial.dead_letters().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_handled_is_put_aside_and_those_behind_it_pass() {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        trial.send_raw("note.written", b"no JSON").await;
        trial.send(&event("note.written", "note-1", 1, json!({"id": "no number"}))).await;
        trial
            .send(&event("note.written", "note-2", 1, json!({"id": 2, "text": "poison", "version": 1})))
            .await;
        trial.send(&event("note.written", "note-3", 1, json!({"id": 3, "text": "good", "version": 1}))).await;
        assert_eq!(trial.get(0, "/notes").await.1, json!([{"id": 3, "text": "good", "version": 1}]));
        until("three are put aside", || async { trial.dead_letters().await == 3 }).await;
    }
}

/// Committed, then the process ends: what is in the outbox goes out when it starts again, in order; what was sent and not
/// noted goes out twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_written_is_lost_when_the_process_ends_between_two_steps() {
    for (place, carrier) in places().await.into_iter().map(|place| (place, Carrier::Http)) {
        let legacy = Legacy::start().await;
        legacy.refuse(usize::MAX);
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        trial.take("notes").await;
        for text in ["a", "b"] {
            assert_eq!(trial.request(Method::POST, "/notes").body(text).send().await.unwrap().status(), 200);
        }
        trial.close().await;
        assert_eq!(legacy.events("note.written").len(), 0);

        legacy.refuse(0);
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        legacy.has_got("note.written", 2).await;
        let texts = |legacy: &Legacy| -> Vec<Value> {
            legacy.events("note.written").iter().map(|event| event.data["text"].clone()).collect()
        };
        assert_eq!(texts(&legacy), ["a", "b"]);
        until("it is noted", || async {
            let sql = "SELECT position FROM deliveries";
            let position: Option<i64> = scalar!(sql).fetch_optional(&trial.database.read).await.unwrap();
            position == Some(2)
        })
        .await;
        trial.close().await;

        let database = notes::database(&place.address()).await;
        query!("UPDATE deliveries SET position = 1").execute(&database.write).await.unwrap();
        database.close().await;
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        legacy.has_got("note.written", 3).await;
        assert_eq!(texts(&legacy), ["a", "b", "b"]);
        trial.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_leaves_neither_row_nor_event_nor_number() {
    for (place, carrier) in places().await.into_iter().map(|place| (place, Carrier::Http)) {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, notes::service).await;
        trial.take("notes").await;
        let mut tx = trial.database.begin().await.unwrap();
        assert_eq!(notes::write(&mut tx, "lost").await.unwrap().id, 1);
        tx.rollback().await.unwrap();
        assert!(trial.outbox().await.is_empty());
        let answer = trial.request(Method::POST, "/notes").body("kept").send().await.unwrap();
        assert_eq!(answer.json::<Note>().await.unwrap(), Note { id: 1, text: "kept".to_owned(), version: 1 });
    }
}
