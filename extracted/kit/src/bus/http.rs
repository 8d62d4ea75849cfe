//! Events as HTTP requests: simple, and enough as long as everybody is known.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::post,
};
use reqwest::Url;

use super::{AT_ONCE, Outbox, PAUSE, Row};
use crate::{inbox::Inbox, service::internal};

const BODY_MAX: usize = 16 * 1024 * 1024;
/// A subscriber that has not answered by then gets them again.
const TIMEOUT: Duration = Duration::from_secs(30);

/// POST `/internal/events`, an event a line: the answer says how many are dealt with; the others should come again, and
/// 503 says that it was not even one.
pub(crate) fn routes(inbox: Inbox) -> Router {
    Router::new()
        .route("/internal/events", post(receive))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(inbox)
}

async fn receive(State(inbox): State<Inbox>, body: Bytes) -> (StatusCode, String) {
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').collect();
    match inbox.receive_all(&lines).await {
        0 => (StatusCode::SERVICE_UNAVAILABLE, "0".to_owned()),
        taken => (StatusCode::OK, taken.to_string()),
    }
}

/// Sends events in their order; one that is not taken is sent again and holds up those behind it, for this subscriber
/// alone.
pub(super) async fn send(mut outbox: Outbox, subscriber: Url, client: reqwest::Client) {
    let address = format!("{}/internal/events", subscriber.as_str().trim_end_matches('/'));
    let mut position = loop {
        match outbox.delivered().await {
            Ok(position) => break position,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    };
    loop {
        for rows in outbox.after(position).await.chunks(AT_ONCE) {
            let taken = deliver(&client, &address, rows).await.min(rows.len());
            if let Some(last) = rows[..taken].last() {
                position = last.position;
                outbox.reached(position).await;
            }
            if taken < rows.len() {
                tokio::time::sleep(PAUSE).await;
                break;
            }
        }
    }
}

/// How many were taken.
async fn deliver(client: &reqwest::Client, address: &str, rows: &[Row]) -> usize {
    let lines: Vec<&str> = rows.iter().map(|row| row.body.as_str()).collect();
    let sent = internal(client.post(address).body(lines.join("\n"))).timeout(TIMEOUT).send().await;
    let told = match sent.and_then(reqwest::Response::error_for_status) {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    match told {
        Ok(count) => count.parse().unwrap_or(0),
        Err(error) => {
            tracing::debug!("nothing was delivered to {address}: {error}");
            0
        }
    }
}
