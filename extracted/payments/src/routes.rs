//! `/api/payments`, and `/webhooks/pay` for the provider.

use axum::{
    Json as Answer, Router,
    body::Bytes,
    extract::{FromRef, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    routing::{get, post},
};
use boxoffice_kit::{
    Problem,
    identity::{Sessions, SignedIn},
    problem::{Json, Path},
    service::{Kit, Parts},
    writer,
};
use ring::hmac;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    MODULE,
    repository::{self, Payment},
    service::{self, Wanted},
};

#[derive(Clone, FromRef)]
struct Shop {
    kit: Kit,
    sessions: Sessions,
    provider: hmac::Key,
}

/// The routes behind their gate.
pub fn routes(parts: &Parts, webhook_secret: &str) -> Router {
    let provider = hmac::Key::new(hmac::HMAC_SHA256, webhook_secret.as_bytes());
    let shop = Shop { kit: parts.kit.clone(), sessions: parts.sessions.clone(), provider };
    Router::new()
        .route("/api/payments", post(pay))
        .route("/api/payments/{id}", get(show))
        .route("/api/payments/{id}/refund", post(refund))
        .route("/webhooks/pay", post(told))
        .route_layer(from_fn_with_state(parts.kit.gate(MODULE), writer::gate))
        .with_state(shop)
}

async fn pay(
    State(kit): State<Kit>,
    SignedIn(buyer): SignedIn,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Answer<Payment>), Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let (new, payment) = service::pay(&kit, &buyer, key, wanted).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Answer(payment)))
}

async fn show(
    State(kit): State<Kit>,
    SignedIn(buyer): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Payment>, Problem> {
    let payment = repository::get(&mut *kit.database.read.acquire().await?, id, buyer.id).await?;
    payment.map(Answer).ok_or_else(|| Problem::not_found("payment"))
}

async fn refund(
    State(kit): State<Kit>,
    SignedIn(buyer): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Payment>, Problem> {
    service::refund(&kit, &buyer, id).await.map(Answer)
}

/// What the provider tells.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum Told {
    #[serde(rename = "charge.settled")]
    Settled { payment: i64 },
    #[serde(other)]
    Other,
}

/// The signature is of the bytes as they came: read first, they would never be the same again.
async fn told(
    State(kit): State<Kit>,
    State(provider): State<hmac::Key>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Answer<Value>, Problem> {
    let signature = headers.get("x-pay-signature").and_then(|value| hex::decode(value).ok());
    if signature.is_none_or(|signature| hmac::verify(&provider, &body, &signature).is_err()) {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "the signature is wrong"));
    }
    let told = serde_json::from_slice(&body);
    let told = told.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    if let Told::Settled { payment } = told {
        let mut tx = kit.database.begin().await?;
        writer::hold(&mut tx, MODULE).await?;
        repository::settle(&mut tx, payment).await?;
        tx.commit().await?;
    }
    Ok(Answer(json!({})))
}
