//! What a bus may do to events, and when a program may end: nothing of it may show.

use std::{collections::BTreeSet, future::Future};

use axum::Router;
use boxoffice_kit::{
    Event, query, scalar,
    service::{Failure, Kit, Options},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{Carrier, Legacy, Trial, settings, until};

/// Sends events in order, backwards (each was lost and came when the later ones were through), and twice with the end of
/// the program in between (it was handled but not acknowledged). The `rows` (one text column, sorted) must be the same.
pub async fn events_mistreated<F: Future<Output = Result<(Router, Kit), Failure>>>(
    open: impl Fn(Options, CancellationToken) -> F,
    events: &[Event],
    rows: &'static str,
) {
    let mut expected: Option<Vec<String>> = None;
    for way in ["in order", "backwards", "twice"] {
        for (place, carrier) in settings().await {
            let legacy = Legacy::start().await;
            let mut trial = Trial::open(&place, &carrier, &legacy, &open).await;
            let mut events = events.to_vec();
            if way == "backwards" {
                events.reverse();
            }
            for event in &events {
                trial.send(event).await;
                if way == "twice" {
                    trial.close().await;
                    trial = Trial::open(&place, &carrier, &legacy, &open).await;
                    trial.send(event).await;
                }
            }
            let found: Vec<String> = scalar!(rows).fetch_all(&trial.database.read).await.unwrap();
            assert_eq!(&found, expected.get_or_insert(found.clone()), "{way}");
            assert_eq!(trial.dead_letters().await, 0, "{way}");
            trial.close().await;
        }
    }
}

/// Bytes that are no event are put aside at once, an event without its data after ten tries; `behind`, of the same kind,
/// passes.
pub async fn poison_put_aside<F: Future<Output = Result<(Router, Kit), Failure>>>(
    open: impl Fn(Options, CancellationToken) -> F,
    behind: &Event,
) {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &carrier, &legacy, &open).await;
        trial.send_raw(&behind.kind, b"no event").await;
        until("the bytes are put aside", || async { trial.dead_letters().await == 1 }).await;
        let poison = Event { id: uuid::Uuid::now_v7(), data: Value::Null, ..behind.clone() };
        trial.send_raw(&poison.kind, &serde_json::to_vec(&poison).unwrap()).await;
        trial.send(behind).await;
        until("the event is put aside", || async { trial.dead_letters().await == 2 }).await;
        let tries = scalar!("SELECT tries FROM inbox_tries WHERE id = $1", poison.id.to_string());
        let tries: i64 = tries.fetch_one(&trial.database.read).await.unwrap();
        assert_eq!(tries, 10);
        let handled: i64 =
            scalar!("SELECT count(*) FROM inbox").fetch_one(&trial.database.read).await.unwrap();
        assert_eq!(handled, 1);
        trial.close().await;
    }
}

/// `act` commits an event of `kind`; the program ends before it is sent, and again before that is noted. The event
/// arrives, however often, as the same one.
pub async fn ends_while_publishing<F: Future<Output = Result<(Router, Kit), Failure>>>(
    open: impl Fn(Options, CancellationToken) -> F,
    act: impl AsyncFn(&Trial),
    kind: &str,
) {
    for (place, carrier) in settings().await {
        let legacy = Legacy::start().await;
        let trial = Trial::open(&place, &Carrier::Nowhere, &legacy, &open).await;
        act(&trial).await;
        until("the event is committed", || async { trial.outbox().await.iter().any(|found| found == kind) })
            .await;
        trial.close().await;
        for times in 1..=2 {
            let trial = Trial::open(&place, &carrier, &legacy, &open).await;
            let noted = || async {
                let noted = scalar!("SELECT count(*) FROM deliveries WHERE position > 0");
                noted.fetch_one(&trial.database.read).await.is_ok_and(|count: i64| count > 0)
            };
            until("the event is sent", noted).await;
            let arrived = carrier.published(&legacy, kind).await;
            let ids: BTreeSet<_> = arrived.iter().map(|event| event.id).collect();
            assert_eq!(ids.len(), 1);
            // NATS knows an event by its id, for a while.
            assert_eq!(arrived.len(), if matches!(carrier, Carrier::Http) { times } else { 1 });
            query!("DELETE FROM deliveries").execute(&trial.database.write).await.unwrap();
            trial.close().await;
        }
    }
}
