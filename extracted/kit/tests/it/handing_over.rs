//! Two sides hand a module over, to and fro, while both are written through.

use std::{collections::BTreeSet, net::SocketAddr};

use boxoffice_kit::{query, writer::State};
use boxoffice_trial::{Carrier, Legacy, Place, Trial, places, until};
use reqwest::{Client, Method, StatusCode, Url};
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

/// Routes of ours are not for strangers, and a replica passes on what would write. What nobody keeps to is no dry run.
#[tokio::test]
async fn a_replica_passes_writes_on_and_reads_itself() {
    for place in places().await {
        let legacy = Legacy::start().await;
        legacy.answer("POST /notes", 418, json!({"told": "by legacy"}));
        let trial = Trial::open(&place, &Carrier::Http, &legacy, notes::service).await;
        assert_eq!(trial.post(0, "/notes", &json!({})).await, (418, json!({"told": "by legacy"})));
        assert_eq!(trial.get(0, "/notes").await, (200, json!([])));
        let dry_run =
            trial.request(Method::POST, "/notes").header("banyan-shadow", "dry-run").send().await.unwrap();
        assert_eq!((dry_run.status().as_u16(), dry_run.headers().get("banyan-shadow")), (418, None));
        let metrics = trial.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
        let counted =
            r#"boxoffice_requests_total{code_class="2xx",method="GET",route="/notes",service="notes"} 1"#;
        assert!(metrics.contains(counted), "{metrics}");
        let forwarded = trial.request(Method::GET, "/internal/writers").header("x-forwarded-for", "1.2.3.4");
        assert_eq!(forwarded.send().await.unwrap().status(), 404);
    }
}

/// Several at once, facts in between, an end half way: one side writes at most, and the next take settles the rest.
#[tokio::test(flavor = "multi_thread")]
async fn one_side_writes_whoever_takes_at_once_or_ends_half_way() {
    for (legacy, service) in places().await.into_iter().zip(places().await) {
        let pair = Pair::open(&legacy, &service).await;
        let database = notes::database(&service.address()).await;
        let states = async || {
            let mut states = Vec::new();
            for side in &pair.sides {
                let answer = pair.client.get(format!("{side}/internal/writers")).send().await.unwrap();
                states.push(answer.json::<Value>().await.unwrap()["notes"].clone());
            }
            states
        };
        tokio::join!(pair.take(1), pair.take(1), pair.take(1));
        assert_eq!(states().await, ["given", "here"]);

        // Facts arrive while the other side has it; who keeps it goes on behind them.
        query!("UPDATE writers SET state = 'given'").execute(&database.write).await.unwrap();
        query!("INSERT INTO notes (id, text, version) VALUES (7, 'a fact', 1)")
            .execute(&database.write)
            .await
            .unwrap();
        let keep = format!("{}/internal/writers/notes/keep", pair.sides[1]);
        pair.client.post(keep).send().await.unwrap();
        let written = pair.client.post(format!("{}/notes", pair.sides[0])).body("next").send().await.unwrap();
        assert_eq!(written.json::<Note>().await.unwrap().id, 8);

        // As a process leaves it that ended while taking: another one begins.
        query!("UPDATE writers SET state = 'taking'").execute(&database.write).await.unwrap();
        let other: Url = pair.sides[0].parse().unwrap();
        let stop = CancellationToken::new();
        let take = format!("{}/internal/writers/notes/take", pair.sides[1]);
        assert_eq!(pair.client.post(&take).send().await.unwrap().status(), 409, "somebody else is at it");
        let _ = notes::side(&service.address(), &other, State::Replica, stop.clone()).await;
        stop.cancel();
        assert_eq!(states().await, ["given", "given"]);
        query!("DELETE FROM notes WHERE id = 7").execute(&database.write).await.unwrap();
        pair.take(0).await;
        assert_eq!(states().await, ["here", "given"]);
        pair.stop.cancel();
    }
}

/// Slow, for the limits are real: one database is enough.
#[tokio::test]
async fn who_says_nothing_is_not_waited_for_without_end() {
    for place in places().await.into_iter().take(1) {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other: Url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
        let stop = CancellationToken::new();
        let app = notes::side(&place.address(), &other, State::Replica, stop.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(axum::serve(listener, service).into_future());
        let client = Client::builder().no_proxy().build().unwrap();
        let take = client.post(format!("{address}/internal/writers/notes/take")).send();
        let add = client.post(format!("{address}/notes")).body("a").send();
        let (take, add) = tokio::join!(take, add);
        assert_eq!(
            (take.unwrap().status(), add.unwrap().status()),
            (StatusCode::SERVICE_UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE)
        );
        stop.cancel();
    }
}
