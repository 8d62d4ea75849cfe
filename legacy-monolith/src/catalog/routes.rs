//! `/api/tickets` and the float prices of `/api/v0/tickets`.

use axum::{
    Json as Answer, Router,
    extract::State,
    http::StatusCode,
    middleware,
    routing::{get, post},
};
use boxoffice_kit::{
    Problem,
    problem::{Json, Path, Query},
    service::Kit,
    writer::{self, Gate},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Catalog as _, Listing, Offer, Ticket, Wanted};
use crate::{app::Shop, users::SignedIn};

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    let gate = kit.gate("catalog");
    let counting = Gate { reads_write: true, ..gate.clone() };
    Router::new()
        .route("/api/tickets", get(list).post(create))
        .route("/api/v0/tickets", get(list_v0))
        .route("/api/admin/tickets/reprice", post(reprice))
        .route_layer(middleware::from_fn_with_state(gate, writer::gate))
        .merge(
            Router::new()
                .route("/api/tickets/{id}", get(view).put(update).delete(delete))
                .route_layer(middleware::from_fn_with_state(counting, writer::gate)),
        )
}

async fn list(State(shop): State<Shop>, Query(wanted): Query<Wanted>) -> Result<Answer<Listing>, Problem> {
    shop.catalog.list(wanted).await.map(Answer)
}

async fn view(State(shop): State<Shop>, Path(id): Path<i64>) -> Result<Answer<Ticket>, Problem> {
    shop.catalog.view(id).await.map(Answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewTicket {
    title: String,
    price_cents: i64,
    capacity: i64,
}

async fn create(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Json(new): Json<NewTicket>,
) -> Result<(StatusCode, Answer<Ticket>), Problem> {
    let offer = Offer { title: new.title, price_cents: new.price_cents };
    let ticket = shop.catalog.create(&user, offer, new.capacity).await?;
    Ok((StatusCode::CREATED, Answer(ticket)))
}

async fn update(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
    Json(offer): Json<Offer>,
) -> Result<Answer<Ticket>, Problem> {
    shop.catalog.update(&user, id, offer).await.map(Answer)
}

async fn delete(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Value>, Problem> {
    shop.catalog.delete(&user, id).await?;
    Ok(Answer(json!({})))
}

#[derive(Deserialize)]
struct Reprice {
    percent: i64,
}

async fn reprice(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Json(wanted): Json<Reprice>,
) -> Result<Answer<Value>, Problem> {
    let repriced = shop.catalog.reprice(&user, wanted.percent).await?;
    Ok(Answer(json!({ "repriced": repriced })))
}

/// The first version of the API, still called by somebody: float prices, dates by day.
#[derive(Serialize)]
struct TicketV0 {
    id: i64,
    name: String,
    price: f64,
    date: String,
}

impl From<Ticket> for TicketV0 {
    #[expect(clippy::cast_precision_loss, reason = "exactly what v0 does to prices")]
    fn from(ticket: Ticket) -> Self {
        let created: Timestamp = ticket.created_at.parse().unwrap_or_default();
        let date = created.strftime("%d/%m/%Y").to_string();
        Self { id: ticket.id, name: ticket.title, price: ticket.price_cents as f64 / 100.0, date }
    }
}

async fn list_v0(
    State(shop): State<Shop>,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Vec<TicketV0>>, Problem> {
    let page = shop.catalog.list(wanted).await?;
    Ok(Answer(page.tickets.into_iter().map(TicketV0::from).collect()))
}
