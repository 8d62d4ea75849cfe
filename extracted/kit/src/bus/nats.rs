//! Events over NATS `JetStream`: one stream, one durable consumer per (service, subject).

use std::time::Duration;

use async_nats::{
    HeaderMap, jetstream,
    jetstream::{
        AckKind,
        consumer::{AckPolicy, PullConsumer, pull},
        stream,
    },
};
use futures_util::{StreamExt, future::try_join_all};
use serde::Deserialize;
use uuid::Uuid;

use super::{AT_ONCE, Outbox, PAUSE, Row};
use crate::{database::without_password, inbox::Inbox};

const STREAM: &str = "BOXOFFICE";
const SUBJECTS: &str = "bo.v1.";
/// Who was away for longer is filled anew, by `POST /internal/replay/MODULE` at the writer.
const KEPT: Duration = Duration::from_hours(7 * 24);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends and listens; begins anew after a failure, for ever.
pub(super) async fn run(server: String, name: &'static str, outbox: Outbox, inbox: Inbox) {
    let outbox = tokio::sync::Mutex::new(outbox);
    loop {
        if let Err(error) = connected(&server, name, &outbox, &inbox).await {
            tracing::warn!("NATS at {}: {error}", without_password(&server));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn connected(
    server: &str,
    name: &str,
    outbox: &tokio::sync::Mutex<Outbox>,
    inbox: &Inbox,
) -> Result<(), Failure> {
    let context = jetstream::new(async_nats::connect(server).await?);
    let stream = context
        .get_or_create_stream(stream::Config {
            name: STREAM.to_owned(),
            subjects: vec![format!("{SUBJECTS}>")],
            max_age: KEPT,
            ..stream::Config::default()
        })
        .await?;
    let listening = inbox.listens().iter().map(|subject| listen(&stream, name, subject, inbox));
    let mut outbox = outbox.lock().await;
    tokio::select! {
        ended = send(&context, &mut outbox) => ended,
        ended = try_join_all(listening) => ended.map(drop),
    }
}

/// Sends a batch, then waits until the server has it.
async fn send(context: &jetstream::Context, outbox: &mut Outbox) -> Result<(), Failure> {
    let mut position = outbox.delivered().await?;
    loop {
        let mut receipts = Vec::new();
        for row in outbox.after(position).await {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", id(&row).unwrap_or_default().to_string());
            let subject = format!("{SUBJECTS}{}", row.subject);
            position = row.position;
            receipts.push(context.publish_with_headers(subject, headers, row.body.into()).await?);
        }
        for receipt in receipts {
            receipt.await?;
        }
        outbox.reached(position).await;
    }
}

/// The server drops a second event of the same id within its window. That saves traffic; the inbox is what guards.
fn id(row: &Row) -> Option<Uuid> {
    #[derive(Deserialize)]
    struct Id {
        id: Uuid,
    }
    serde_json::from_str::<Id>(&row.body).ok().map(|event| event.id)
}

/// One durable per subject: servers before 2.10 know no list of them.
async fn listen(stream: &stream::Stream, name: &str, subject: &str, inbox: &Inbox) -> Result<(), Failure> {
    let durable = format!("{name}-{}", subject.replace('.', "-"));
    let consumer: PullConsumer = stream
        .get_or_create_consumer(
            &durable,
            pull::Config {
                durable_name: Some(durable.clone()),
                filter_subject: format!("{SUBJECTS}{subject}"),
                ack_policy: AckPolicy::Explicit,
                ..pull::Config::default()
            },
        )
        .await?;
    let mut messages = consumer.messages().await?.ready_chunks(AT_ONCE);
    while let Some(arrived) = messages.next().await {
        let arrived = arrived.into_iter().collect::<Result<Vec<_>, _>>()?;
        let raw: Vec<&[u8]> = arrived.iter().map(|message| message.payload.as_ref()).collect();
        let taken = inbox.receive_all(&raw).await;
        for (place, message) in arrived.iter().enumerate() {
            let kind = if place < taken { AckKind::Ack } else { AckKind::Nak(Some(PAUSE)) };
            message.ack_with(kind).await?;
        }
    }
    Err(format!("the consumer {durable} has ended").into())
}
