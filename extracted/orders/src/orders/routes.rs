//! `/api/orders/*`.

use axum::{
    Json as Answer, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Sse, sse::KeepAlive},
    routing::get,
};
use serde::Deserialize;

use super::{Line, Listing, Order, Quote, Wanted, stream};
use crate::{
    app::Service,
    problem::{Json, Path, Problem, Query},
    sessions::SignedIn,
};

pub(crate) fn routes() -> Router<Service> {
    Router::new()
        .route("/api/orders", get(list).post(create))
        .route("/api/orders/quote", get(quote))
        .route("/api/orders/{id}", get(show).delete(cancel))
        .route("/api/orders/{id}/stream", get(watch))
}

#[derive(Deserialize)]
struct NewOrder {
    items: Vec<Line>,
}

async fn create(
    State(service): State<Service>,
    SignedIn(user): SignedIn,
    Json(new): Json<NewOrder>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = service.orders.create(&user, new.items).await?;
    Ok((StatusCode::CREATED, Answer(order)))
}

async fn list(
    State(service): State<Service>,
    SignedIn(user): SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Listing>, Problem> {
    service.orders.list(&user, wanted).await.map(Answer)
}

async fn show(
    State(service): State<Service>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    service.orders.get(&user, id).await.map(Answer)
}

async fn cancel(
    State(service): State<Service>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    service.orders.cancel(&user, id).await.map(Answer)
}

/// `?item=ID:QTY`, once per line.
async fn quote(
    State(service): State<Service>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Answer<Quote>, Problem> {
    let items = pairs.iter().filter(|(name, _)| name == "item");
    let lines = items.map(|(_, value)| line(value)).collect::<Result<_, _>>()?;
    service.orders.quote(lines).await.map(Answer)
}

fn line(text: &str) -> Result<Line, Problem> {
    text.split_once(':')
        .and_then(|(id, quantity)| {
            Some(Line { ticket_id: id.parse().ok()?, quantity: quantity.parse().ok()? })
        })
        .ok_or_else(|| Problem::invalid("item", "must be `ID:QUANTITY`"))
}

async fn watch(
    State(service): State<Service>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let changes = stream::changes(service, user, id).await?;
    Ok(Sse::new(changes).keep_alive(KeepAlive::default()))
}
