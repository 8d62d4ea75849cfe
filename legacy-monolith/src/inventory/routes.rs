//! `/api/tickets/{id}/availability`, and `/internal/reservations/{orderId}` for an orders service.

use axum::{
    Json as Answer, Router,
    extract::State,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, put},
};
use boxoffice_kit::{
    Problem,
    problem::{Json, Path},
    service::{Kit, inside_only},
    writer,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Inventory as _, Line, repository::Availability};
use crate::app::Shop;

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    let gate = from_fn_with_state(kit.gate("inventory"), writer::gate);
    Router::new()
        .route("/internal/reservations/{order_id}", put(reserve).delete(release))
        .route_layer(gate.clone())
        .route_layer(from_fn(inside_only))
        .merge(Router::new().route("/api/tickets/{id}/availability", get(availability)).route_layer(gate))
}

async fn availability(
    State(shop): State<Shop>,
    Path(ticket_id): Path<i64>,
) -> Result<Answer<Availability>, Problem> {
    shop.inventory.local.availability(ticket_id).await.map(Answer)
}

#[derive(Deserialize)]
struct Lines {
    items: Vec<Line>,
}

async fn reserve(
    State(shop): State<Shop>,
    Path(order_id): Path<i64>,
    Json(Lines { items }): Json<Lines>,
) -> Result<Answer<Value>, Problem> {
    shop.inventory.local.reserve(order_id, &items).await?;
    Ok(Answer(json!({})))
}

async fn release(State(shop): State<Shop>, Path(order_id): Path<i64>) -> Result<Answer<Value>, Problem> {
    shop.inventory.local.release(order_id).await?;
    Ok(Answer(json!({})))
}
