//! `/api/notifications/*`.

use axum::{
    Json as Answer, Router,
    extract::State,
    middleware,
    routing::{get, post},
};
use boxoffice_kit::{Problem, problem::Path, service::Kit, writer};
use serde_json::{Value, json};

use super::Listing;
use crate::{app::Shop, users::SignedIn};

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    Router::new()
        .route("/api/notifications", get(list))
        .route("/api/notifications/unread-count", get(unread))
        .route("/api/notifications/{id}/read", post(read))
        .route_layer(middleware::from_fn_with_state(kit.gate("notifications"), writer::gate))
}

async fn list(State(shop): State<Shop>, SignedIn(user): SignedIn) -> Result<Answer<Listing>, Problem> {
    shop.notifications.list(&user).await.map(Answer)
}

async fn unread(State(shop): State<Shop>, SignedIn(user): SignedIn) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({ "unread": shop.notifications.unread(&user).await? })))
}

async fn read(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
) -> Result<Answer<Value>, Problem> {
    shop.notifications.read(&user, &id).await?;
    Ok(Answer(json!({})))
}
