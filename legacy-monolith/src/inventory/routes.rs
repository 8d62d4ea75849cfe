//! `/api/tickets/{id}/availability`.

use axum::{Json as Answer, Router, extract::State, routing::get};

use super::Availability;
use crate::{
    app::Shop,
    problem::{Path, Problem},
};

pub(crate) fn routes() -> Router<Shop> {
    Router::new().route("/api/tickets/{id}/availability", get(availability))
}

async fn availability(
    State(shop): State<Shop>,
    Path(ticket_id): Path<i64>,
) -> Result<Answer<Availability>, Problem> {
    shop.inventory.availability(ticket_id).await.map(Answer)
}
