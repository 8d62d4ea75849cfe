//! Events as HTTP requests: simple, and enough as long as everybody is known.

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use reqwest::Url;

use super::{Outbox, PAUSE, Row};
use crate::{
    inbox::{Inbox, Receipt},
    service::internal,
};

const EVENT_MAX: usize = 1024 * 1024;

/// POST `/internal/events`: 200 means it is dealt with, 503 that it should come again.
pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route("/internal/events", post(receive))
        .layer(DefaultBodyLimit::max(EVENT_MAX))
        .with_state(inbox)
}

async fn receive(State(inbox): State<Inbox>, body: Bytes) -> StatusCode {
    match inbox.receive(&body).await {
        Receipt::Done => StatusCode::OK,
        Receipt::Again => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Sends one event after the other; one that is not taken is sent again and holds up those behind it, for this
/// subscriber alone.
pub(super) async fn send(mut outbox: Outbox, subscriber: Url, client: reqwest::Client) {
    let address = format!("{}/internal/events", subscriber.as_str().trim_end_matches('/'));
    let mut position = loop {
        match outbox.delivered().await {
            Ok(position) => break position,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    loop {
        let mut taken = position;
        for row in outbox.after(position).await {
            if !deliver(&client, &address, &row).await {
                tokio::time::sleep(PAUSE).await;
                break;
            }
            taken = row.position;
        }
        if taken != position {
            position = taken;
            outbox.reached(position).await;
        }
    }
}

async fn deliver(client: &reqwest::Client, address: &str, row: &Row) -> bool {
    let request = client.post(address).header(CONTENT_TYPE, "application/json").body(row.body.clone());
    match internal(request).send().await {
        Ok(answer) => answer.status().is_success(),
        Err(error) => {
            tracing::debug!("{} was not delivered to {address}: {error}", row.subject);
            false
        }
    }
}
