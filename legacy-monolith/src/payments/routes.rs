//! `/api/payments/*`, and what the provider calls.

use axum::{
    Json as Answer, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    middleware,
    routing::{get, post},
};
use boxoffice_kit::{
    Problem,
    problem::{Json, Path},
    service::Kit,
    writer,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Payment, Wanted};
use crate::{app::Shop, users::SignedIn};

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    Router::new()
        .route("/api/payments", post(pay))
        .route("/api/payments/{id}", get(show))
        .route("/api/payments/{id}/refund", post(refund))
        .route("/webhooks/pay", post(settle))
        .route_layer(middleware::from_fn_with_state(kit.gate("payments"), writer::gate))
}

async fn pay(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Answer<Payment>), Problem> {
    let (is_new, payment) = shop.payments.pay(&user, text(&headers, "idempotency-key"), wanted).await?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Answer(payment)))
}

async fn show(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Payment>, Problem> {
    shop.payments.get(&user, id).await.map(Answer)
}

async fn refund(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Payment>, Problem> {
    shop.payments.refund(&user, id).await.map(Answer)
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Call {
    #[serde(rename = "charge.settled")]
    Settled { payment: i64 },
    #[serde(other)]
    Other,
}

/// The signature is of the bytes, so they are looked at before anything reads them as JSON.
async fn settle(State(shop): State<Shop>, headers: HeaderMap, body: Bytes) -> Result<Answer<Value>, Problem> {
    if !shop.payments.is_from_provider(&body, text(&headers, "x-pay-signature")) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the signature is wrong"));
    }
    let call = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    if let Call::Settled { payment } = call {
        shop.payments.settle(payment).await?;
    }
    Ok(Answer(json!({})))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
