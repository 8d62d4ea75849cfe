//! `/api/orders/*`, and the question of other services for any order.

use axum::{
    Json as Answer, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    middleware,
    response::{IntoResponse, Sse, sse::KeepAlive},
    routing::get,
};
use boxoffice_kit::{
    Problem,
    problem::{Json, Path, Query},
    service::{Kit, inside_only},
    writer,
};
use serde::Deserialize;

use super::{Line, Listing, Order, Orders, Placed, Quote, Wanted, stream, ticket};
use crate::{app::Shop, users::SignedIn};

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    let gate = middleware::from_fn_with_state(kit.gate("orders"), writer::gate);
    // Who may ask is settled before the gate: what it passes on comes from one of us.
    let inside = Router::new()
        .route("/internal/orders/{id}", get(placed))
        .route_layer(gate.clone())
        .route_layer(middleware::from_fn(inside_only));
    Router::new()
        .route("/api/orders", get(list).post(create))
        .route("/api/orders/quote", get(quote))
        .route("/api/orders/{id}", get(show).delete(cancel))
        .route("/api/orders/{id}/stream", get(watch))
        .route("/api/orders/{id}/ticket.svg", get(draw))
        .route_layer(gate)
        .merge(inside)
}

#[derive(Deserialize)]
struct NewOrder {
    items: Vec<Line>,
}

async fn create(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = shop.orders.local.create(&user, new.items).await?;
    Ok((StatusCode::CREATED, Answer(order)))
}

async fn list(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Listing>, Problem> {
    shop.orders.local.list(&user, wanted).await.map(Answer)
}

async fn show(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    shop.orders.local.get(&user, id).await.map(Answer)
}

async fn cancel(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    shop.orders.local.cancel(&user, id).await.map(Answer)
}

/// `?item=ID:QTY`, once per line.
async fn quote(
    State(shop): State<Shop>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Answer<Quote>, Problem> {
    let items = pairs.iter().filter(|(name, _)| name == "item");
    let lines = items.map(|(_, value)| line(value)).collect::<Result<_, _>>()?;
    shop.orders.local.quote(lines).await.map(Answer)
}

fn line(text: &str) -> Result<Line, Problem> {
    text.split_once(':')
        .and_then(|(id, quantity)| {
            Some(Line { ticket_id: id.parse().ok()?, quantity: quantity.parse().ok()? })
        })
        .ok_or_else(|| Problem::invalid("item", "must be `ID:QUANTITY`"))
}

async fn watch(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let changes = stream::changes(shop, user, id).await?;
    Ok(Sse::new(changes).keep_alive(KeepAlive::default()))
}

async fn draw(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let order = shop.orders.local.get(&user, id).await?;
    if order.status != "complete" {
        return Err(Problem::conflict("the order is not complete"));
    }
    Ok(([(CONTENT_TYPE, "image/svg+xml")], ticket::draw(&order)?))
}

async fn placed(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<Answer<Placed>, Problem> {
    shop.orders.local.placed(id).await.map(Answer)
}
