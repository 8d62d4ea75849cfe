//! `/api/tickets/{id}/availability`.

use axum::{Json as Answer, Router, extract::State, middleware, routing::get};
use boxoffice_kit::{Problem, problem::Path, service::Kit, writer};

use super::{Availability, Inventory as _};
use crate::app::Shop;

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    Router::new()
        .route("/api/tickets/{id}/availability", get(availability))
        .route_layer(middleware::from_fn_with_state(kit.gate("inventory"), writer::gate))
}

async fn availability(
    State(shop): State<Shop>,
    Path(ticket_id): Path<i64>,
) -> Result<Answer<Availability>, Problem> {
    shop.inventory.local.availability(ticket_id).await.map(Answer)
}
