//! `/api/tickets/{id}/availability`, and `/internal/reservations/{orderId}` for whoever places orders.

use axum::{
    Json as Answer, Router,
    extract::State,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, put},
};
use boxoffice_kit::{
    Database, Problem,
    problem::{Json, Path},
    service::{Parts, inside_only},
    writer,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{MODULE, repository};

/// The routes behind their gate.
pub fn routes(parts: &Parts) -> Router {
    let reservations = Router::new()
        .route("/internal/reservations/{order_id}", put(reserve).delete(release))
        .route_layer(from_fn_with_state(parts.kit.gate(MODULE), writer::gate))
        .route_layer(from_fn(inside_only));
    Router::new()
        .route("/api/tickets/{id}/availability", get(availability))
        .route_layer(from_fn_with_state(parts.kit.gate(MODULE), writer::gate))
        .merge(reservations)
        .with_state(parts.kit.database.clone())
}

/// What is left of a ticket.
#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Availability {
    ticket_id: i64,
    capacity: i64,
    reserved: i64,
    sold: i64,
    available: i64,
}

/// What an order wants of a ticket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) ticket_id: i64,
    pub(crate) quantity: i64,
}

#[derive(Deserialize)]
struct Lines {
    items: Vec<Line>,
}

async fn availability(
    State(database): State<Database>,
    Path(ticket_id): Path<i64>,
) -> Result<Answer<Availability>, Problem> {
    let found = repository::availability(&mut *database.read.acquire().await?, ticket_id).await?;
    found.map(Answer).ok_or_else(|| Problem::not_found("ticket"))
}

/// Holds all lines of an order, or none. Asked again, it says the same and takes nothing more.
async fn reserve(
    State(database): State<Database>,
    Path(order_id): Path<i64>,
    Json(Lines { items }): Json<Lines>,
) -> Result<Answer<Value>, Problem> {
    let mut tx = database.begin().await?;
    writer::hold(&mut tx, MODULE).await?;
    // What was on its way when the order ended must hold nothing: nobody would ever release it.
    if repository::outcome(&mut tx, order_id).await?.as_deref() == Some("released") {
        return Err(Problem::conflict("the reservation was taken back"));
    }
    if repository::is_reserved(&mut tx, order_id).await? {
        return Ok(Answer(json!({})));
    }
    for (place, line) in items.iter().enumerate() {
        let field = || format!("items[{place}].quantity");
        if line.quantity < 1 {
            return Err(Problem::invalid(field(), "must be 1 or more"));
        }
        if !repository::hold(&mut tx, order_id, line).await? {
            return Err(Problem::conflict("not enough tickets left").at(field()));
        }
    }
    tx.commit().await?;
    Ok(Answer(json!({})))
}

/// Releases what is held for an order, and whatever arrives for it later.
async fn release(
    State(database): State<Database>,
    Path(order_id): Path<i64>,
) -> Result<Answer<Value>, Problem> {
    let mut tx = database.begin().await?;
    writer::hold(&mut tx, MODULE).await?;
    repository::note(&mut tx, order_id, "released").await?;
    repository::settle(&mut tx, order_id).await?;
    tx.commit().await?;
    Ok(Answer(json!({})))
}
