//! Two sides hand a module over, to and fro, while both are written through.

use std::{collections::BTreeSet, net::SocketAddr};

use boxoffice_kit::writer::State;
use boxoffice_trial::{Carrier, Legacy, Place, Trial, places, until};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::notes::{self, Note};

struct Pair {
    sides: [String; 2],
    client: Client,
    stop: CancellationToken,
}

impl Pair {
    async fn open(legacy: &Place, service: &Place) -> Self {
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let urls = listeners.each_ref().map(|listener| format!("http://{}", listener.local_addr().unwrap()));
        let stop = CancellationToken::new();
        let parts = [(legacy, State::Here, &urls[1]), (service, State::Replica, &urls[0])];
        for (listener, (place, state, other)) in listeners.into_iter().zip(parts) {
            let other: Url = other.parse().unwrap();
            let app = notes::side(&place.address(), &other, state, stop.clone()).await;
            let service = app.into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(
                axum::serve(listener, service)
                    .with_graceful_shutdown(stop.clone().cancelled_owned())
                    .into_future(),
            );
        }
        Self { sides: urls, client: Client::builder().no_proxy().build().unwrap(), stop }
    }

    async fn take(&self, side: usize) {
        let address = format!("{}/internal/writers/notes/take", self.sides[side]);
        let answer = self.client.post(address).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    }

    async fn notes(&self, side: usize) -> Vec<Note> {
        self.client.get(format!("{}/notes", self.sides[side])).send().await.unwrap().json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_refused_while_the_writer_changes() {
    for (legacy, service) in places().await.into_iter().zip(places().await) {
        let pair = Pair::open(&legacy, &service).await;
        let done = CancellationToken::new();
        let mut writers = JoinSet::new();
        for writer in 0..8_usize {
            let (client, to) = (pair.client.clone(), format!("{}/notes", pair.sides[writer % 2]));
            let done = done.clone();
            writers.spawn(async move {
                let mut written = Vec::new();
                while !done.is_cancelled() {
                    let answer =
                        client.post(&to).body(format!("{writer}-{}", written.len())).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    let note: Note = answer.json().await.unwrap();
                    // Whoever wrote it, it can be read where it was written.
                    written.push(note);
                }
                written
            });
        }
        for side in [1, 0, 1, 0, 1] {
            let before = pair.notes(1).await.len();
            pair.take(side).await;
            until("both sides have gone on", || async { pair.notes(1).await.len() > before + 20 }).await;
        }
        done.cancel();
        let written: Vec<Note> = writers.join_all().await.into_iter().flatten().collect();
        let numbers: BTreeSet<i64> = written.iter().map(|note| note.id).collect();
        let count = i64::try_from(written.len()).unwrap();
        assert_eq!(numbers, (1..=count).collect(), "each number once, without gaps");
        until("both have the same", || async { pair.notes(0).await == pair.notes(1).await }).await;
        let mut expected = written;
        expected.sort_by_key(|note| note.id);
        assert_eq!(pair.notes(1).await, expected);
        pair.stop.cancel();
    }
}

#[tokio::test]
async fn who_cannot_catch_up_does_not_become_the_writer() {
    // The other side gives, and has a row that never arrives.
    for place in places().await {
        let legacy = Legacy::start().await;
        legacy.give("notes", json!([{"rows": 1, "digest": "00000000000000000000000000000001"}]));
        let trial = Trial::open(&place, &Carrier::Http, &legacy, notes::service).await;
        let (status, told) = trial.post(0, "/internal/writers/notes/take", &Value::Null).await;
        assert_eq!(status, 409, "{told}");
        assert!(
            told["errors"][0]["message"].as_str().unwrap().contains("the rows of notes differ"),
            "{told}"
        );
        assert_eq!(trial.get(0, "/internal/writers").await.1, json!({"notes": "replica"}));
        assert!(legacy.asked().contains(&("POST /internal/writers/notes/keep".to_owned(), Value::Null)));
    }
}

/// Routes of ours are not for strangers, and a replica passes on what would write.
#[tokio::test]
async fn a_replica_passes_writes_on_and_reads_itself() {
    for place in places().await {
        let legacy = Legacy::start().await;
        legacy.answer("POST /notes", 418, json!({"told": "by legacy"}));
        let trial = Trial::open(&place, &Carrier::Http, &legacy, notes::service).await;
        assert_eq!(trial.post(0, "/notes", &json!({})).await, (418, json!({"told": "by legacy"})));
        assert_eq!(trial.get(0, "/notes").await, (200, json!([])));
        let forwarded = trial.request(Method::GET, "/internal/writers").header("x-forwarded-for", "1.2.3.4");
        assert_eq!(forwarded.send().await.unwrap().status(), 404);
    }
}
